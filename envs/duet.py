"""DuetDanceEnv: one follower, one leader, one token of every stream a step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import UInt8

from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.split import Split
from duet_rl.errors import InputError
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from envs.dance import Observation, open_dances
from envs.scene import Pick
from envs.unfolding import Codec

TOKENS_PER_SECOND = FPS / FRAMES_PER_TOKEN
PICTURE = (640, 360)  # width and height of a rendered frame, pixels
RENDER_MODES = ("rgb_array",)
METADATA = {"render_modes": list(RENDER_MODES), "render_fps": TOKENS_PER_SECOND}


class DuetDanceEnv(gymnasium.Env):
    """Follow a leader through a window of a dance, `DuetDance-v0`.

    The observation holds windows of the music, of the leader and of the follower's own past
    tokens; an action is one token in every stream, 4 frames of motion. The reward is the weighted
    mean of the reward terms, in [0, 1]; `info["reward_terms"]` has each of them. An episode never
    terminates; it is truncated after `seconds`.

    Example:
        gymnasium.make("envs:DuetDance-v0", data="runs/demo/data", codec="runs/demo/follower")

    Args:
        data: folder of a clip store, or clips.
        codec: folder that holds a codec, or a codec.
        split: `train`, `val` or `test` of the store.
        rewards: settings of `RewardMixConfig`, e.g. `{"weights": {"foot": 1.0}}`.
        dance: settings of `DanceConfig`, e.g. `{"seconds": 4}`.
        render_mode: `rgb_array` or None.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        data: str | Path | Sequence[DuetClip],
        codec: str | Path | Codec,
        split: Split = "train",
        rewards: Mapping[str, Any] | None = None,
        dance: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self.dances = open_dances(data, codec, split=split, rewards=rewards, dance=dance)
        self.observation_space = self.dances.observation_space
        self.action_space = self.dances.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a new dance; `options={"pick": (clip, frame)}` chooses the window."""
        super().reset(seed=seed)
        pick = (options or {}).get("pick")
        self.dances.restart([self.np_random], None if pick is None else [Pick(*pick)])
        return _first(self.dances.observe()), pick_info(self.dances.picks[0])

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Dance one token step."""
        result = self.dances.step(np.asarray(action)[None])
        terms = {name: float(values[0]) for name, values in result.terms.items()}
        info = {"reward_terms": terms, **pick_info(self.dances.picks[0])}
        reward = float(result.reward[0])
        return _first(result.observation), reward, False, result.truncated, info

    def render(self) -> UInt8[np.ndarray, "H W 3"] | None:  # type: ignore[override]
        """Return a picture of the couple, or None without `render_mode`."""
        return None if self.render_mode is None else self.dances.draw(0, *PICTURE)


def check_render_mode(mode: str | None) -> None:
    """Refuse a render mode that we have not."""
    if mode is not None and mode not in RENDER_MODES:
        raise InputError(f"render_mode {mode!r} is not one of {', '.join(RENDER_MODES)} or None")


def pick_info(pick: Pick) -> dict[str, int]:
    """Return what `info` says of where a dance is cut from."""
    return {"clip": pick.clip, "frame": pick.frame}


def _first(observation: Observation) -> Observation:
    return {name: values[0] for name, values in observation.items()}
