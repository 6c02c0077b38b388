"""The learner: packed rollouts in, one gradient step out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.utils.annotations import override
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.datasets.windows import step_seed
from duet_rl.models.bailando import MUSIC_BEFORE
from duet_rl.models.duolando import LEADER
from duet_rl.models.follower import value_head
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.window_gpt import MUSIC
from duet_rl.rl.dances import Dances
from duet_rl.rl.losses import LOSSES, Experience, Loss, Verdict
from duet_rl.rl.losses.rewards import RewardScale
from duet_rl.rl.module import VERDICT, FollowerRLModule
from duet_rl.rl.replay import RolloutGroup
from duet_rl.rl.windows import WindowSizes, counted_actions, cut_windows, replay_windows

_POLICY, _VALUE = "policy", "value"  # the optimizers: the value head learns faster
_COUNTED = "counted"  # column: which tokens of windows an actor learns from
_WEIGHTS, _PROXIMAL, _REWARDS = "weights.", "proximal.", "rewards."  # prefixes in a checkpoint


class Skips(NamedTuple):
    """Gradient steps that were not taken, because the loss or a gradient was no number."""

    total: int
    in_a_row: int  # up to now


class WindowCut(NamedTuple):
    """How whole dances are cut into windows."""

    sizes: WindowSizes
    stride: int  # every so many windows one is kept
    drop_last: bool  # leave out the last window of a dance
    most: int | None = None  # windows that a batch keeps, drawn at random


class RolloutsToBatch(ConnectorV2):
    """Turn packed rollouts into one batch; music and leader are looked up, not carried.

    Args:
        dances: where the features of a clip are looked up.
        cut: how dances are cut, for followers that see no more than a window at once.
        device: where the batch goes.
    """

    def __init__(
        self, dances: Dances, cut: WindowCut | None = None, device: str | torch.device = "cpu"
    ) -> None:
        super().__init__()
        self.dances, self.cut, self.device = dances, cut, device
        self.step: tuple[int, ...] = (0,)  # which gradient step it is; windows are drawn by it

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
        if self.cut is not None:
            columns = _windows(columns, self.cut, np.random.default_rng(self.step))
        return {DEFAULT_MODULE_ID: columns}

    def _stack(self, arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(self.device)

    def _conditions(self, groups: Sequence[RolloutGroup]) -> dict[str, Tensor]:
        windows: dict[str, list[Tensor]] = {}
        for group in groups:
            for name, rows in self.dances.window(group.clip, group.frame).items():
                windows.setdefault(name, []).append(rows.expand(len(group.tokens), -1, -1))
        return {name: torch.cat(parts).to(self.device) for name, parts in windows.items()}


class FollowerLearner(TorchLearner):
    """Gradient steps on the follower, from the loss that the settings name."""

    config: Any  # a DuetRLConfig, which stands above this file
    _learner_connector: Any

    @override(TorchLearner)
    def build(self) -> None:
        super().build()
        for connector in self._connectors():
            connector.device = self.device
        start = checkpoint.load(self.config.follower, "follower")
        # RLlib itself would skip keys that do not match; a warm start must be whole.
        checkpoint.load_module(self.follower.gpt, start.tensors, start.path)
        if isinstance(self.follower.gpt, MultiStreamGPT):
            nn.init.zeros_(self.follower.gpt.value.read.weight)  # pretraining leaves it untrained
            nn.init.zeros_(self.follower.gpt.value.read.bias)
        self.follower.freeze_start()
        self.skips, self._finite = Skips(0, 0), True
        self._begin(0)
        self.reward_scale = RewardScale(self.config.settings.normalise_rewards)

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
        head = value_head(self.follower.gpt)
        values = [] if head is None else list(head.parameters())
        own = {id(parameter) for parameter in values}
        rest = [p for p in self.get_parameters(self.follower) if id(p) not in own]
        for name, params in ((_POLICY, rest), (_VALUE, values)):
            if params:
                optimizer = torch.optim.Adam(
                    params, lr=self._rate(name), betas=self.config.settings.betas
                )
                self.register_optimizer(
                    module_id=module_id, optimizer_name=name, optimizer=optimizer, params=params
                )

    def begin_update(self, done: int) -> None:
        """Make what dropout draws depend on the number of updates alone, so that runs resume."""
        torch.manual_seed(step_seed(self.config.settings.seed, done))

    def begin_iteration(self, done: int) -> None:
        """Set the learning rates after `done` iterations."""
        self._begin(done)
        settings = self.config.settings
        factor = settings.decay ** sum(done >= milestone for milestone in settings.milestones)
        for name, optimizer in self._adams().items():
            for group in optimizer.param_groups:
                group["lr"] = self._rate(name) * factor

    def _begin(self, done: int) -> None:
        self._iterations = done
        self._count(0)

    def _count(self, taken: int) -> None:
        """Note how many gradient steps of this iteration are taken.

        What the next one draws depends on that and not on its rollouts: many of one song are alike.
        """
        self._taken = taken
        for connector in self._connectors():
            connector.step = (self.config.settings.seed, self._iterations, taken)

    def _connectors(self) -> list[RolloutsToBatch]:
        every = self._learner_connector.connectors
        return [connector for connector in every if isinstance(connector, RolloutsToBatch)]

    def _rate(self, optimizer: str) -> float:
        settings = self.config.settings
        return float(settings.lr if optimizer == _POLICY else settings.value_lr)

    @override(TorchLearner)
    def compute_gradients(self, loss_per_module: Any, **kwargs: Any) -> dict[Any, Tensor]:
        gradients = super().compute_gradients(loss_per_module, **kwargs)
        # A loss without values leaves the value head without gradients.
        known = {key: gradient for key, gradient in gradients.items() if gradient is not None}
        numbers = [*loss_per_module.values(), *known.values()]
        self._finite = all(bool(torch.isfinite(number).all()) for number in numbers)
        return known

    @override(TorchLearner)
    def apply_gradients(self, gradients_dict: Any) -> None:
        """Take the step, unless the loss or a gradient is no number: that would spoil it all."""
        if self._finite:
            self.skips = self.skips._replace(in_a_row=0)
            super().apply_gradients(gradients_dict)
        else:
            self.skips = Skips(self.skips.total + 1, self.skips.in_a_row + 1)

    @override(TorchLearner)
    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        settings, given = self.config.settings, self.follower.gpt.prompt_steps
        experience = Experience(
            self.reward_scale(batch[Columns.REWARDS][:, given:]),
            batch[Columns.ACTION_LOGP][:, given:],
            settings.rollouts,
            batch.get(_COUNTED),
            self._taken,
        )
        verdict: Verdict = fwd_out[VERDICT].at(slice(given, None))
        loss = self._loss(verdict, experience)
        known = dict(loss.metrics)
        if self.follower.reference is None:  # what it would be measured to is not there
            known.pop("kl", None)
        self.metrics.log_dict(known, key=module_id, window=1)
        return loss.total

    def _loss(self, verdict: Verdict, experience: Experience) -> Loss:
        settings = self.config.settings
        return LOSSES[settings.loss](verdict, experience, getattr(settings, settings.loss))

    @override(TorchLearner)
    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        self._count(self._taken + 1)
        self.follower.follow(self.config.settings.ppo.proximal_decay)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return weights and optimizer states by name, for a checkpoint."""
        tensors = _put(_WEIGHTS, self.follower.gpt.state_dict())
        if self.follower.proximal is not None:
            tensors |= _put(_PROXIMAL, self.follower.proximal.state_dict())
        tensors |= _put(_REWARDS, self.reward_scale.tensors())
        for name, optimizer in self._adams().items():
            for index, row in optimizer.state_dict()["state"].items():
                for key, value in row.items():
                    tensors[f"{name}.{index}.{key}"] = torch.as_tensor(value)
        return tensors

    def load_state_tensors(
        self, tensors: Mapping[str, Tensor], version: int, skips: Skips = Skips(0, 0)
    ) -> None:
        """Take back what `state_tensors` returned, as weights of `version`, after these skips."""
        self.skips = skips
        source = "the saved RL state"
        checkpoint.load_module(self.follower.gpt, _under(tensors, _WEIGHTS), source)
        if self.follower.proximal is not None:
            checkpoint.load_module(self.follower.proximal, _under(tensors, _PROXIMAL), source)
        self.reward_scale.load_tensors(_under(tensors, _REWARDS))
        for name, optimizer in self._adams().items():
            rows: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(tensors, f"{name}.").items():
                index, _, field = key.partition(".")
                rows.setdefault(int(index), {})[field] = value.clone()
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": rows, "param_groups": groups})
        self._weights_seq_no = version

    def _adams(self) -> dict[str, torch.optim.Optimizer]:
        known = {name: f"{DEFAULT_MODULE_ID}_{name}" for name in (_POLICY, _VALUE)}
        return {
            name: self.get_optimizer(DEFAULT_MODULE_ID, name)
            for name, registered in known.items()
            if registered in self._named_optimizers
        }


def _windows(columns: dict[str, Any], cut: WindowCut, rng: np.random.Generator) -> dict[str, Any]:
    """Return dances cut into windows, each with the token before the first one that is judged."""
    told, sizes = columns[Columns.OBS], cut.sizes
    windows = replay_windows(
        columns[Columns.ACTIONS],
        columns[Columns.REWARDS],
        told.get(LEADER),
        told[MUSIC],
        sizes,
        cut.drop_last,
    )
    dances = len(columns[Columns.ACTIONS])
    count = len(windows.tokens) // dances
    # What comes first is given: what it earned is not looked at, nor the music before the window.
    first = (0, 0, 1, 0)
    log_probs = cut_windows(columns[Columns.ACTION_LOGP], 1, sizes.block, count)
    music = nn.functional.pad(windows.music, (0, 0, sizes.music_rate, 0))
    before = sizes.look_back * sizes.music_rate
    heard = {MUSIC: music[:, before:]} | ({MUSIC_BEFORE: music[:, :before]} if before else {})
    led = {} if windows.leader is None else {LEADER: windows.leader}
    rows = {
        Columns.ACTIONS: torch.cat([windows.tokens[:, :1], windows.targets], dim=1),
        Columns.REWARDS: nn.functional.pad(windows.rewards, first),
        Columns.ACTION_LOGP: nn.functional.pad(log_probs, first),
    }
    # The windows of each dance that are kept, and of these those that a step has room for.
    kept = torch.arange(dances)[:, None] * count + torch.arange(0, count, cut.stride)
    counted = counted_actions(kept.shape[1], sizes.block, cut.stride).repeat(dances, 1)
    chosen = torch.arange(kept.numel())
    if cut.most is not None and len(chosen) > cut.most:
        chosen = torch.from_numpy(np.sort(rng.choice(len(chosen), cut.most, replace=False)))
    kept = kept.flatten()[chosen].to(windows.tokens.device)
    return {
        **{name: column[kept] for name, column in rows.items()},
        _COUNTED: counted[chosen].to(kept.device),
        Columns.OBS: {name: column[kept] for name, column in {**heard, **led}.items()},
    }


def _put(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix` before their names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
