"""What feet and beats of synthetic dances are known to do."""

import torch

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import FEET, UP
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.synthetic import SyntheticDuet

RESTING = 1e-4  # m; a foot whose ankle and toes are so near their height at rest is flat


def flat_feet(motion: Motion) -> torch.Tensor:
    """Return whether the left and the right foot stand flat on the floor, `(T, 2)`."""
    rest = motion.skeleton.rest_joints()[list(FEET), UP]
    resting = (motion.joints[:, FEET, UP] - rest).abs() < RESTING
    return resting[:, :2] & resting[:, 2:]


def beat_flags(dance: SyntheticDuet) -> torch.Tensor:
    """Return which frames are nearest to a beat of the music, `(1, T)`."""
    flags = torch.zeros(1, dance.duet.frames, dtype=torch.bool)
    flags[0, (dance.beats * FPS).round().long().clamp_max(dance.duet.frames - 1)] = True
    return flags
