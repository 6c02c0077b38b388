"""The spaces of the dance: what the follower sees, and what it may do."""

import numpy as np
from gymnasium import Space, spaces

from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, TokenSpec

NO_TOKEN = -1  # in the window of past tokens: the dance had not begun
FEATURE_LIMIT = 1e4  # larger features of music and leader are cut to this; none should be


def observation_space(
    spec: TokenSpec, channels: dict[str, int], look_back: int, look_ahead: int
) -> Space:
    """Return the space of one observation.

    Args:
        spec: the follower's token streams.
        channels: name of each condition -> its values a frame, e.g. `{"music": 54, "leader": 170}`.
        look_back: token steps of the past in view.
        look_ahead: token steps of music and leader in view beyond the current one.

    Returns:
        One `(frames, channels)` box a condition, its last `1 + look_ahead` steps being the current
        one and the future, and `tokens`, the last `(look_back, S)` tokens, `NO_TOKEN` where the
        dance had not begun.
    """
    frames = (look_back + 1 + look_ahead) * FRAMES_PER_TOKEN
    windows = {
        name: spaces.Box(-FEATURE_LIMIT, FEATURE_LIMIT, (frames, width), np.float32)
        for name, width in channels.items()
    }
    highest = np.tile(np.array(spec.classes, np.int64) - 1, (look_back, 1))
    tokens = spaces.Box(np.full_like(highest, NO_TOKEN), highest, dtype=np.int64)
    return spaces.Dict({**windows, "tokens": tokens})


def action_space(spec: TokenSpec) -> spaces.MultiDiscrete:
    """Return the space of one action: a token in every stream."""
    return spaces.MultiDiscrete(np.array(spec.classes, np.int64))
