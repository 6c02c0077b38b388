"""Actor-critic losses: ours, over whole returns, and Bailando's, over one-step TD errors."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.rl.losses.advantages import CreditConfig, advantages_of, value_loss
from duet_rl.rl.losses.base import (
    Experience,
    Loss,
    PolicyConfig,
    Verdict,
    anchored,
    assemble,
    importance_ratios,
    ratio_metrics,
    too_rare,
)


class ActorCriticConfig(CreditConfig):
    """Advantages over a group baseline and a value head, corrected for stale rollouts."""

    max_ratio: float = Field(2.0, gt=0)  # importance ratios above are cut to this


class BailandoLossConfig(PolicyConfig):
    """One-step TD errors; as they were with gamma 1, shared, and no KL."""

    gamma: float = Field(0.5, ge=0, le=1)  # discount a token step; theirs is 1
    shared: bool = False  # one reward (the mean) and one value (the sum) for all streams, as theirs
    # So many gradient steps for the policy, then as many for the value, and so on, from the policy
    # in each iteration; theirs is 5. None: each step is for both.
    alternate: int | None = Field(None, ge=1)
    entropy_bonus: float = Field(0.0, ge=0)  # added to the rewards, a nat; their alpha


def actor_critic(verdict: Verdict, experience: Experience, config: ActorCriticConfig) -> Loss:
    """Return a policy-gradient loss with a learned value and a group mean as baselines.

    Every stream has its own rewards, returns, values and advantages. Rollouts may come from an
    older policy: each token's importance ratio, cut at `max_ratio`, weighs its gradient
    (truncated importance sampling, as the rho of V-trace, Espeholt et al. 2018).
    """
    advantages, metrics = advantages_of(verdict, experience, config)
    ratios = importance_ratios(verdict, experience)
    weights = ratios.clamp_max(config.max_ratio)
    policy = -(weights * advantages * verdict.log_probs).mean()
    value = value_loss(verdict, experience, config)
    metrics = {**metrics, **ratio_metrics(ratios, config.max_ratio)}
    return assemble(policy, value, verdict, config, metrics)


def bailando(verdict: Verdict, experience: Experience, config: BailandoLossConfig) -> Loss:
    """Return Bailando's actor-critic loss, `-td log p` and `td^2` (spec bailando, section 5).

    Siyao et al. 2022, Bailando: 3D Dance Generation by Actor-Critic GPT with Choreographic Memory
    (arXiv 2203.13055, section 3.3), as their code has it: no importance ratio, no group, no
    normalisation; of `N` steps the last one lends its value alone. They call it on-policy and
    reuse rollouts for a whole epoch. Values foretell returns here, not mean rewards. The policy
    learns from the tokens that are `counted`, the value from all, as theirs. Their frozen base is
    the setting `rl.frozen_layers`.
    """
    judged = verdict.at(slice(-1))
    bonus = config.entropy_bonus * judged.entropy.sum(dim=-1)
    td = td_errors(experience.rewards, verdict.values, config) + bonus.detach()[..., None]
    advantages = td.detach()
    spared = too_rare((advantages < 0).expand_as(judged.log_probs), judged, config.floor)
    weighted = (advantages * judged.log_probs).masked_fill(spared, 0.0).sum(dim=-1) + bonus
    counted = torch.ones_like(weighted, dtype=torch.bool)
    if experience.counted is not None:
        counted = experience.counted[:, :-1]
    policy = -(weighted * counted).sum() / counted.sum().clamp_min(1)
    value = td.square().mean()
    metrics = {
        "advantage": advantages.std(),
        "spared": spared.float().mean(),
        **ratio_metrics(importance_ratios(verdict, experience), float("inf")),
    }
    loss = assemble(policy, value, verdict, config, metrics)
    if config.alternate is None:
        return loss
    if experience.update // config.alternate % 2:
        return loss._replace(total=config.value_weight * value)
    return loss._replace(total=anchored(policy, verdict, config))


def td_errors(
    rewards: Float[Tensor, "B N S"], values: Float[Tensor, "B N S"], config: BailandoLossConfig
) -> Float[Tensor, "B M Z"]:
    """Return `r_i + gamma V_(i+1) - V_i` of all steps but the last; the next value has no gradient.

    `Z` is 1 if streams share reward and value, and `S` otherwise.
    """
    if config.shared:
        rewards, values = rewards.mean(-1, keepdim=True), values.sum(-1, keepdim=True)
    return rewards[:, :-1] + config.gamma * values[:, 1:].detach() - values[:, :-1]
