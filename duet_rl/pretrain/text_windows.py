"""What the dancers show in training windows, in words that are drawn anew at every step."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.captions.captioner import Captioner, caption_of
from duet_rl.captions.detect import facts_of
from duet_rl.captions.facts import Stated
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.windows import step_generator
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

VALIDATION = -1  # the step of the draws for held-out windows: always the same
GRID = 4  # token steps between the places at which windows are looked at: each is read once only


class Dancer(NamedTuple):
    """A dancer of whom something is said, and the one who dances with him."""

    joints: Float[Tensor, "T 55 3"]
    partner: Float[Tensor, "T 55 3"] | None


class WindowCaptions:
    """Says what dancers show in windows of their clips.

    Facts are read from the window as if it were all of the dance, so that its captions are true of
    it. They are read once for every stretch of a grid of `GRID` token steps and kept: a window
    is described by the stretch that is nearest to it.

    Args:
        dancers: everyone who may be asked about, by number.
        captioner: knows what is rare; None: nothing is rarer than anything else.
    """

    def __init__(self, dancers: Sequence[Dancer], captioner: Captioner | None = None) -> None:
        self.dancers = list(dancers)
        self.captioner = captioner
        self._read: dict[tuple[int, int, int], list[Stated]] = {}

    def texts(
        self,
        dancers: Int[Tensor, "B"],
        frames: Int[Tensor, "B"],
        steps: Int[Tensor, "B"],
        generators: Sequence[torch.Generator],
    ) -> list[str]:
        """Return a caption of each window.

        Args:
            dancers: whose, by number.
            frames: at which they begin.
            steps: how many token steps they last.
            generators: one a window, which draws facts, order and words.
        """
        places = zip(dancers.tolist(), frames.tolist(), steps.tolist(), generators, strict=True)
        return [self._text(*place) for place in places]

    def _text(self, dancer: int, frame: int, steps: int, generator: torch.Generator) -> str:
        apart = GRID * FRAMES_PER_TOKEN
        length = max(1, round(steps / GRID)) * apart
        latest = max(0, len(self.dancers[dancer].joints) - length)
        start = min(round(frame / apart) * apart, latest)
        stated = self._facts(dancer, start, start + length)
        return caption_of(stated, length, generator, self.captioner).text

    def _facts(self, dancer: int, start: int, stop: int) -> list[Stated]:
        key = (dancer, start, stop)
        if key not in self._read:
            joints, partner = self.dancers[dancer]
            seen = None if partner is None else partner[start:stop]
            self._read[key] = facts_of(joints[start:stop], seen)
        return self._read[key]


def generators_of(
    seed: int, step: int, first: int, count: int, purpose: int = 0
) -> list[torch.Generator]:
    """Return a source of chance for each of `count` windows of a step, from number `first` on."""
    return [step_generator(seed, step, purpose, first + index) for index in range(count)]


def dancers_to_tell(clips: Sequence[DuetClip]) -> list[Dancer]:
    """Return the follower of every clip, with the leader as partner unless he dances alone."""
    return [
        Dancer(clip.duet.follower.joints, None if clip.solo else clip.duet.leader.joints)
        for clip in clips
    ]


def captioner_of(dancers: Sequence[Dancer]) -> Captioner:
    """Return a captioner that knows how often each fact holds of these dancers."""
    partners = [dancer.partner for dancer in dancers if dancer.partner is not None]
    return Captioner.fit([dancer.joints for dancer in dancers], partners or None)
