"""`duet-rl submit`: a command of ours as a job on a cluster."""

import os
import shlex
import sys
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any

import typer

UNREAD = 141  # exit code where nobody reads what is written, as shells count a closed pipe
_LOOK_ONLY = {"doctor"}  # at what they are given as --out


def submit(
    words: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND...", help="What to run, e.g. rl --preset small ..."),
    ],
    address: Annotated[
        str,
        typer.Option(
            envvar="RAY_API_SERVER_ADDRESS",
            help="Dashboard of the cluster's head, http://HOST:8265.",
        ),
    ],
    wait: Annotated[
        bool, typer.Option(help="Show what the job writes, and end as it does.")
    ] = True,
    name: Annotated[str | None, typer.Option(help="How the job's id begins.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A variable for the job, e.g. AWS_PROFILE=dance."),
    ] = None,
    working_dir: Annotated[
        Path, typer.Option(help="The checkout that is sent along, less what .rayignore names.")
    ] = Path("."),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be sent, and send nothing.")
    ] = False,
) -> None:
    """Run a command of ours on a cluster, as a job; nothing of ours need be installed there.

    The exit code is the command's. Ctrl-C leaves the job running. See docs/jobs.md.
    """
    from duet_rl.observe.passwords import without_password
    from duet_rl.submit import MIB, STOPPED, JobServer, Unheard, upload_of

    environment = _pairs(env or [])
    command = _parsed(words)
    out = _out_of(command)
    upload = upload_of(working_dir)
    _require_sent(command.params, upload.files)
    if dry_run:
        for file, size in sorted(upload.files.items(), key=lambda item: -item[1]):
            typer.echo(f"{size:>12,d}  {file}")
    typer.echo(
        f"{len(upload.files)} files, {upload.size / MIB:.1f} MiB"
        f" (largest: {', '.join(upload.largest(3))})",
        err=True,
    )
    upload.require_small()
    if dry_run:
        return
    server = JobServer(address)
    job = server.send(words, upload, name, environment, out)
    typer.echo(f"job {job}: {without_password(shlex.join(words))}", err=True)
    if not wait:
        typer.echo(job)
        typer.echo(f"watch it: {server.how_to('logs --follow', job)}", err=True)
        return
    try:
        code = server.follow(job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo("", err=True)
        _tell_that_it_goes_on(server, job)
        raise typer.Exit(STOPPED) from None
    except Unheard as unheard:
        _tell_that_it_goes_on(server, job)
        if not isinstance(unheard.__cause__, BrokenPipeError):
            raise unheard.__cause__ or unheard from None
        _write_nowhere()
        raise typer.Exit(UNREAD) from None
    raise typer.Exit(code)


def _tell_that_it_goes_on(server: Any, job: str) -> None:
    typer.echo(
        f"job {job} goes on. Watch it: {server.how_to('logs --follow', job)}\n"
        f"Stop it: {server.how_to('stop', job)}",
        err=True,
    )


def _write_nowhere() -> None:
    """Let the standard output lead nowhere: Python itself would try its closed pipe once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _pairs(words: list[str]) -> dict[str, str]:
    """Return variables by name.

    Raises:
        InputError: a word that is no KEY=VALUE.
    """
    from duet_rl.errors import InputError

    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise InputError(f"--env {word} is no KEY=VALUE; write e.g. --env AWS_PROFILE=dance")
        pairs[key] = value
    return pairs


def _parsed(words: list[str]) -> Any:
    """Return a command line of ours as parsed, which must be one that could be run here.

    Raises:
        InputError: there is no such command, or a setting of it is wrong.
    """
    from typer.core import TyperGroup
    from typer.main import get_command

    from duet_rl.cli.commands import add_commands
    from duet_rl.config import resolve
    from duet_rl.errors import InputError
    from duet_rl.run import RunConfig

    group = typer.Typer()
    add_commands(group)
    command: Any = get_command(group)
    rest = list(words)
    names: list[str] = []
    while isinstance(command, TyperGroup):
        while rest and rest[0].startswith("-"):
            rest.pop(0)  # of the group itself, as -v
        name = rest.pop(0) if rest else ""
        if name not in command.commands:
            known = ", ".join(sorted(command.commands))
            raise InputError(f"there is no command {name!r} for a job; wanted {known}")
        names.append(name)
        command = command.commands[name]
    parsed = command.make_context(" ".join(names), rest)
    options = parsed.params
    if {"preset", "settings"} <= options.keys():
        resolve(RunConfig, options["preset"], options["settings"] or ())
    return parsed


def _out_of(command: Any) -> str | None:
    """Return the place that a parsed command works in.

    Raises:
        InputError: it would lie in the copy of the checkout, which is removed after the job.
    """
    from duet_rl.errors import InputError
    from duet_rl.storage.places import is_uri

    if "out" not in command.params or command.info_name in _LOOK_ONLY:
        return None
    out = command.params["out"]
    if out is not None and (is_uri(out) or Path(out).is_absolute()):
        return str(out).rstrip("/")
    copy = "the copy of the checkout, which Ray removes after the job"
    # A `Path` is a local folder; some commands take URIs as well.
    wanted = "an absolute path on storage that all nodes share"
    wanted += ", or a URI" if isinstance(out, str) else ""
    if out is None or command.get_parameter_source("out").name == "DEFAULT":
        place = "" if out is None else f" to {out}"
        raise InputError(
            f"without --out, {command.info_name} would write{place} in {copy}; give --out, {wanted}"
        )
    raise InputError(f"--out {out} would lie in {copy}; give {wanted}")


def _require_sent(options: dict[str, Any], files: Container[str]) -> None:
    """Refuse a preset or a search that is a file of this machine alone.

    Raises:
        InputError: it is not among the files that are sent.
    """
    from duet_rl.config import preset_names
    from duet_rl.errors import InputError

    for key in ("preset", "search"):
        place = options.get(key)
        if place is None or str(place) in preset_names() or Path(place).is_absolute():
            continue
        if os.path.normpath(place) not in files:
            raise InputError(
                f"{place} is not sent with the job (.gitignore and .rayignore name what stays "
                "here); copy it to a place of the checkout that is sent, or give an absolute path "
                "on storage that all nodes share"
            )
