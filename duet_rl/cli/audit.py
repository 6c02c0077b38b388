"""`duet-rl audit`: which judges of a dance can be fooled, and by what."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Preset, Settings, local

AUDIT_OUT = Path("runs/audit")


def audit(
    settings: Settings = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a clip store; by default the synthetic world, made in OUT."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH", parser=local, help="Folder for the heat map, the JSON and the CSV."
        ),
    ] = AUDIT_OUT,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Feed followers that cheat through every reward and metric; say which ones they fool.

    Settings begin with `audit.` or `rl.rewards.`, e.g. audit.split=test audit.seconds=4.
    """
    from duet_rl import run
    from duet_rl.audit.files import PLOT, ROWS, TABLE, write_audit
    from duet_rl.audit.results import as_text
    from duet_rl.audit.run import run_audit
    from duet_rl.config import resolve
    from duet_rl.datasets.store import DuetStore
    from duet_rl.rewards.base import RewardMix

    config = resolve(run.RunConfig, preset, settings or ())
    if data is None:
        data = out / "data"
        run.prepare_synthetic(config, data)
    rewards = RewardMix(config.rl.rewards.without_tokens())  # cheats have no tokens
    found = run_audit(DuetStore.open(data), rewards, config.audit)
    write_audit(found, out)
    typer.echo(as_text(found))
    typer.echo(f"heat map: {out / PLOT}; all numbers: {out / TABLE}, {out / ROWS}")
