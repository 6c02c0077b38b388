"""The readable codec: a follower as words, fingers and a place, and back into the world."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.config import Config, validate
from duet_rl.errors import InputError
from duet_rl.models.level_refiner import LevelCache, LevelRefiner, LevelRefinerConfig
from duet_rl.posecodes.catalogue import BODY_CODES, Catalogue
from duet_rl.tokenizers.body_tokenizer import BodyTokenizer
from duet_rl.tokenizers.codes_pose import CodeBank, CodesPoseTokenizer, dropped
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.duet import DecodedFollower, DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.part import READABLE, REFINE
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.spec import TokenSpec


class ReadablePlacement(PlacementTokenizer):
    """The placement tokenizer of a readable codec."""

    architecture: ClassVar[str] = READABLE
    config_class: ClassVar[type[Config]] = ReadableCodecConfig


class ReadableCodec(DuetCodec):
    """Follower motion to tokens that can be read and changed, and back, given the leader.

    A follower writes rows of `spec`: the class of each group of the catalogue, the hands and the
    placement. What they leave over of the body are residual levels, which rows of `full_spec` have
    behind the others. `decode` takes either; rows without levels are completed by the refiner,
    or, where there is none, decoded without.
    """

    pose_class: ClassVar[type[BodyTokenizer]] = CodesPoseTokenizer
    placement_class: ClassVar[type[PlacementTokenizer]] = ReadablePlacement
    pose: CodesPoseTokenizer
    config: ReadableCodecConfig

    def __init__(self, config: ReadableCodecConfig) -> None:
        super().__init__(config)
        self.full_spec = TokenSpec(self.spec.streams + self.pose.residual_streams)
        self.refiner: LevelRefiner | None = None

    @property
    def catalogue(self) -> Catalogue:
        """What the classes of the first streams mean."""
        return BODY_CODES

    @property
    def groups(self) -> int:
        """How many of the first streams are groups of the catalogue."""
        return len(self.catalogue)

    @property
    def levels(self) -> int:
        """How many residual levels the rows of `full_spec` end with."""
        return len(self.full_spec) - len(self.spec)

    @property
    def bank(self) -> CodeBank:
        """The pose codes of the dancers that the codec was trained on."""
        return self.pose.bank

    @torch.no_grad()
    def encode_full(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Int[Tensor, "B N F"]:
        """Return the follower's rows of `full_spec`; arguments and errors as for `encode`."""
        told = self.encode(leader, follower, cache)
        levels = self.pose.encode_residual(follower, "follower pose", cache)
        return torch.cat([told, levels], dim=-1)

    @torch.no_grad()
    def complete(
        self,
        tokens: Int[Tensor, "B N S"],
        text: Tensor | None = None,
        cache: StreamCache | None = None,
    ) -> Int[Tensor, "B N F"]:
        """Return rows of `spec` with residual levels behind them.

        Args:
            tokens: rows of `spec`.
            text: what the refiner's text reader read of a prompt, if it takes one.
            cache: continues the clip it was used for before.

        Raises:
            InputError: rows of another number of streams, or a cache where the refiner looks
                ahead.
        """
        if tokens.shape[-1] != len(self.spec):
            raise InputError(
                f"rows of {tokens.shape[-1]} streams, wanted the {len(self.spec)} that a follower "
                "writes; use tokens of this codec"
            )
        if self.refiner is None:
            levels = dropped(tokens, self.levels)
        else:
            kept = None if cache is None else cache.setdefault(REFINE, LevelCache())
            levels = self.refiner.sample(tokens, text, cache=kept)
        return torch.cat([tokens, levels], dim=-1)

    @torch.no_grad()
    def decode(
        self,
        tokens: Int[Tensor, "B N S"],
        leader: MotionBatch,
        offsets: Float[Tensor, "*skeletons 55 3"] | None = None,
        cache: StreamCache | None = None,
        text: Tensor | None = None,
    ) -> DecodedFollower:
        """Return the follower that dances `tokens` beside the leader.

        Args:
            tokens: rows of `spec`, which are completed, or of `full_spec`.
            leader: the frames of the tokens.
            offsets: see `DuetCodec.decode`.
            cache: continues the clip it was used for before (causal codecs only).
            text: see `complete`.

        Raises:
            InputError: the leader's frames are not those of the tokens, or tokens of no spec of
                this codec.
        """
        if tokens.shape[-1] != len(self.full_spec):
            tokens = self.complete(tokens, text, cache)
        return super().decode(tokens, leader, offsets, cache)

    def _parts_of(
        self, tokens: Int[Tensor, "B N S"]
    ) -> tuple[Int[Tensor, "B N P"], Int[Tensor, "B N Q"]]:
        streams = [len(self.pose.streams), len(self.placement.streams), self.levels]
        pose, placement, levels = tokens.split(streams, dim=-1)
        return torch.cat([pose, levels], dim=-1), placement

    def save(self, folder: Path | str, meta: Mapping[str, Any]) -> Path:
        """Write both tokenizers as sub-folders, and the refiner beside them if there is one."""
        folder, refiner = super().save(folder, meta), self.refiner
        if refiner is not None:
            tensors = refiner.state_dict()
            place = folder / REFINE
            checkpoint.save(place, kind=REFINE, tensors=tensors, config=refiner.config, meta=meta)
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> "ReadableCodec":
        """Return the codec saved in `folder`, with its refiner if it has one; it is evaluated.

        Raises:
            InputError: as `DuetCodec.load`, or a refiner of other tokens.
        """
        codec = super().load(folder)
        place = Path(folder) / REFINE
        if checkpoint.is_checkpoint(place, REFINE):
            codec.refiner = _refiner_in(place, codec)
        return codec


def _refiner_in(folder: Path, codec: ReadableCodec) -> LevelRefiner:
    stored = checkpoint.load(folder, REFINE)
    config = validate(LevelRefinerConfig, stored.config, source=str(stored.path))
    wanted = codec.spec.classes, codec.levels, codec.full_spec.classes[-1]
    if (config.classes, config.levels, config.codes) != wanted:
        raise InputError(
            f"{folder} refines tokens of {len(config.classes)} streams by {config.levels} levels "
            f"of {config.codes} codes, and the codec beside it has {len(wanted[0])} streams and "
            f"{wanted[1]} levels of {wanted[2]}, or other classes; train it again "
            "(`duet-rl pretrain refine`)"
        )
    refiner = LevelRefiner(config)
    checkpoint.load_module(refiner, stored.tensors, stored.path)
    return refiner.eval().requires_grad_(False)
