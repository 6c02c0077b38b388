"""How a follower in RL does on held-out dances, by a mix of rewards that no trial changes."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from duet_rl import checkpoint
from duet_rl.datasets.store import DuetStore
from duet_rl.generate.follower import load_follower
from duet_rl.pretrain.rollouts import Rollouts
from duet_rl.rewards.base import RewardMixConfig
from duet_rl.tune.settings import JudgedConfig

PREFIX = "rollout/"  # of the tags, as in pretraining


class Judge:
    """Lets a follower dance with the leaders of the val split, the same way every time.

    Args:
        follower: folder of the follower that RL starts from.
        data: folder of the clip store.
        rewards: by which all trials are judged, whatever they are rewarded for.
        config: which dances.
    """

    def __init__(
        self, follower: Path, data: Path, rewards: RewardMixConfig, config: JudgedConfig
    ) -> None:
        loaded = load_follower(follower)
        clips = DuetStore.open(data).clips("val")
        mix = rewards.without_tokens()  # true partners have none, and scores stay in [0, 1]
        self._rollouts = Rollouts(loaded.codec, clips, config.clips, config.tokens, mix)
        self._model = loaded.model

    def score(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the rewards of the follower with these weights, by tag, in [0, 1]."""
        on_cpu = {name: tensor.detach().cpu() for name, tensor in weights.items()}
        checkpoint.load_module(self._model, on_cpu, "the follower in training")
        self._model.eval()
        scores = self._rollouts.score(self._model)
        return {f"{PREFIX}{name}": value for name, value in scores.items()}
