"""DuetDanceVectorEnv: the same dance, N at a time, decoded and rewarded as one batch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import UInt8

from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.split import Split
from envs.dance import Observation, open_dances
from envs.duet import METADATA, PICTURE, check_render_mode, pick_info
from envs.scene import Pick
from envs.unfolding import Codec


class DuetDanceVectorEnv(VectorEnv):
    """`num_envs` dances as one batch; dance `i` of `reset(seed)` is `DuetDanceEnv` of `seed + i`.

    All dances are equally long and end together; the step after the last begins new ones
    (gymnasium's `NEXT_STEP`). `dances` is the `DanceBatch` itself, for learners that roll out and
    score whole dances at once. The arguments are those of `DuetDanceEnv`.
    """

    metadata: dict[str, Any] = METADATA | {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        num_envs: int,
        data: str | Path | Sequence[DuetClip],
        codec: str | Path | Codec,
        split: Split = "train",
        rewards: Mapping[str, Any] | None = None,
        dance: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_render_mode(render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.dances = open_dances(
            data, codec, num_dances=num_envs, split=split, rewards=rewards, dance=dance
        )
        self.single_observation_space = self.dances.observation_space
        self.single_action_space = self.dances.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._over = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin new dances; `options={"picks": [(clip, frame), ...]}` chooses the windows."""
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        for index, one in enumerate(seeds or ()):
            if one is not None:
                self._generators[index] = seeding.np_random(one)[0]
        picks = (options or {}).get("picks")
        self.dances.restart(self._generators, picks and [Pick(*pick) for pick in picks])
        self._over = False
        return self.dances.observe(), self._infos()

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Dance one token step in every dance, or begin anew where the last step ended them."""
        nothing = np.zeros(self.num_envs, bool)
        if self._over:
            observation, infos = self.reset()
            return observation, np.zeros(self.num_envs), nothing, nothing.copy(), infos
        result = self.dances.step(actions)
        self._over = result.truncated
        truncated = np.full(self.num_envs, result.truncated)
        reward = result.reward.astype(np.float64)
        return result.observation, reward, nothing, truncated, self._infos(result.terms)

    def render(  # type: ignore[override]
        self,
    ) -> tuple[UInt8[np.ndarray, "H W 3"], ...] | None:
        """Return a picture of every couple, or None without `render_mode`."""
        if self.render_mode is None:
            return None
        return tuple(self.dances.draw(dance, *PICTURE) for dance in range(self.num_envs))

    def _infos(self, terms: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
        """Return infos as gymnasium batches them: arrays, each beside a mask of who has it."""
        infos: dict[str, Any] = {}
        for index, pick in enumerate(self.dances.picks):
            info: dict[str, Any] = (
                {}
                if terms is None
                else {
                    "reward_terms": {name: float(values[index]) for name, values in terms.items()}
                }
            )
            infos = self._add_info(infos, {**info, **pick_info(pick)}, index)
        return infos
