"""The windows and features that strict set scores compare."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from duet_rl.metrics.manual_features import manual_features
from duet_rl.metrics.motion_features import (
    corrected,
    duet_features,
    joints_of_smpl,
    kinetic_features,
)

WINDOW_SECONDS = 2.0  # s; of a waltz two thirds of a turn, of a salsa a basic step
KINETIC, MANUAL, DUET = "kinetic", "manual", "duet"
FEATURES: dict[str, str] = {
    KINETIC: "energy and effort of each joint: how a dancer moves",
    MANUAL: "32 questions about pose and movement: what a dancer does",
    DUET: "distances between joints of the two: how a couple stands",
}


def window_features(
    follower: Float[Tensor, "B T 55 3"],
    leader: Float[Tensor, "B T 55 3"] | None,
    fps: float,
    seconds: float = WINDOW_SECONDS,
) -> dict[str, Float[Tensor, "B W D"]]:
    """Return the features of `FEATURES` of windows beside each other, without the published slips.

    Args:
        follower: joints, metres, Y-up.
        leader: joints of the partner; for a dancer alone None, and there are no duet features.
        fps: frames per second.
        seconds: length of a window; what is left at the end of a clip is not looked at.

    Returns:
        By name, `(B, W, D)` in double precision, in the order of `FEATURES`; no windows if the
        clips are shorter than one.
    """
    frames = max(1, round(seconds * fps))
    ours = _windows(follower.double(), frames)
    rules, body = corrected(fps), joints_of_smpl(ours)
    compute: dict[str, Callable[[], Tensor]] = {
        KINETIC: lambda: kinetic_features(body, rules),
        MANUAL: lambda: manual_features(body, rules),
    }
    if leader is not None:
        theirs = _windows(leader.double(), frames)
        compute[DUET] = lambda: duet_features(ours, theirs)
    return {name: compute[name]() for name in FEATURES if name in compute}


def _windows(joints: Float[Tensor, "B T 55 3"], frames: int) -> Float[Tensor, "B W F 55 3"]:
    count = joints.shape[1] // frames
    return joints[:, : count * frames].unflatten(1, (count, frames))
