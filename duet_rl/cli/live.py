"""`duet-rl live`: a follower that dances while the leader still does."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import Device, Hold, StartAt, StartPose, TrueFps, TrueScale, TrueUp


def live(
    checkpoint: Annotated[
        Path, typer.Option(help="Folder of a follower or of its run: .../rl, .../follower.")
    ],
    host: Annotated[
        str, typer.Option(help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="DUET_RL_LIVE_TOKEN", help="That clients must give.", show_default=False
        ),
    ] = None,
    look_ahead: Annotated[
        int, typer.Option(min=0, max=29, help="Tokens of the future to wait for, 133 ms each.")
    ] = 0,
    delay: Annotated[
        int,
        typer.Option(min=0, max=8, help="Tokens that a codec waits which was not trained live."),
    ] = 1,
    slack: Annotated[
        int, typer.Option(min=0, max=8, help="Frames that a token's work may take, 33 ms each.")
    ] = 1,
    temperature: Annotated[float, typer.Option(min=0, max=10, help="Of the sampling.")] = 0.8,
    hold: Hold = 1.0,
    start: StartPose = "found",
    start_at: StartAt = None,
    max_clients: Annotated[int, typer.Option(min=1, help="Dancers and watchers at most.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Threads that dance.")] = 1,
    leader: Annotated[
        Path | None,
        typer.Option(
            help="Play a recorded take as the leader (.bvh, .npz, .npy).", show_default=False
        ),
    ] = None,
    music: Annotated[
        Path | None, typer.Option(help="The song of the take.", show_default=False)
    ] = None,
    fps: TrueFps = None,
    scale: TrueScale = None,
    up: TrueUp = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**30, help="Of the recorded take's first dance.")
    ] = 0,
    serve: Annotated[
        bool, typer.Option("--serve", help="By Ray Serve, in several processes.")
    ] = False,
    replicas: Annotated[int, typer.Option(min=1, help="With --serve: how many processes.")] = 1,
    device: Device = "cpu",
) -> None:
    """Dance live: poses and sound come over a WebSocket, the follower's poses go back.

    Open the address in a browser to see the couple. docs/live.md tells the protocol, with a client
    of twenty lines.
    """
    from duet_rl.errors import InputError
    from duet_rl.evaluate.followers import follower_in
    from duet_rl.live.command import serve_live
    from duet_rl.live.settings import LiveConfig, LiveWish, ServerConfig

    folder = follower_in(checkpoint)
    if folder is None:
        raise InputError(
            f"{checkpoint} holds no follower; give the folder of a run, .../follower or .../rl"
        )
    wish = LiveWish(
        checkpoint=folder,
        host=host,
        port=port,
        token=token,
        leader=leader,
        music=music,
        reading={"fps": fps, "scale": scale, "up": up},
        seed=seed,
        start=start,
        start_at=start_at,
        device=device,
        replicas=replicas if serve else None,
    )
    config = LiveConfig(
        look_ahead=look_ahead, delay=delay, slack=slack, temperature=temperature, hold=hold
    )
    limits = ServerConfig(max_clients=max_clients, workers=workers)
    serve_live(wish, config, limits, say=typer.echo)
