"""`duet-rl view`: data, runs and files in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.exits import INTERRUPTED
from duet_rl.cli.options import Seed, TrueFps, TrueScale, TrueUp, local


def view(
    things: Annotated[
        list[str],
        typer.Argument(
            metavar="STORE|[NAME=]RUN|FILE...",
            help="A clip store; folders of runs, followers, codecs or dances, side by side; or "
            "motion files (.bvh, .npz, .npy), of which the first leads.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(parser=local, help="Store whose clips runs dance; the run's own if unset."),
    ] = None,
    codec: Annotated[
        Path | None,
        typer.Option(
            parser=local, help="Folder of the codec whose tokens are shown; the runs' if unset."
        ),
    ] = None,
    music: Annotated[
        Path | None, typer.Option(parser=local, help="With files: the music, from their start on.")
    ] = None,
    fps: TrueFps = None,
    scale: TrueScale = None,
    up: TrueUp = None,
    seed: Seed = 0,
    port: Annotated[int, typer.Option(help="Port here; if it is taken, the next one.")] = 8080,
    open_browser: Annotated[bool, typer.Option("--browser", help="Open the page, too.")] = False,
) -> None:
    """Look at clips with music, tokens, beats and contacts, and at runs that dance them.

    Serves a page on this machine only, and needs no network. Ctrl-C ends it.
    """
    import os
    import sys
    import webbrowser

    from duet_rl.viewer.hall import open_hall
    from duet_rl.viewer.server import address_of, serving, wait_for_a_signal
    from duet_rl.viewer.show import Viewer

    for thing in things:
        local(thing)
    reading = {"fps": fps, "scale": scale, "up": up}
    hall = open_hall(things, data, codec, music, seed, reading)
    stop = wait_for_a_signal()
    with serving(port) as server:
        viewer = Viewer(hall, server)
        if server.get_port() != port:
            typer.echo(f"port {port} is taken; the next free one is {server.get_port()}")
        typer.echo(f"open {address_of(server)} in a browser; Ctrl-C ends it")
        if open_browser:
            webbrowser.open(address_of(server))
        viewer.run(stop)
    typer.echo("stopped")
    # At once: a dance cannot be told to stop, browsers are slow to say goodbye, nothing is written.
    sys.stdout.flush()
    os._exit(INTERRUPTED if stop.interrupted else 0)
