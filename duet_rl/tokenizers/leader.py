"""The leader as a follower sees it: continuous features, or the tokens of its poses."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.contact import foot_speed, palms, planted_feet
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import FEET, UP
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import (
    FrameConfig,
    HeadingFrame,
    MotionBatch,
    after_last,
    velocities,
)
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

LEADER, LEADER_TOKENS = "leader", "leader_tokens"  # names of the two among the conditions
_BODY = slice(1, 22)  # all joints of the body but the pelvis
_PALMS = 2
LEADER_CHANNELS = (
    3 * (_BODY.stop - _BODY.start)  # joints from the root, m
    + 3 * _PALMS  # palms from the root, m
    + 1  # height of the root, m
    + 3  # velocity of the root, m/s
    + 1  # yaw rate, rad/s
    + len(FEET)  # level speed of ankles and toes, m/s
    + 2  # whether the left and the right foot stand
)


def leader_features(
    leader: MotionBatch, config: FrameConfig, cache: StreamCache | None = None
) -> Float[Tensor, "B T C"]:
    """Return `LEADER_CHANNELS` channels a frame, in the leader's own low-passed heading frame.

    Turning or moving the leader over the floor changes nothing. They are in metres and seconds,
    not normalised.

    Args:
        leader: `(B, T)` frames.
        config: how the heading is low-passed, and whether it may look ahead.
        cache: continues the clip it was used for before, in pieces of two frames or more.
    """
    frame = HeadingFrame(config)
    heading = frame.heading(leader.joints, "leader features", cache)
    joints = after_last(leader.joints, cache, "leader features joints")
    turning = after_last(heading[..., None], cache, "leader features heading")
    new = slice(-heading.shape[1], None)
    moved = velocities(joints[:, :, 0], config.fps)[:, new]
    turned = velocities(turning, config.fps)[:, new]
    speed = foot_speed(joints, config.fps)[:, new]
    joints = joints[:, new]
    root = joints[:, :, :1]
    points = torch.cat([joints[:, :, _BODY], palms(joints)], dim=2) - root
    return torch.cat(
        [
            rotate_yaw(points, -heading[..., None]).flatten(2),
            root[..., 0, UP, None],
            rotate_yaw(moved, -heading),
            turned,
            speed,
            planted_feet(joints).to(joints),
        ],
        dim=-1,
    )


def tokens_by_frame(
    encode: Callable[[MotionBatch], Int[Tensor, "B N S"]], leader: MotionBatch
) -> Int[Tensor, "B T S"]:
    """Return for each frame the tokens of the four frames that begin there.

    A window that begins at any frame thus finds its tokens in every fourth row. The last three
    frames, at which no four begin, repeat the rows four frames before them.

    Args:
        encode: tokens of a motion of whole tokens.
        leader: `(B, T)` frames, eight or more.
    """
    frames = leader.joints.shape[1]
    rows: list[Tensor] = [torch.empty(0)] * frames
    for start in range(FRAMES_PER_TOKEN):
        stop = start + (frames - start) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
        cut = MotionBatch(leader.joints[:, start:stop], leader.rotations[:, start:stop])
        rows[start:stop:FRAMES_PER_TOKEN] = encode(cut).unbind(1)
    for frame in range(frames - FRAMES_PER_TOKEN + 1, frames):
        rows[frame] = rows[frame - FRAMES_PER_TOKEN]
    return torch.stack(rows, dim=1)


def window_of(rows: Tensor, frame: int, steps: int) -> Tensor:
    """Return what a window of token steps holds of a whole clip's rows, one row a frame.

    Features keep every frame, tokens (whole numbers, see `tokens_by_frame`) one a step. Beyond
    the end of the clip its last row goes on.
    """
    apart = 1 if rows.is_floating_point() else FRAMES_PER_TOKEN
    index = torch.arange(frame, frame + steps * FRAMES_PER_TOKEN, apart)
    return rows[index.clamp_max(len(rows) - 1)]
