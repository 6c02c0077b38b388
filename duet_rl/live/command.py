"""What `duet-rl live` does: a follower, perhaps a take to follow, and the server."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.datasets.hearing import hear_song
from duet_rl.datasets.roles import partner_of
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.generate.partner import read_partner
from duet_rl.live.beginning import start_of
from duet_rl.live.follower import require_live
from duet_rl.live.hall import Hall
from duet_rl.live.recorded import Recorded
from duet_rl.live.server import SOCKET, address_of, require_safe, serving
from duet_rl.live.settings import LiveConfig, LiveWish, ServerConfig


def serve_live(
    wish: LiveWish, config: LiveConfig, limits: ServerConfig, say: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        wish: what is served.
        config: how the couples dance.
        limits: of the server.
        say: takes lines for people.

    Raises:
        InputError: what cannot be served.
    """
    require_safe(wish.host, wish.token)
    if wish.music is not None and wish.leader is None:
        raise InputError("--music is the song of a recorded leader; give --leader, too")
    if wish.replicas is not None:
        if wish.leader is not None:
            raise InputError("a recorded leader is played by one process; leave out --serve")
        try:
            from duet_rl.live.replicas import serve_replicas
        except ImportError as error:
            raise InputError(
                f"--serve needs Ray Serve ({error.name} is missing): pip install 'duet-rl[serve]'"
            ) from error
        serve_replicas(wish, config, limits, say)
        return
    torch.set_num_threads(1)  # one thread dances; more would wait for each other
    follower = load_follower(wish.checkpoint, wish.device)
    require_live(follower, config)
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(wish, follower, config, limits, say))


async def _serve(
    wish: LiveWish,
    follower: Follower,
    config: LiveConfig,
    limits: ServerConfig,
    say: Callable[[str], None],
) -> None:
    leaving = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, RuntimeError, ValueError):  # not in every thread or system
        loop.add_signal_handler(signal.SIGTERM, leaving.set)
    partner = None
    if wish.leader is not None:
        partner = read_partner(wish.leader, partner_of(follower.part), None, wish.reading)
    hall = Hall(follower, config, limits, start_of(wish, follower.part, partner))
    played = None if partner is None else _recorded(wish, hall, partner.motion)
    async with serving(hall, wish.host, wish.port, wish.token, wish.music) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        place = address_of(wish.host, port, wish.token)
        say(f"open {place} in a browser; dancers connect to {SOCKET} there")
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(leaving.wait())]
        if played is not None:
            tasks.append(asyncio.create_task(played.play()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended the playing
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _recorded(wish: LiveWish, hall: Hall, leader: Motion) -> Recorded:
    song: Float[Tensor, "T 54"] | None = None
    if wish.music is not None:
        require_file(wish.music, "the music")
        song = hear_song(wish.music, "duolando", compat=hall.follower.music["compat"])
    played = Recorded(hall, leader, song, wish.seed)
    hall.extra = played.facts if song is not None else dict
    return played
