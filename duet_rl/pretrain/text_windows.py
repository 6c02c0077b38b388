"""What is said of training windows: what the dancers show, or what people wrote of them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.captions.captioner import Captioner, caption_of
from duet_rl.captions.detect import facts_of
from duet_rl.captions.facts import Caption, Stated
from duet_rl.captions.parse import read
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.clip_captions import Captions, ClipCaption
from duet_rl.datasets.windows import step_generator
from duet_rl.errors import InputError
from duet_rl.generate.prompts import reader, spelled_out
from duet_rl.models.text import TextConfig
from duet_rl.pretrain.own_captions import CaptionSource, draw_own
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

VALIDATION = -1  # the step of the draws for held-out windows: always the same
_WORDS_ALONE, _FACTS_ALONE = 0.2, 0.2  # shares of the captions that are told so
OWN_SHARE = 0.5  # of the windows that people wrote about, those that are told what they wrote
GRID = 4  # token steps between the places at which windows are looked at: each is read once only


class Dancer(NamedTuple):
    """A dancer of whom something is said, and the one who dances with him."""

    joints: Float[Tensor, "T 55 3"]
    partner: Float[Tensor, "T 55 3"] | None
    captions: Captions = ()  # that people wrote


class WindowCaptions:
    """Says what dancers show in windows of their clips.

    Facts are read from the window as if it were all of the dance, so that its captions are true of
    it. They are read once for every stretch of a grid of `GRID` token steps and kept: a window
    is described by the stretch that is nearest to it.

    Args:
        dancers: everyone who may be asked about, by number.
        captioner: knows what is rare; None: nothing is rarer than anything else.
        source: whether windows are told what people wrote of their frames.
        own_share: with `both`, of the windows of which people wrote something, so many are told it.

    Raises:
        InputError: nobody wrote anything, and nothing else shall be told.
    """

    def __init__(
        self,
        dancers: Sequence[Dancer],
        captioner: Captioner | None = None,
        source: CaptionSource = "both",
        own_share: float = OWN_SHARE,
    ) -> None:
        self.dancers = list(dancers)
        self.captioner = captioner
        self.source = source
        self.own_share = {"own": 1.0, "facts": 0.0, "both": own_share}[source]
        self._read: dict[tuple[int, int, int], list[Stated]] = {}
        if source == "own" and not any(dancer.captions for dancer in dancers):
            raise InputError(
                "captions=own asks for what people wrote, and nothing is written of these clips; "
                "set follower.captions=facts, or give a store with captions "
                "(`duet-rl prepare humanml3d`)"
            )

    def own(
        self,
        dancers: Int[Tensor, "B"],
        frames: Int[Tensor, "B"],
        room: Int[Tensor, "B"],
        generators: Sequence[torch.Generator],
        ends: bool = False,
    ) -> list[ClipCaption | None]:
        """Return what people wrote for the windows that are told it; see `draw_own`."""
        told = [self.dancers[dancer].captions for dancer in dancers.tolist()]
        return draw_own(told, frames, room, generators, self.own_share, ends)

    def texts(
        self,
        dancers: Int[Tensor, "B"],
        frames: Int[Tensor, "B"],
        steps: Int[Tensor, "B"],
        generators: Sequence[torch.Generator],
    ) -> list[str]:
        """Return a caption of what each window shows.

        Args:
            dancers: whose, by number.
            frames: at which they begin.
            steps: how many token steps they last.
            generators: one a window, which draws facts, order and words.
        """
        nobody = [None] * len(dancers)
        drawn = self._captions(dancers, frames, steps, generators, nobody)
        return [caption.text for caption in drawn]

    def read(
        self,
        dancers: Int[Tensor, "B"],
        frames: Int[Tensor, "B"],
        steps: Int[Tensor, "B"],
        generators: Sequence[torch.Generator],
        config: TextConfig,
        own: Sequence[ClipCaption | None] | None = None,
    ) -> Tensor:
        """Return what a model's reader reads of a caption of each window.

        A caption is told as people will tell it, with its facts spelled out, some without these
        and some as these alone, so that any of them will do. What people wrote says more than its
        facts and is told whole.

        Args:
            dancers: whose, by number.
            frames: at which the windows begin.
            steps: how many token steps they last.
            generators: one a window.
            config: of the reader.
            own: what people wrote, of those windows that are told it.
        """
        own = [None] * len(dancers) if own is None else own
        drawn = self._captions(dancers, frames, steps, generators, own)
        if config.encoder == "clip":
            return reader(config).read([caption.text for caption in drawn])
        told = []
        for caption, written, generator in zip(drawn, own, generators, strict=True):
            way = float(torch.rand((), generator=generator))
            facts = () if way < _WORDS_ALONE else caption.facts
            text = "" if way >= 1 - _FACTS_ALONE and written is None else caption.text
            told.append(spelled_out(text, facts))
        return reader(config).read(told)

    def _captions(
        self,
        dancers: Tensor,
        frames: Tensor,
        steps: Tensor,
        generators: Sequence[torch.Generator],
        own: Sequence[ClipCaption | None],
    ) -> list[Caption]:
        places = zip(dancers.tolist(), frames.tolist(), steps.tolist(), generators, strict=True)
        return [
            self._caption(*place) if written is None else _written(written.text)
            for place, written in zip(places, own, strict=True)
        ]

    def _caption(self, dancer: int, frame: int, steps: int, generator: torch.Generator) -> Caption:
        if self.source == "own":
            return Caption("", ())  # nobody wrote anything about such a stretch
        apart = GRID * FRAMES_PER_TOKEN
        length = max(1, round(steps / GRID)) * apart
        latest = max(0, len(self.dancers[dancer].joints) - length)
        start = min(round(frame / apart) * apart, latest)
        stated = self._facts(dancer, start, start + length)
        return caption_of(stated, length, generator, self.captioner)

    def _facts(self, dancer: int, start: int, stop: int) -> list[Stated]:
        key = (dancer, start, stop)
        if key not in self._read:
            joints, partner, _ = self.dancers[dancer]
            seen = None if partner is None else partner[start:stop]
            self._read[key] = facts_of(joints[start:stop], seen)
        return self._read[key]


@lru_cache(maxsize=1 << 17)
def _written(text: str) -> Caption:
    """Return what people wrote with the facts that are understood of it."""
    return Caption(text, read(text).facts)


def generators_of(
    seed: int, step: int, first: int, count: int, purpose: int = 0
) -> list[torch.Generator]:
    """Return a source of chance for each of `count` windows of a step, from number `first` on."""
    return [step_generator(seed, step, purpose, first + index) for index in range(count)]


def dancers_to_tell(clips: Sequence[DuetClip]) -> list[Dancer]:
    """Return the follower of every clip, with the leader as partner unless he dances alone."""
    return [
        Dancer(
            clip.duet.follower.joints,
            None if clip.solo else clip.duet.leader.joints,
            clip.captions,
        )
        for clip in clips
    ]


def captioner_of(dancers: Sequence[Dancer]) -> Captioner:
    """Return a captioner that knows how often each fact holds of these dancers."""
    partners = [dancer.partner for dancer in dancers if dancer.partner is not None]
    return Captioner.fit([dancer.joints for dancer in dancers], partners or None)
