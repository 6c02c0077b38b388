"""Policy losses over whole rollouts: pure functions of what a policy says and what it earned."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config

LossName = Literal["actor_critic", "duolando"]

# Duolando's RL loss (spec section 6.1); the names are ours, the numbers theirs.
NEXT_REWARD_SHARE = 0.2  # of the next step's reward that a step is credited with
LOG_MARGIN = 1.001  # keeps the logarithm finite where a token's probability misses its target by 1

METRICS = (  # all that the losses log
    "loss/policy",
    "loss/value",
    "kl",
    "entropy",
    "ratio",  # mean importance ratio; 1 on-policy
    "ratio_cut",  # share of tokens whose ratio was cut
    "advantage",  # standard deviation, before it is normalised
    "value",
    "target",  # mean probability that `duolando` pulls to
)


class DuolandoLossConfig(Config):
    """The loss of the paper: each sampled token's probability is pulled to a target."""

    alpha: float = Field(3.0, gt=0)  # slope of the sigmoid that turns a reward into the target
    centre: float = 0.0  # reward whose target is 1/2; theirs is 0, ours lie in [0, 1]


class ActorCriticConfig(Config):
    """Advantages over a group baseline and a value head, corrected for stale rollouts."""

    gamma: float = Field(0.5, ge=0, lt=1)  # discount a token step (0.13 s); see docs/rl.md
    look_back: int = Field(1, ge=0)  # token steps before its own that a token's decoding changes
    max_ratio: float = Field(2.0, gt=0)  # importance ratios above are cut to this
    normalise: bool = True  # divide the advantages by their standard deviation in the batch
    value_weight: float = Field(0.5, ge=0)
    kl_weight: float = Field(0.05, ge=0)  # pull to the follower that RL started from
    entropy_weight: float = Field(0.0, ge=0)


class Verdict(NamedTuple):
    """What the policy says today about the tokens of `B` rollouts, `N` steps, `S` streams."""

    log_probs: Float[Tensor, "B N S"]  # of the sampled tokens
    entropy: Float[Tensor, "B N S"]  # nats
    kl: Float[Tensor, "B N S"]  # nats, to the frozen follower that RL started from
    values: Float[Tensor, "B N S"]  # expected mean of the rewards that a token has a hand in


class Experience(NamedTuple):
    """What the rollouts earned when they were sampled."""

    rewards: Float[Tensor, "B N S"]
    log_probs: Float[Tensor, "B N S"]  # of the behaviour policy
    group_size: int  # so many neighbouring rows follow the same leader


class Loss(NamedTuple):
    """A loss to minimise and detached scalars to log."""

    total: Float[Tensor, ""]
    metrics: dict[str, Tensor]


def duolando(verdict: Verdict, experience: Experience, config: DuolandoLossConfig) -> Loss:
    """Return Duolando's off-policy loss, `sum_s mean(-log(1.001 - |p - y|))` (spec 6.1).

    The targets y are those of `duolando_targets`. There is no baseline, no importance ratio and no
    KL; a reward of 1 pulls the token to p = 0.97.
    """
    target = duolando_targets(experience.rewards, config)
    miss = (verdict.log_probs.exp() - target).abs()
    per_stream = -torch.log(LOG_MARGIN - miss).mean(dim=(0, 1))  # (S,)
    return Loss(
        per_stream.sum(),
        {"loss/policy": per_stream.sum().detach(), "target": target.mean(), **_drift(verdict)},
    )


def duolando_targets(
    rewards: Float[Tensor, "B N S"], config: DuolandoLossConfig
) -> Float[Tensor, "B N S"]:
    """Return the probability that each token is pulled to, `sigmoid(alpha (r + 0.2 r_next))`."""
    return torch.sigmoid(config.alpha * propagate_back(rewards - config.centre))


def actor_critic(verdict: Verdict, experience: Experience, config: ActorCriticConfig) -> Loss:
    """Return a policy-gradient loss with a learned value and a group mean as baselines.

    Every stream has its own rewards, returns, values and advantages. Rollouts may come from an
    older policy: each token's importance ratio, cut at `max_ratio`, weighs its gradient
    (truncated importance sampling, as the rho of V-trace, Espeholt et al. 2018).
    """
    credit = reach(experience.rewards.shape[1], config.gamma, config.look_back)
    credit = credit.to(experience.rewards)
    mass = credit.sum(dim=1)[:, None]  # (N, 1); less near the end, where there is less to come
    returns = torch.einsum("ij,bjs->bis", credit, experience.rewards) / mass
    surprise = mass * (returns - verdict.values.detach())
    advantages = group_advantages(surprise, experience.group_size)
    spread = advantages.std()
    if config.normalise:
        advantages = advantages / (spread + torch.finfo(spread.dtype).eps)

    ratios = (verdict.log_probs.detach() - experience.log_probs).exp()
    weights = ratios.clamp_max(config.max_ratio)
    policy = -(weights * advantages * verdict.log_probs).mean()
    value = (verdict.values - returns).square().mean()
    kl, entropy = verdict.kl.mean(), verdict.entropy.mean()
    total = (
        policy
        + config.value_weight * value
        + config.kl_weight * kl
        - config.entropy_weight * entropy
    )
    metrics = {
        "loss/policy": policy.detach(),
        "loss/value": value.detach(),
        "advantage": spread,
        "ratio": ratios.mean(),
        "ratio_cut": (ratios > config.max_ratio).float().mean(),
        "value": verdict.values.detach().mean(),
        **_drift(verdict),
    }
    return Loss(total, metrics)


def propagate_back(rewards: Float[Tensor, "B N S"]) -> Float[Tensor, "B N S"]:
    """Return `r_i + 0.2 r_(i+1)`; the last step keeps its own. The input stays as it was."""
    following = torch.cat([rewards[:, 1:], torch.zeros_like(rewards[:, :1])], dim=1)
    return rewards + NEXT_REWARD_SHARE * following


def reach(steps: int, gamma: float, look_back: int = 0) -> Float[Tensor, "N N"]:
    """Return how much of each reward (column) a token (row) is credited with.

    Its own and later rewards count `gamma^k`, `k` steps on. The `look_back` rewards before its own
    count in full: decoding is not causal, so a token also moves the frames just before its own.
    """
    step = torch.arange(steps)
    ahead = (step[None, :] - step[:, None]).float()
    later = torch.where(ahead >= 0, gamma ** ahead.clamp_min(0), 0.0)
    earlier = (ahead < 0) & (ahead >= -look_back)
    return later + earlier.float()


def group_advantages(surprise: Float[Tensor, "B N S"], group_size: int) -> Float[Tensor, "B N S"]:
    """Return each row less the mean of the other rows of its group, step by step.

    Rows of one group follow the same leader, so what the moment itself is worth cancels. A group
    of one has no others: its rows come back as they are.
    """
    if group_size == 1:
        return surprise
    groups = surprise.unflatten(0, (-1, group_size))  # (B / group, group, N, S)
    centred = groups - groups.mean(dim=1, keepdim=True)
    return (centred * (group_size / (group_size - 1))).flatten(0, 1)


def _drift(verdict: Verdict) -> dict[str, Tensor]:
    """Return how far the policy is from its start, and how sure of itself."""
    return {"kl": verdict.kl.detach().mean(), "entropy": verdict.entropy.detach().mean()}
