"""The placement tokenizer: where the follower is, seen from the leader."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.skeleton import default_skeleton
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import Frame, MotionBatch, Placed, skeleton_offsets
from duet_rl.tokenizers.losses import motion_loss
from duet_rl.tokenizers.part import TRANSLATION
from duet_rl.tokenizers.path import PathFromStart
from duet_rl.tokenizers.spec import Stream
from duet_rl.tokenizers.tokenizer import (
    DuetCodecConfig,
    Tokenizer,
    codebook_metrics,
    streams_of,
)
from duet_rl.tokenizers.vqvae import PartVQVAE
from duet_rl.tokenizers.workers import all_mean, joined_rows, own_rows

_NAME = "placement"


class PlacementTokenizer(Tokenizer):
    """The follower's place and heading relative to the leader or the start, coarse, then fine.

    It also keeps the bones of the followers that it was trained on (`offsets`, metres, the mean
    of the first training batch), so that a decoded follower has a body to dance with.
    """

    offsets: Tensor

    kind: ClassVar[str] = TRANSLATION

    def __init__(self, config: DuetCodecConfig) -> None:
        super().__init__(config)
        start = config.placement.relative_to == "start"
        self.places: Frame = PathFromStart(config.frame) if start else self.frame
        channels = self.places.placement_channels
        self.vqvae = PartVQVAE(
            config.placement.vqvae,
            inputs=channels,
            heads={_NAME: channels},
            causal=config.frame.causal,
        )
        self.register_buffer("offsets", default_skeleton().offsets)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of a placement token, coarse first."""
        return streams_of({_NAME: self.config.placement.vqvae})

    def encode(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        """Return the tokens of where the follower is; a `cache` continues its clip."""
        return self.vqvae.encode(self.places.placement(leader, follower, cache), cache)

    def decode(
        self,
        tokens: Int[Tensor, "B N S"],
        leader: MotionBatch,
        cache: StreamCache | None = None,
    ) -> Placed:
        """Return where the tokens put the follower of `leader`."""
        return self.places.place(self.vqvae.decode(tokens, cache)[_NAME], leader, cache)

    def loss(self, leader: MotionBatch, follower: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise and what to log; in training, also move the codebooks.

        Args:
            leader: windows of the leader.
            follower: the same windows of the follower.

        Returns:
            The loss, and detached scalars by name.
        """
        target = self._target(leader, follower)
        if self.training and not self.vqvae.initialised:
            self.offsets.copy_(all_mean(skeleton_offsets(follower).mean(0)))
        out = self.vqvae(target, {_NAME: target})
        with torch.autocast(target.device.type, enabled=False):
            config = self.config.placement
            reconstruction = motion_loss(out.heads[_NAME].float() - target, config.motion)
            commit = config.vqvae.commit * out.commit_loss.float()
            total = reconstruction + commit
        if self.training:
            self._learn_codebooks([(self.vqvae.quantizer, out.statistics)])
        metrics = {
            "loss/placement": reconstruction.detach(),
            "loss/placement_commit": commit.detach(),
            "loss/translation": total.detach(),
        }
        return total, metrics | codebook_metrics({_NAME: self.vqvae}, {_NAME: out})

    def forward(
        self, leader: MotionBatch, follower: MotionBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return `loss(leader, follower)`: what a data-parallel wrapper calls."""
        return self.loss(leader, follower)

    @torch.no_grad()
    def _target(self, leader: MotionBatch, follower: MotionBatch) -> Float[Tensor, "B C T"]:
        """Return the placement, in training shifted and turned a little, clip by clip.

        The couples of a small data set stand in few places; those nearby are as possible.
        """
        placement = self.places.placement(leader, follower)
        config = self.config.placement
        if self.training and (config.shift or config.turn):
            clips = len(placement)
            noise = torch.randn(joined_rows(clips), 3, generator=self.vqvae.generator())
            noise = noise[own_rows(clips)].to(placement)
            scale = noise.new_tensor([config.shift, config.shift, config.turn])
            placement = self.places.shifted(placement, noise * scale)
        return placement.mT.contiguous()
