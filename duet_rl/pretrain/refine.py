"""The refine stage: what writes the residual levels of a readable codec that a follower leaves."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.datasets.clip import DuetClip, mirrored
from duet_rl.datasets.solo import soloists_of
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.models.level_refiner import LevelRefiner, LevelRefinerConfig
from duet_rl.models.text import TextConfig
from duet_rl.pretrain.follower_stage import FOLLOWER, PARTS
from duet_rl.pretrain.stage import Metrics, Stage, StageConfig, StagePlan
from duet_rl.pretrain.text_windows import (
    VALIDATION,
    WindowCaptions,
    captioner_of,
    dancers_to_tell,
    generators_of,
)
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.part import REFINE
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

__all__ = ["REFINE", "RefineConfig", "RefinePlan", "lend_refiner"]


class RefineConfig(StageConfig):
    """How the refiner is trained, and its size; streams and levels come with the codec."""

    steps: int = Field(300, ge=1)
    window_tokens: int = Field(24, ge=2)
    model: LevelRefinerConfig = LevelRefinerConfig(sure=0.25)
    text: TextConfig | None = None  # how it reads captions of the windows; None: it reads none
    mirror: bool = False  # learn from the mirror image of every dancer too


class LevelRows(NamedTuple):
    """A dancer token step by token step."""

    tokens: Int[Tensor, "*batch N S"]  # of the streams that a follower writes
    levels: Int[Tensor, "*batch N L"]
    clip: Int[Tensor, "*batch N"]  # number of the dancer
    frame: Int[Tensor, "*batch N"]  # of the clip, at which the step begins


class RefineLoss(nn.Module):
    """A refiner whose call gives its loss."""

    def __init__(self, refiner: LevelRefiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(
        self,
        tokens: Int[Tensor, "B N S"],
        levels: Int[Tensor, "B N L"],
        text: Tensor | None = None,
    ) -> tuple[Tensor, Metrics]:
        """Return the cross entropy of one level of each clip; held-out clips: of all, and each."""
        if self.training:
            loss = self.refiner.loss(tokens, levels, text)
            return loss, {"loss/refine": loss.detach()}
        asked = torch.arange(levels.shape[-1], device=tokens.device)
        each = [
            self.refiner.loss(tokens, levels, text, level=level.expand(len(tokens)))
            for level in asked
        ]
        named = {f"nll/residual{level}": loss for level, loss in enumerate(each)}
        return torch.stack(each).mean(), named


@dataclass(frozen=True)
class RefinePlan(StagePlan):
    """Train a refiner on the tokens of the run's own finished codec.

    Args:
        alone: whether each dancer of a couple dances alone, as for the follower of this codec.
    """

    name: ClassVar[str] = REFINE
    config: RefineConfig
    alone: bool = False

    def open(self) -> "RefineStage":
        """Read the data and the codec, and build the refiner."""
        codec = load_codec(self.out)
        if not isinstance(codec, ReadableCodec):
            raise InputError(
                f"{self.out} holds a codec without residual levels to refine; train a readable one "
                "(--preset readable or text2motion)"
            )
        return RefineStage(DuetStore.open(self.data), self.config, codec, self.alone)

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on.

        Raises:
            InputError: the codec is not finished.
        """
        missing = [part for part in PARTS if not checkpoint.is_checkpoint(self.out / part, part)]
        if missing:
            raise InputError(
                f"{self.out} has no finished {' and '.join(missing)} tokenizer, whose levels are "
                f"to be refined; run `duet-rl pretrain {missing[0]}` first"
            )
        weights = {part: sha256_of(self.out / part / checkpoint.WEIGHTS) for part in PARTS}
        return {**weights, "alone": self.alone}


class RefineStage(Stage):
    """Windows of tokens of every dancer, for a refiner."""

    config: RefineConfig

    def __init__(
        self, store: DuetStore, config: RefineConfig, codec: ReadableCodec, alone: bool
    ) -> None:
        super().__init__(store)
        self.config, self.codec = config, codec
        clips = _everyone(store.clips("train"), alone)
        if config.mirror:
            clips += [mirrored(clip) for clip in clips]
        held_out = _everyone(store.clips("val"), alone)
        last, window = len(clips), config.window_tokens
        rows = [row for number, clip in enumerate(clips) for row in self._encode(clip, number)]
        self.train = Windows(rows, window, config.stride)
        val = [self._encode(clip, last + number)[0] for number, clip in enumerate(held_out)]
        self.val = windows_if_any(val, window)
        self.captions: WindowCaptions | None = None
        if config.text is not None:
            dancers = dancers_to_tell([*clips, *held_out])
            self.captions = WindowCaptions(dancers, captioner_of(dancers[:last]))
        self._module = RefineLoss(LevelRefiner(self._model_config()))

    @property
    def module(self) -> RefineLoss:
        """The refiner with its loss."""
        return self._module

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return tokens, levels and captions."""
        rows = self.draw(step, rank, world)
        return self._flat(rows, step, rank * len(rows.clip))

    def held_out(self) -> tuple[Any, ...] | None:
        """Return tokens, levels and captions of held-out dancers."""
        if self.val is None:
            return None
        return self._flat(self.val.covering(self.config.validation_windows), VALIDATION, 0)

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the refiner, which makes it a part of the codec beside it."""
        refiner = self._module.refiner
        checkpoint.save(
            folder, kind=REFINE, tensors=refiner.state_dict(), config=refiner.config, meta=meta
        )

    def _model_config(self) -> LevelRefinerConfig:
        """Return the settings of the refiner with what codec and stage know."""
        levels = self.codec.full_spec.streams[len(self.codec.spec) :]
        known: dict[str, Any] = {
            "classes": self.codec.spec.classes,
            "levels": len(levels),
            "codes": levels[0].classes,
            "text": self.config.text,
        }
        if self.codec.config.frame.causal:  # it refines a dance that still goes on
            known["look_ahead"] = 0
        return self.config.model.model_copy(update=known)

    def _encode(self, clip: DuetClip, number: int) -> list[LevelRows]:
        """Return a dancer as tokens, once for every frame that the first token may begin at."""
        leader, follower = (
            MotionBatch(motion.joints[None], motion.rotations[None])
            for motion in (clip.duet.leader, clip.duet.follower)
        )
        rows = []
        for start in range(FRAMES_PER_TOKEN):
            count = (clip.frames - start) // FRAMES_PER_TOKEN
            stop = start + count * FRAMES_PER_TOKEN
            full = self.codec.encode_full(leader.cut(start, stop), follower.cut(start, stop))[0]
            streams = len(self.codec.spec)
            frames = start + FRAMES_PER_TOKEN * torch.arange(count)
            numbers = torch.full((count,), number)
            rows.append(LevelRows(full[:, :streams], full[:, streams:], numbers, frames))
        return rows

    def _flat(self, rows: LevelRows, step: int, first: int) -> tuple[Any, ...]:
        """Return tokens, levels and, where they are read, captions of windows."""
        if self.captions is None or self.config.text is None:
            return rows.tokens, rows.levels
        count = len(rows.clip)
        steps = torch.full((count,), rows.tokens.shape[1])
        each, drawn = (generators_of(self.config.seed, step, first, count, p) for p in (0, 1))
        places = (rows.clip[:, 0], rows.frame[:, 0], steps)
        own = self.captions.own(*places, drawn)
        return rows.tokens, rows.levels, self.captions.read(*places, each, self.config.text, own)


def lend_refiner(run: Path) -> None:
    """Give the refiner of a run to its follower too, if that was trained on the same codec."""
    follower = run / FOLLOWER
    if not checkpoint.is_checkpoint(follower, FOLLOWER):
        return
    same = all(
        sha256_of(run / part / checkpoint.WEIGHTS)
        == sha256_of(follower / part / checkpoint.WEIGHTS)
        for part in PARTS
    )
    if same:
        with atomic_path(follower / REFINE) as temporary:
            shutil.copytree(run / REFINE, temporary)


def _everyone(clips: Sequence[DuetClip], alone: bool) -> list[DuetClip]:
    """Return every dancer as a follower: alone on the stage, or each beside the other."""
    if alone:
        return soloists_of(clips)
    return [turned for clip in clips for turned in ((clip,) if clip.solo else _both(clip))]


def _both(clip: DuetClip) -> tuple[DuetClip, DuetClip]:
    """Return a clip, and the one in which the leader follows the follower."""
    nobody_held = torch.zeros_like(clip.hold)
    return clip, replace(clip, duet=clip.duet.swapped(), hold=nobody_held, captions=())
