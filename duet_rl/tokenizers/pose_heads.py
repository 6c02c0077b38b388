"""What every decoder of poses gives, part by part: its targets, its body, its losses."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duet_rl.body.contact import planted_feet
from duet_rl.body.skeleton import NUM_JOINTS, PARTS
from duet_rl.tokenizers.frames import (
    BODY_JOINTS,
    Frame,
    FrameConfig,
    MotionBatch,
    PoseFeatures,
    skeleton_offsets,
)
from duet_rl.tokenizers.losses import KinematicLoss, motion_loss
from duet_rl.tokenizers.tokenizer import PoseLossConfig

_ORDER = tuple(joint for joints in PARTS.values() for joint in joints)  # of the decoded joints
_IN_ORDER = tuple(_ORDER.index(joint) for joint in range(NUM_JOINTS))

# By part and head. Channels before time in training, behind it where tokens are decoded.
Heads: TypeAlias = Mapping[str, Mapping[str, Tensor]]


class DecodedPose(NamedTuple):
    """A body in its frame of reference, as decoded."""

    rotations: Float[Tensor, "B T 55 R"]
    root_velocity: Float[Tensor, "B T 3"]  # m/s, in the frame of reference
    positions: Float[Tensor, "B T 55 3"]  # in units of the frame of reference


def head_sizes(part: str, rotation_channels: int) -> dict[str, int]:
    """Return the channels of each head of a part; the legs also tell how the root moves."""
    joints = len(PARTS[part])
    heads = {"positions": 3 * joints, "rotations": rotation_channels * joints}
    return heads | ({"velocity": 3} if part == "lower" else {})


def targets_of(features: PoseFeatures) -> dict[str, dict[str, Tensor]]:
    """Return what the heads of each part shall give, channels first."""
    return {part: _targets(part, features) for part in PARTS}


def decoded_pose(heads: Heads, frame: Frame) -> DecodedPose:
    """Return the body that the heads of all parts make, `(B, T, C)` each."""
    rotations, positions = (
        torch.cat(
            [heads[part][head].unflatten(-1, (len(PARTS[part]), -1)) for part in PARTS], dim=2
        )[:, :, list(_IN_ORDER)]
        for head in ("rotations", "positions")
    )
    return DecodedPose(rotations, heads["lower"]["velocity"] / frame.velocity_scale, positions)


class PoseLosses(nn.Module):
    """How far the heads are from what they shall give, and the body from where it was."""

    def __init__(self, config: PoseLossConfig, frame: FrameConfig) -> None:
        super().__init__()
        self.config = config
        self.kinematics = KinematicLoss(config.kinematics, config.motion, frame.fps)
        wanted = config.kinematics.joints > 0 or config.kinematics.feet > 0
        self._poses_the_body = wanted and frame.kind == "heading"

    def forward(
        self, heads: Heads, wanted: Heads, motion: MotionBatch, target: PoseFeatures
    ) -> dict[str, Tensor]:
        """Return the weighted losses by name.

        Args:
            heads: decoded, channels first.
            wanted: see `targets_of`.
            motion: the clips in the world.
            target: the same in the frame of reference.
        """
        config = self.config
        weights = {
            "positions": config.positions,
            "rotations": config.rotations,
            "velocity": config.velocity,
        }
        motion_of = dict.fromkeys(weights, config.motion)
        motion_of["velocity"] = config.root_motion or config.motion
        terms: dict[str, Tensor] = {
            f"{part}_{head}": weights[head]
            * motion_loss(decoded.float() - wanted[part][head], motion_of[head])
            for part, own in heads.items()
            for head, decoded in own.items()
        }
        return terms | (
            self._kinematic_terms(heads, motion, target) if self._poses_the_body else {}
        )

    def _kinematic_terms(
        self, heads: Heads, motion: MotionBatch, target: PoseFeatures
    ) -> dict[str, Tensor]:
        parts = [
            heads[part]["rotations"].float().unflatten(1, (len(joints), -1))
            for part, joints in PARTS.items()
        ]
        rotations = torch.cat(parts, dim=1)[:, list(_IN_ORDER[:BODY_JOINTS])]
        with torch.no_grad():
            offsets = skeleton_offsets(motion)
            planted = planted_feet(motion.joints).mT.to(rotations)  # (B, 2, T): left, right
            planted = planted.repeat(1, 2, 1)  # of ankles, then of toes
        velocity = heads["lower"]["velocity"].float()
        return self.kinematics(rotations, velocity, target, offsets, planted)._asdict()


def _targets(part: str, features: PoseFeatures) -> dict[str, Tensor]:
    joints = list(PARTS[part])
    targets = {
        "positions": features.positions[:, joints].flatten(1, 2),
        "rotations": features.rotations[:, joints].flatten(1, 2),
    }
    return targets | ({"velocity": features.root_velocity} if part == "lower" else {})
