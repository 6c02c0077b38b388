"""The chosen start of a live dance, beside a leader of whom little more than a token has come."""

from collections import Counter

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import default_skeleton
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.roles import Part, partner_of
from duet_rl.generate.inputs import prolonged
from duet_rl.generate.partner import Partner, choose_start, place_of
from duet_rl.generate.start import FAR, ChosenStart, Start, Way
from duet_rl.live.roads import Decoded
from duet_rl.live.settings import LiveWish
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_STANDS = 8 * FRAMES_PER_TOKEN  # frames; beyond, nothing changes the first token of a codec


class Beginning:
    """Leads one dance out of the pose that somebody has chosen, as `generate` does.

    Args:
        chosen: the pose, and where beside the leader's first pose it is to be.
        codec: of the dancer.
        counts: told if the pose is farther from the dance than its tokens can say.
    """

    def __init__(self, chosen: ChosenStart, codec: DuetCodec, counts: Counter[str]) -> None:
        self._chosen, self._codec, self._counts = chosen, codec, counts
        self._start: Start | None = None  # beside this leader
        self._way: Way | None = None  # from there into the dance

    def tokens(self, leader: Float[Tensor, "T 55 3"]) -> Int[Tensor, "1 S"]:
        """Return the tokens that the dance begins with.

        Args:
            leader: all that has come of him, whole tokens. What follows is not waited for: to a
                codec that looks ahead he stands on as he stood last.
        """
        still = torch.eye(3).expand(*leader.shape[:2], 3, 3)  # his joints alone are looked at
        led = Motion(leader.cpu(), still, default_skeleton(), FPS)
        led = prolonged(led, max(led.frames, _STANDS))
        self._start = self._chosen.beside(led)
        return self._start.tokens(self._codec, led)[:, 0]

    def led(self, danced: Decoded, first: int) -> Decoded:
        """Return frames of the dance with the pose before them, so that nothing leaps.

        Args:
            danced: in order, each frame once.
            first: which frame of the dance is the first of them.
        """
        if self._start is None or not len(danced.joints):
            return danced
        if self._way is None:
            self._counts["start far off"] += self._start.apart(danced.joints[0, 0]) > FAR
            self._way = self._start.way_into(danced.joints[0], danced.rotations[0], self._codec)
        return Decoded(*self._way.led(danced.joints, danced.rotations, first))


def start_of(wish: LiveWish, part: Part, partner: Partner | None = None) -> ChosenStart | None:
    """Return the start that is wished for; None: dances begin as they have learned to.

    Args:
        wish: names it.
        part: what the dancer dances.
        partner: the recorded leader, if there is one.

    Raises:
        InputError: there is no such start.
    """
    place = None if wish.start_at is None else place_of(wish.start_at)
    return choose_start(wish.start, place, partner, partner_of(part), wish.reading)
