"""Poses with a known answer, and dances that are none, to be turned, moved and mirrored."""

import torch
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics, reach
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, default_skeleton
from duet_rl.posecodes.catalogue import BODY_CODES, Catalogue

SKELETON = default_skeleton()
STANDING = (0.0, SKELETON.hip_height, 0.0)


def posed(**targets: tuple[float, float, float]) -> Tensor:
    """Return one frame of a T-pose with limbs that reach elsewhere, `(1, 55, 3)`.

    Args:
        targets: a limb, such as `left_arm`, and where its end goes, seen from its start, metres.
    """
    root, rotations = torch.tensor([STANDING]), torch.eye(3).repeat(1, NUM_JOINTS, 1, 1)
    rest = SKELETON.rest_joints()
    for limb, target in targets.items():
        side, kind = limb.split("_")
        start = rest[JOINT[f"{side}_{'shoulder' if kind == 'arm' else 'hip'}"]]
        to = (start + torch.tensor(target))[None]
        rotations = reach(rotations, root, SKELETON.offsets, limb, to)
    return forward_kinematics(rotations, root, SKELETON.offsets).joints


def wild(frames: int = 200, seed: int = 0) -> Motion:
    """Return a dancer whose every joint turns at random, upright enough to face somewhere."""
    generator = torch.Generator().manual_seed(seed)
    rotations = axis_angle_to_matrix(0.4 * torch.randn(frames, 55, 3, generator=generator))
    root = torch.tensor(STANDING) + 0.3 * torch.randn(frames, 3, generator=generator)
    return Motion.from_rotations(root, rotations, SKELETON)


def words(joints: Tensor, catalogue: Catalogue = BODY_CODES) -> set[str]:
    """Return all that the codes of the first frame say."""
    return set(catalogue.read(catalogue.codes(joints)[0]))


def differing(first: Tensor, second: Tensor) -> float:
    """Return the share of codes that differ: values next to a threshold may fall either way."""
    return float((first != second).float().mean())
