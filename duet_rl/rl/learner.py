"""The learner: packed rollouts in, one gradient step out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.utils.annotations import override
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.rl.dances import Dances
from duet_rl.rl.losses import Experience, Loss, Verdict, actor_critic, duolando
from duet_rl.rl.module import VERDICT, FollowerRLModule
from duet_rl.rl.replay import RolloutGroup
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_POLICY, _VALUE = "policy", "value"  # the optimizers: the value head learns faster
_WEIGHTS = "weights."  # prefix in a checkpoint


class RolloutsToBatch(ConnectorV2):
    """Turn packed rollouts into one batch; music and leader are looked up, not carried.

    Args:
        dances: where the features of a clip are looked up.
        device: where the batch goes.
    """

    def __init__(self, dances: Dances, device: str | torch.device = "cpu") -> None:
        super().__init__()
        self.dances, self.device = dances, device

    @override(ConnectorV2)
    def __call__(
        self, *, rl_module: Any, batch: Any, episodes: Sequence[RolloutGroup], **kwargs: Any
    ) -> dict[str, dict[str, Any]]:
        columns = {
            Columns.ACTIONS: self._stack([group.tokens for group in episodes]).long(),
            Columns.ACTION_LOGP: self._stack([group.log_probs for group in episodes]),
            Columns.REWARDS: self._stack([group.rewards for group in episodes]),
            Columns.OBS: self._conditions(episodes),
        }
        return {DEFAULT_MODULE_ID: columns}

    def _stack(self, arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(self.device)

    def _conditions(self, groups: Sequence[RolloutGroup]) -> dict[str, Tensor]:
        windows: dict[str, list[Tensor]] = {}
        for group in groups:
            rollouts, steps, _ = group.tokens.shape
            frames = slice(group.frame, group.frame + steps * FRAMES_PER_TOKEN)
            for name, feature in self.dances.features(group.clip).items():
                windows.setdefault(name, []).append(feature[frames].expand(rollouts, -1, -1))
        return {name: torch.cat(parts).to(self.device) for name, parts in windows.items()}


class FollowerLearner(TorchLearner):
    """Gradient steps on the follower, from the loss that the settings name."""

    config: Any  # a DuetRLConfig, which stands above this file
    _learner_connector: Any

    @override(TorchLearner)
    def build(self) -> None:
        super().build()
        for connector in self._learner_connector.connectors:
            if isinstance(connector, RolloutsToBatch):
                connector.device = self.device
        start = checkpoint.load(self.config.follower, "follower")
        # RLlib itself would skip keys that do not match; a warm start must be whole.
        checkpoint.load_module(self.follower.gpt, start.tensors, start.path)
        nn.init.zeros_(self.follower.gpt.value.read.weight)  # pretraining leaves it untrained
        nn.init.zeros_(self.follower.gpt.value.read.bias)
        self.follower.freeze_start()

    @property
    def follower(self) -> FollowerRLModule:
        """The module being trained."""
        module: Any = self.module[DEFAULT_MODULE_ID].unwrapped()
        return module

    @override(TorchLearner)
    def get_parameters(self, module: Any) -> list[nn.Parameter]:
        return [parameter for parameter in module.parameters() if parameter.requires_grad]

    @override(TorchLearner)
    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        settings = self.config.settings
        values = list(self.follower.gpt.value.parameters())
        own = {id(parameter) for parameter in values}
        rest = [p for p in self.get_parameters(self.follower) if id(p) not in own]
        for name, params, lr in (
            (_POLICY, rest, settings.lr),
            (_VALUE, values, settings.value_lr),
        ):
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=torch.optim.Adam(params),
                params=params,
                lr_or_lr_schedule=lr,
            )

    @override(TorchLearner)
    def compute_gradients(self, loss_per_module: Any, **kwargs: Any) -> dict[Any, Tensor]:
        gradients = super().compute_gradients(loss_per_module, **kwargs)
        # A loss without values leaves the value head without gradients.
        return {key: gradient for key, gradient in gradients.items() if gradient is not None}

    @override(TorchLearner)
    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        settings = self.config.settings
        experience = Experience(
            batch[Columns.REWARDS], batch[Columns.ACTION_LOGP], settings.rollouts
        )
        loss = self._loss(fwd_out[VERDICT], experience)
        self.metrics.log_dict(loss.metrics, key=module_id, window=1)
        return loss.total

    def _loss(self, verdict: Verdict, experience: Experience) -> Loss:
        settings = self.config.settings
        if settings.loss == "duolando":
            return duolando(verdict, experience, settings.duolando)
        return actor_critic(verdict, experience, settings.actor_critic)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return weights and optimizer states by name, for a checkpoint."""
        tensors = {_WEIGHTS + k: v for k, v in self.follower.gpt.state_dict().items()}
        for name, optimizer in self._adams().items():
            for index, row in optimizer.state_dict()["state"].items():
                for key, value in row.items():
                    tensors[f"{name}.{index}.{key}"] = torch.as_tensor(value)
        return tensors

    def load_state_tensors(self, tensors: Mapping[str, Tensor], version: int) -> None:
        """Take back what `state_tensors` returned, as weights of `version`."""
        checkpoint.load_module(self.follower.gpt, _under(tensors, _WEIGHTS), "the saved RL state")
        for name, optimizer in self._adams().items():
            rows: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(tensors, f"{name}.").items():
                index, _, field = key.partition(".")
                rows.setdefault(int(index), {})[field] = value.clone()
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": rows, "param_groups": groups})
        self._weights_seq_no = version

    def _adams(self) -> dict[str, torch.optim.Optimizer]:
        return {name: self.get_optimizer(DEFAULT_MODULE_ID, name) for name in (_POLICY, _VALUE)}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
