"""`duet-rl status`: how a run stands, read off its folder."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import local


def status(
    run: Annotated[
        Path,
        typer.Argument(parser=local, help="Folder of a run, running or not."),
    ],
    png: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the curves as a picture.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until nothing runs.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks of --watch.")] = 5.0,
) -> None:
    """Show what of a run is done, what runs, how fast, and its curves.

    Nothing is asked of the run itself: a copy of its folder will do.
    """
    import shutil
    import time

    import click

    from duet_rl.errors import InputError
    from duet_rl.files import require_place
    from duet_rl.status.curves import knows_blocks
    from duet_rl.status.read import read_run
    from duet_rl.status.text import as_text

    if png is not None:
        if png.suffix.lower() != ".png":
            raise InputError(f"--png {png} ends in {png.suffix!r}; name a .png")
        require_place(png)
    while True:
        found = read_run(run)
        text = as_text(found, shutil.get_terminal_size().columns, knows_blocks())
        if watch:
            click.clear()  # where there is a terminal
        typer.echo(text)
        if png is not None:
            from duet_rl.status.plot import draw_run

            typer.echo(f"\n{draw_run(found, png)}")
        if not (watch and found.is_alive):
            return
        time.sleep(every)
