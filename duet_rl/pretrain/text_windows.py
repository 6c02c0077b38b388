"""What the dancers show in training windows, in words that are drawn anew at every step."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.captions.captioner import Captioner, caption_of
from duet_rl.captions.detect import facts_of
from duet_rl.captions.facts import Caption, Stated
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.windows import step_generator
from duet_rl.generate.prompts import reader, spelled_out
from duet_rl.models.text import TextConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

VALIDATION = -1  # the step of the draws for held-out windows: always the same
_WORDS_ALONE, _FACTS_ALONE = 0.2, 0.2  # shares of the captions that are told so
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
        drawn = self._captions(dancers, frames, steps, generators)
        return [caption.text for caption in drawn]

    def read(
        self,
        dancers: Int[Tensor, "B"],
        frames: Int[Tensor, "B"],
        steps: Int[Tensor, "B"],
        generators: Sequence[torch.Generator],
        config: TextConfig,
    ) -> Tensor:
        """Return what a model's reader reads of a caption of each window.

        A caption is told as people will tell it, with its facts spelled out, some without these
        and some as these alone, so that any of them will do.

        Args:
            dancers: whose, by number.
            frames: at which the windows begin.
            steps: how many token steps they last.
            generators: one a window.
            config: of the reader.
        """
        drawn = self._captions(dancers, frames, steps, generators)
        if config.encoder == "clip":
            return reader(config).read([caption.text for caption in drawn])
        told = []
        for caption, generator in zip(drawn, generators, strict=True):
            way = float(torch.rand((), generator=generator))
            facts = () if way < _WORDS_ALONE else caption.facts
            text = "" if way >= 1 - _FACTS_ALONE else caption.text
            told.append(spelled_out(text, facts))
        return reader(config).read(told)

    def _captions(
        self, dancers: Tensor, frames: Tensor, steps: Tensor, generators: Sequence[torch.Generator]
    ) -> list[Caption]:
        places = zip(dancers.tolist(), frames.tolist(), steps.tolist(), generators, strict=True)
        return [self._caption(*place) for place in places]

    def _caption(self, dancer: int, frame: int, steps: int, generator: torch.Generator) -> Caption:
        apart = GRID * FRAMES_PER_TOKEN
        length = max(1, round(steps / GRID)) * apart
        latest = max(0, len(self.dancers[dancer].joints) - length)
        start = min(round(frame / apart) * apart, latest)
        stated = self._facts(dancer, start, start + length)
        return caption_of(stated, length, generator, self.captioner)

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
