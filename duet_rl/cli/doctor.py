"""`duet-rl doctor`: what this machine has of all that the commands need."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import local


def doctor(
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Look at this store of clips, too.")
    ] = None,
    smplx: Annotated[
        Path | None,
        typer.Option(metavar="PATH", parser=local, help="Look at these body models, too."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Look for this cluster: http://HOST:8265 for jobs, or HOST:6379."),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="PATH", help="Folder or URI where runs will be written.")
    ] = "runs",
    quick: Annotated[bool, typer.Option("--quick", help="Do not start Ray to see.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check this machine: what works, what is missing, for which command, and how to get it.

    The exit code is 0 if the main commands can work and what was named can be used, else 1.
    """
    import json

    from duet_rl.doctor.examine import Asked, examine
    from duet_rl.doctor.findings import all_works, as_values, verdict

    findings = []
    for finding in examine(Asked(out, data, smplx, address, quick)):
        findings.append(finding)
        if not as_json:
            typer.echo(finding.line)
    typer.echo(json.dumps(as_values(findings), indent=2) if as_json else verdict(findings))
    raise typer.Exit(0 if all_works(findings) else 1)
