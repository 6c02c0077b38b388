"""What is counted of a dance: every reward term, their total, and every measure."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.metrics.duet import measure_duet
from duet_rl.rewards.base import RewardInput, RewardMix

TOTAL = "total"
REWARD_PREFIX = "reward/"


def score_clips(
    joints: Float[Tensor, "B T 55 3"], clips: Sequence[DuetClip], rewards: RewardMix
) -> dict[str, Float[Tensor, "B"]]:
    """Return every reward term, their total and every measure, one number a clip.

    Args:
        joints: a follower for each clip, metres.
        clips: of one length; their leaders, music, holds and true partners are what counts.
        rewards: whose terms come first, as `reward/NAME`.

    Returns:
        NaN where a measure does not apply to a clip.
    """
    leader = stacked(clip.duet.leader.joints for clip in clips)
    partner = stacked(clip.duet.follower.joints for clip in clips)
    beats = stacked(clip.beats for clip in clips)
    hold = stacked(clip.hold for clip in clips)
    terms = rewards(RewardInput(joints, leader, beats, FPS, hold, partner))
    scores = {REWARD_PREFIX + TOTAL: terms.total(1).mean(1)}
    scores |= {REWARD_PREFIX + name: score.mean(1) for name, score in terms.per_frame.items()}
    return scores | measure_duet(joints, leader, beats, FPS, hold, partner)


def stacked(tensors: Iterable[Tensor]) -> Tensor:
    """Return the tensors as one batch."""
    return torch.stack(list(tensors))
