"""Decoding: rows of pose codes as turns of joints, through a readable codec."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.tokenizers.codes_pose import CodeBank
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN


@runtime_checkable
class Poser(Protocol):
    """What knows real rows of pose codes, and makes bodies of rows."""

    @property
    def bank(self) -> CodeBank:
        """Rows of real dancers."""

    def turns(self, codes: Int[Tensor, "N 72"]) -> Float[Tensor, "T 55 3 3"]:
        """Return the local rotations that rows of pose codes stand for; the pelvis's means nothing.

        Args:
            codes: one row for every four frames.
        """


class CodecPoser:
    """A readable codec that decodes other pose codes of one take.

    What the rows do not tell is written anew or left out, and never the take's own: it was
    measured against the poses that are changed, and would bring them back.
    """

    def __init__(self, codec: ReadableCodec, take: Motion, partner: Motion) -> None:
        """Prepare a take.

        Args:
            codec: trained.
            take: whole tokens, 30 fps.
            partner: the leader, or the stage of who dances alone; of the same frames.
        """
        self.codec = codec
        self._rows = codec.encode(_batch(partner), _batch(take))

    @property
    def bank(self) -> CodeBank:
        return self.codec.bank

    @torch.no_grad()
    def turns(self, codes: Int[Tensor, "N 72"]) -> Float[Tensor, "T 55 3 3"]:
        codec, rows = self.codec, self._rows.clone()
        rows[0, :, : codec.groups] = codes
        levels = codec.complete(rows)[..., len(codec.spec) :]
        told = rows[..., : len(codec.pose.streams)]
        decoded = codec.pose.decode(torch.cat([told, levels], dim=-1)).rotations
        heading = decoded.new_zeros(decoded.shape[:2])
        return codec.pose.frame.local_rotations(decoded, heading)[0]


def whole_tokens(motion: Motion) -> Motion:
    """Return the motion with its last frame repeated until tokens are whole."""
    missing = -motion.frames % FRAMES_PER_TOKEN
    joints, rotations = (
        torch.cat([values, values[-1:].expand(missing, *values.shape[1:])])
        for values in (motion.joints, motion.rotations)
    )
    return Motion(joints, rotations, motion.skeleton, motion.fps)


def _batch(motion: Motion) -> MotionBatch:
    return MotionBatch(motion.joints[None], motion.rotations[None])
