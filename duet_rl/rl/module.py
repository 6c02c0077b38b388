"""The follower as an RLlib policy."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.utils.annotations import override
from torch import Tensor, nn

from duet_rl.models.attention import SelfAttention
from duet_rl.models.bailando import BailandoGPT
from duet_rl.models.follower import FollowerGPT, build_gpt, read_gpt_config
from duet_rl.models.multistream_gpt import GPTOutput, MultiStreamGPT
from duet_rl.models.policy import SamplingConfig, policy_logits
from duet_rl.models.repeated import Repeated, set_checkpointing
from duet_rl.rl.losses import Verdict

VERDICT = "verdict"


class FollowerRLModule(TorchRLModule, InferenceOnlyAPI):
    """One categorical action per token stream, one value per stream and step.

    The network is a plain follower GPT; this class only translates between its tensors and RLlib's
    batch columns, so the GPT never learns that RLlib exists. `reference` is the frozen follower
    that RL started from, `proximal`, where the loss wants it, a moving average of what it has been
    since; env runners do without them.
    """

    model_config: Any  # RLlib: a dict, once it is here

    @override(TorchRLModule)
    def setup(self) -> None:
        config = read_gpt_config(self.model_config["gpt"])
        self.sampling = SamplingConfig(temperature=self.model_config["temperature"])
        self.dropout: bool = self.model_config["dropout"]
        self.look_ahead: int | None = self.model_config["look_ahead"]
        self.gpt = build_gpt(config)
        if isinstance(self.gpt, MultiStreamGPT) and self.gpt.words is not None:
            self.gpt.words.requires_grad_(False)  # nobody says anything
        self.half: bool = self.model_config["half"]
        set_checkpointing(self.gpt, self.model_config["checkpointing"])
        self.reference: nn.Module | None = None
        if self.model_config["reference"]:
            self.reference = build_gpt(config).requires_grad_(False)
        self.proximal: nn.Module | None = None
        if self.model_config["proximal"]:
            self.proximal = build_gpt(config).requires_grad_(False)
        if self.model_config["frozen_layers"]:
            _freeze(self.gpt, self.model_config["frozen_layers"])
        self.action_dist_cls = TorchMultiCategorical.get_partial_dist_cls(
            input_lens=list(config.classes)
        )
        self.train()

    @override(InferenceOnlyAPI)
    def get_non_inference_attributes(self) -> list[str]:
        return ["reference", "proximal"]

    def train(self, mode: bool = True) -> "FollowerRLModule":
        """Stay in evaluation mode: tokens are judged by the policy that sampled them.

        Dropout and a corrupted history would make it another one. The setting `dropout` leaves
        dropout on all the same, as the paper does.
        """
        super().train(False)
        for part in self.gpt.modules():
            if isinstance(part, nn.Dropout | SelfAttention):
                part.train(mode and self.dropout)
            elif isinstance(part, Repeated):  # itself alone: whether it may run again
                part.training = mode
        return self

    def freeze_start(self) -> None:
        """Make the present weights the ones that KL is measured to."""
        if self.reference is not None:
            self.reference.load_state_dict(self.gpt.state_dict())
        if self.proximal is not None:
            self.proximal.load_state_dict(self.gpt.state_dict())

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the proximal weights towards the present ones; `decay` of what they were stays."""
        if self.proximal is None:
            return
        now = self.gpt.state_dict()
        for name, weights in self.proximal.state_dict().items():
            if weights.is_floating_point():
                weights.lerp_(now[name], 1 - decay)

    def verdict(self, tokens: Int[Tensor, "B N S"], conditions: Mapping[str, Tensor]) -> Verdict:
        """Return what the policy, sampling as it does in rollouts, says about `tokens`."""
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self.half):
            output: GPTOutput = self.gpt(tokens, conditions, self.look_ahead)
            with torch.no_grad():
                start = output
                if self.reference is not None:
                    start = self.reference(tokens, conditions, self.look_ahead)
                proximal = self._proximal_log_probs(tokens, conditions)
        rows = [
            self._judge(now, before, tokens[..., stream])
            for stream, (now, before) in enumerate(zip(output.logits, start.logits, strict=True))
        ]
        chosen, entropy, kl = (torch.stack(column, dim=-1) for column in zip(*rows, strict=True))
        values = output.values
        if isinstance(self.gpt, MultiStreamGPT):
            # The value reads the state and leaves it alone: it starts from nothing, and its first
            # errors would spoil what pretraining has learned.
            values = self.gpt.value(output.hidden.detach()[:, :, None])
        return Verdict(chosen, entropy, kl, values, proximal)

    @override(TorchRLModule)
    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {VERDICT: self.verdict(batch[Columns.ACTIONS], batch[Columns.OBS])}

    @override(TorchRLModule)
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        output = self.gpt(batch[Columns.ACTIONS], batch[Columns.OBS], self.look_ahead)
        return {Columns.ACTION_DIST_INPUTS: torch.cat(output.logits, dim=-1)}

    def _proximal_log_probs(self, tokens: Tensor, conditions: Mapping[str, Tensor]) -> Any:
        if self.proximal is None:
            return None
        output: GPTOutput = self.proximal(tokens, conditions, self.look_ahead)
        each = [_of(tokens[..., s], self._log_probs(x)) for s, x in enumerate(output.logits)]
        return torch.stack(each, dim=-1)

    def _judge(
        self, logits: Tensor, start: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return of one stream: log-probability of each token, entropy, KL to the start."""
        now, before = self._log_probs(logits), self._log_probs(start)
        mass = now.exp()
        return _of(tokens, now), -(mass * now).sum(-1), (mass * (now - before)).sum(-1)

    def _log_probs(self, logits: Tensor) -> Tensor:
        return nn.functional.log_softmax(policy_logits(logits, self.sampling), dim=-1)


def _of(tokens: Tensor, log_probs: Tensor) -> Tensor:
    """Return the log-probability of each token."""
    return log_probs.gather(-1, tokens[..., None]).squeeze(-1)


def _freeze(gpt: FollowerGPT, layers: int) -> None:
    """Keep the weights of the lowest `layers` layers, and of all that comes before them."""
    above: list[nn.Module | None]
    if isinstance(gpt, MultiStreamGPT):
        above = [gpt.trunk.layers[layers:], gpt.trunk.norm, gpt.heads, gpt.value]
    else:
        above = [*[*gpt.base, *gpt.head][layers:], gpt.classify]
        if isinstance(gpt, BailandoGPT):
            above += [gpt.norm, gpt.critic]
    gpt.requires_grad_(False)
    for part in above:
        if part is not None:
            part.requires_grad_(True)
