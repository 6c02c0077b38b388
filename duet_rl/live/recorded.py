"""A recorded take as the leader: it is played in real time, again and again."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.live.hall import Hall
from duet_rl.live.intake import FPS, LeaderFrame
from duet_rl.live.protocol import Hello, Shown

_BREATH = 1.0  # s between two dances


class Recorded:
    """Plays a take for the watchers of a hall.

    Args:
        hall: where the couple dances.
        leader: the take, 30 fps.
        song: features of its music, which the follower knows before they sound.
        seed: of the first dance; each time it is another.
    """

    def __init__(
        self,
        hall: Hall,
        leader: Motion,
        song: Float[Tensor, "T 54"] | None,
        seed: int = 0,
    ) -> None:
        self.hall, self.leader, self.song, self.seed = hall, leader, song, seed
        self._second: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return at which second of the song the couple is that is shown now."""
        return {"song_seconds": self._second}

    async def play(
        self, times: int | None = None, show: Callable[[Shown], None] = lambda shown: None
    ) -> None:
        """Play the take so many times, or for ever."""
        rounds = 0
        while times is None or rounds < times:
            await self._play_once(self.seed + rounds, show)
            rounds += 1
            await asyncio.sleep(_BREATH if times != rounds else 0)

    async def _play_once(self, seed: int, show: Callable[[Shown], None]) -> None:
        errors: list[Exception] = []

        def shown(frame: Shown) -> None:
            self._second = frame.time
            show(frame)

        hello = Hello(type="hello", seed=seed)
        couple = self.hall.begin(hello, shown, errors.append, self.song)
        begin = time.perf_counter()
        try:
            for number, joints in enumerate(self.leader.joints):
                wait = begin + number / FPS - time.perf_counter()
                await asyncio.sleep(max(wait, 0))
                couple.put(LeaderFrame(number / FPS, joints))
                if errors:
                    raise errors[0]
            await couple.finish()
        finally:
            self._second = None
            self.hall.end(couple)
