"""What is counted of a dance: every reward term, their total, and every measure."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from duet_rl.datasets.clip import DuetClip
from duet_rl.generate.judged import judged, measured
from duet_rl.rewards.base import RewardMix

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
    data = judged(joints, clips)
    terms = rewards(data)
    scores = {REWARD_PREFIX + TOTAL: terms.total(1).mean(1)}
    scores |= {REWARD_PREFIX + name: score.mean(1) for name, score in terms.per_frame.items()}
    return scores | measured(data)
