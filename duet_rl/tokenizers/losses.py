"""Reconstruction losses: over time, of the posed joints, and of the planted feet."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from duet_rl.body.contact import PALM_KNUCKLES
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import FEET, NUM_JOINTS, PARENTS, WRISTS
from duet_rl.config import Config
from duet_rl.tokenizers.frames import BODY_JOINTS, PoseFeatures

# The joints that the body's rotations place: all but the root and the outer fingers.
POSED = tuple(j for j in range(1, NUM_JOINTS) if PARENTS[j] < BODY_JOINTS)
_POSED_FEET = tuple(POSED.index(joint) for joint in FEET)
_ENDS = tuple(POSED.index(joint) for joint in (*FEET, *WRISTS, *PALM_KNUCKLES))
_PARENTS = tuple(PARENTS[joint] for joint in POSED)
_TINY = 1e-8  # keeps the direction of a zero vector finite


class MotionLossConfig(Config):
    """Weights of the L1 terms (spec 3.5)."""

    velocity: float = Field(1.0, ge=0)  # first difference over frames
    acceleration: float = Field(1.0, ge=0)  # second difference over frames


class KinematicLossConfig(Config):
    """Weights of what a decoded body does once it is posed."""

    joints: float = Field(10.0, ge=0)  # a metre that a posed joint is off
    ends: float = Field(2.0, ge=0)  # extra weight of feet, wrists and palms among the joints
    feet: float = Field(0.5, ge=0)  # a m/s that a foot is off
    planted: float = Field(4.0, ge=0)  # extra weight of a foot that stands


class KinematicLosses(NamedTuple):
    """Weighted losses of the posed body."""

    joints: Float[Tensor, ""]
    feet: Float[Tensor, ""]


def motion_loss(error: Float[Tensor, "*batch T"], config: MotionLossConfig) -> Float[Tensor, ""]:
    """Return the mean absolute error plus that of its first and second difference over time.

    The differences of an error are the errors of velocity and acceleration.

    Args:
        error: what was decoded minus what should have been; any channels, time last.
        config: weights of the differences.
    """
    total = error.abs().mean()
    change = error.diff(dim=-1)
    if config.velocity and change.shape[-1]:
        total = total + config.velocity * change.abs().mean()
    if config.acceleration and change.shape[-1] > 1:
        total = total + config.acceleration * change.diff(dim=-1).abs().mean()
    return total


class KinematicLoss(nn.Module):
    """How far decoded rotations put the joints from where they are, in the heading frame.

    The rotations are those of whole chains (relative to the heading, not to the parent), so the
    place of a joint is a sum of rotated bones, and so is its error.
    """

    chains: Tensor
    weights: Tensor

    def __init__(self, config: KinematicLossConfig, motion: MotionLossConfig, fps: float) -> None:
        super().__init__()
        self.config, self.motion, self.fps = config, motion, fps
        weights = torch.ones(len(POSED), 1, 1)
        weights[list(_ENDS)] += config.ends
        self.register_buffer("chains", _chains(), persistent=False)
        self.register_buffer("weights", weights / weights.mean(), persistent=False)

    def forward(
        self,
        rotations: Float[Tensor, "B 25 6 T"],
        root_velocity: Float[Tensor, "B 3 T"],
        target: PoseFeatures,
        offsets: Float[Tensor, "B 55 3"],
        planted: Float[Tensor, "B 4 T"],
    ) -> KinematicLosses:
        """Return the losses of joints and feet.

        Args:
            rotations: decoded body rotations as 6D.
            root_velocity: decoded, m/s in the heading frame.
            target: the body as it was.
            offsets: bone vectors of each clip's dancer, metres.
            planted: 1 where an ankle or toe (`FEET`) stands, else 0.
        """
        wanted = target.rotations[:, :BODY_JOINTS]
        bones = _bones(_columns(rotations), offsets) - _bones(_columns(wanted), offsets)
        error = torch.einsum("jk,bkct->bjct", self.chains, bones)
        joints = motion_loss(self.weights * error, self.motion)
        feet = self._foot_velocity_error(error, root_velocity - target.root_velocity, target)
        weight = (1 + self.config.planted * planted)[:, :, None, 1:]
        return KinematicLosses(
            self.config.joints * joints, self.config.feet * (weight * feet).abs().mean()
        )

    def _foot_velocity_error(
        self,
        error: Float[Tensor, "B K 3 T"],
        velocity_error: Float[Tensor, "B 3 T"],
        target: PoseFeatures,
    ) -> Float[Tensor, "B 4 3 M"]:
        """Return how much each foot is too fast over the floor, m/s, from the second frame on."""
        feet = error[:, list(_POSED_FEET)].mT  # (B, 4, T, 3)
        turn = target.heading.diff(dim=-1)[:, None]  # the frame of reference turns in between
        step = feet[:, :, 1:] - rotate_yaw(feet[:, :, :-1], -turn)
        return velocity_error[:, None, :, 1:] + step.mT * self.fps


def _chains() -> Float[Tensor, "K K"]:
    """Return 1 where a bone lies between the root and a joint, `(joint, bone)`."""
    chains = torch.zeros(len(POSED), len(POSED))
    for row, joint in enumerate(POSED):
        while joint > 0:
            chains[row, POSED.index(joint)] = 1
            joint = PARENTS[joint]
    return chains


def _columns(rotations: Float[Tensor, "B J 6 T"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the columns of the rotations that 6D vectors mean, each `(B, J, 3, T)`.

    `body.rotations.matrix_from_6d` with time last and without its care for degenerate vectors:
    several times as fast, and this is the inner loop of training.
    """
    first = _unit(rotations[:, :, :3])
    second = rotations[:, :, 3:]
    second = _unit(second - (first * second).sum(2, keepdim=True) * first)
    (ax, ay, az), (bx, by, bz) = first.unbind(2), second.unbind(2)
    third = torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=2)
    return first, second, third


def _unit(vectors: Float[Tensor, "B J 3 T"]) -> Float[Tensor, "B J 3 T"]:
    x, y, z = vectors.unbind(2)
    return vectors * (x * x + y * y + z * z + _TINY).rsqrt()[:, :, None]


def _bones(
    columns: tuple[Tensor, Tensor, Tensor], offsets: Float[Tensor, "B 55 3"]
) -> Float[Tensor, "B K 3 T"]:
    """Return each bone turned as its parent is."""
    own = offsets[:, list(POSED), :, None, None]  # (B, K, 3, 1, 1)
    turned = [column[:, list(_PARENTS)] * own[:, :, i] for i, column in enumerate(columns)]
    return turned[0] + turned[1] + turned[2]
