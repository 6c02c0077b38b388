"""Beat alignment, beat echo and foot skating as the scripts of Bailando and Duolando count them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.audio.beats import published_motion_beats as beats_of_batch
from duet_rl.body.skeleton import JOINT

BEAT_SIGMA = 3  # frames by which a beat may miss and still score exp(-1/2)

# The thresholds of skating are said to be m/s and are metres a frame.
TRAVELS = 0.03  # m a frame; a pelvis that goes farther travels
STANDS = 0.01  # m a frame; an ankle that moves less under the pelvis stands
SKATING_UP = 2  # the component of a position that skating takes for its height; elsewhere it is 1
_PELVIS, _ANKLES = JOINT["pelvis"], (JOINT["left_ankle"], JOINT["right_ankle"])


def published_motion_beats(joints: Float[Tensor, "T J 3"]) -> Int[Tensor, "beats"]:
    """Return the frames at which the mean speed of the joints, smoothed, has its minima.

    Args:
        joints: world positions, with the way of the root, metres; computed in their own precision.
    """
    return beats_of_batch(joints[None])[0].nonzero()[:, 0]


def beat_score(told: Int[Tensor, "M"], kept: Int[Tensor, "N"]) -> float:
    """Return the mean over the beats told of exp(-d^2 / 18), d frames from the nearest beat kept.

    BAS has beats told by the music, BED by the leader. A dancer with many beats scores well.

    Returns:
        NaN if there are no beats told (the original divides by zero) or none kept (it stops).
    """
    if not len(told) or not len(kept):
        return float("nan")
    nearest = (told[:, None] - kept).abs().amin(1).double()
    return float(torch.exp(-nearest.square() / (2 * BEAT_SIGMA**2)).mean())


def beat_alignment(joints: Float[Tensor, "T J 3"], beats: Bool[Tensor, "T_music"]) -> float:
    """Return BAS of one dance: its beats where the music has them, over the time they share.

    Args:
        joints: the dancer, metres; all joints count for the speed.
        beats: whether a beat of the music falls on a frame.

    Returns:
        In [0, 1]; NaN where the music or the dance has no beat.
    """
    frames = min(len(joints), len(beats))
    told = beats[: max(frames - 1, 0)].nonzero()[:, 0]  # the last frame has no speed
    return beat_score(told, published_motion_beats(joints[:frames]))


def beat_echo(follower: Float[Tensor, "T J 3"], leader: Float[Tensor, "T_leader J 3"]) -> float:
    """Return BED of one couple: the follower's beats where the leader has his, each at full length.

    Returns:
        In [0, 1]; NaN where one of them has no beat.
    """
    return beat_score(published_motion_beats(leader), published_motion_beats(follower))


def skating_frames(joints: Float[Tensor, "T J 3"], up: int = SKATING_UP) -> tuple[int, int]:
    """Return in how many steps from frame to frame a dancer skates, and of how many.

    Skating is a pelvis that travels on the floor while both ankles stand still under it. The first
    step is counted but never looked at, as in the original.

    Args:
        joints: world positions, metres; the original overwrites the pelvis, this does not.
        up: the component that is left out of the pelvis's way.
    """
    steps = torch.diff(joints, dim=0)[1:]
    level = [axis for axis in range(3) if axis != up]
    travels = steps[:, _PELVIS, level].norm(dim=-1) > TRAVELS
    stands = (steps[:, _ANKLES] - steps[:, [_PELVIS]]).norm(dim=-1) < STANDS
    return int((travels & stands.all(-1)).sum()), max(len(joints) - 1, 0)
