"""`duet-rl submit`: a command of ours as a job on a cluster."""

import os
import shlex
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any

import typer


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
    from duet_rl.submit import MIB, STOPPED, JobServer, upload_of

    environment = _pairs(env or [])
    options = _options(words)
    out = _out_of(options)
    upload = upload_of(working_dir)
    _require_sent(options, upload.files)
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
    typer.echo(f"job {job}: {shlex.join(words)}", err=True)
    if not wait:
        typer.echo(job)
        typer.echo(f"watch it: {server.how_to('logs --follow', job)}", err=True)
        return
    try:
        code = server.follow(job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(
            f"\njob {job} goes on. Watch it: {server.how_to('logs --follow', job)}\n"
            f"Stop it: {server.how_to('stop', job)}",
            err=True,
        )
        raise typer.Exit(STOPPED) from None
    raise typer.Exit(code)


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


def _options(words: list[str]) -> dict[str, Any]:
    """Return the options of a command of ours, which must be one that could be run here.

    Raises:
        InputError: there is no such command, or a setting of it is wrong.
    """
    from typer.core import TyperGroup
    from typer.main import get_command

    from duet_rl.cli.main import app
    from duet_rl.config import resolve
    from duet_rl.errors import InputError
    from duet_rl.run import RunConfig

    command: Any = get_command(app)
    rest = list(words)
    names: list[str] = []
    while isinstance(command, TyperGroup):
        while rest and rest[0].startswith("-"):
            rest.pop(0)  # of the group itself, as -v
        name = rest.pop(0) if rest else ""
        if name not in command.commands or (not names and name == "submit"):
            known = sorted(set(command.commands) - {"submit"})
            raise InputError(f"there is no command {name!r} for a job; wanted {', '.join(known)}")
        names.append(name)
        command = command.commands[name]
    options: dict[str, Any] = command.make_context(" ".join(names), rest).params
    if {"preset", "settings"} <= options.keys():
        resolve(RunConfig, options["preset"], options["settings"] or ())
    return options


def _out_of(options: dict[str, Any]) -> str | None:
    """Return the place that a command works in.

    Raises:
        InputError: it would lie in the copy of the checkout, which is removed after the job.
    """
    from duet_rl.errors import InputError
    from duet_rl.storage.places import is_uri

    if "out" not in options:
        return None
    out = options["out"]
    if out is None:
        raise InputError(
            "the command would work in the copy of the checkout, which Ray removes after the job; "
            "give --out, an absolute path on storage that all nodes share"
        )
    if not is_uri(out) and not Path(out).is_absolute():
        raise InputError(
            f"--out {out} would lie in the copy of the checkout that Ray removes after the job; "
            "give an absolute path on storage that all nodes share, or a URI"
        )
    return str(out).rstrip("/")


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
