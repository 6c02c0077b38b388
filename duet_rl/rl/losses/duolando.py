"""Duolando's policy loss: each sampled token is pulled to a probability that its reward sets."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.rl.losses.base import (
    AnchorConfig,
    Experience,
    Loss,
    Verdict,
    anchored,
    drift,
    following,
)

# Duolando's RL loss (spec section 6.1); the names are ours, the numbers theirs.
NEXT_REWARD_SHARE = 0.2  # of the next step's reward that a step is credited with
LOG_MARGIN = 1.001  # keeps the logarithm finite where a token's probability misses its target by 1


class DuolandoLossConfig(AnchorConfig):
    """The loss of the paper: each sampled token's probability is pulled to a target."""

    alpha: float = Field(3.0, gt=0)  # slope of the sigmoid that turns a reward into the target
    centre: float = 0.0  # reward whose target is 1/2; theirs is 0, ours lie in [0, 1]
    kl_weight: float = Field(0.0, ge=0)  # the paper holds the policy by nothing


def duolando(verdict: Verdict, experience: Experience, config: DuolandoLossConfig) -> Loss:
    """Return Duolando's off-policy loss, `sum_s mean(-log(1.001 - |p - y|))` (spec 6.1).

    Siyao et al. 2024, Duolando: Follower GPT with Off-Policy Reinforcement Learning for Dance
    Accompaniment (arXiv 2403.18811), as their code has it. The targets y are those of
    `duolando_targets`. There is no baseline and no importance ratio, and no KL unless asked; a
    reward of 1 pulls the token to p = 0.97.
    """
    target = duolando_targets(experience.rewards, config)
    miss = (verdict.log_probs.exp() - target).abs()
    policy = -torch.log(LOG_MARGIN - miss).mean(dim=(0, 1)).sum()  # mean over B and N, sum over S
    metrics = {"loss/policy": policy.detach(), "target": target.mean(), **drift(verdict)}
    return Loss(anchored(policy, verdict, config), metrics)


def duolando_targets(
    rewards: Float[Tensor, "B N S"], config: DuolandoLossConfig
) -> Float[Tensor, "B N S"]:
    """Return the probability that each token is pulled to, `sigmoid(alpha (r + 0.2 r_next))`."""
    return torch.sigmoid(config.alpha * propagate_back(rewards - config.centre))


def propagate_back(rewards: Float[Tensor, "B N S"]) -> Float[Tensor, "B N S"]:
    """Return `r_i + 0.2 r_(i+1)`; the last step keeps its own. The input stays as it was."""
    return rewards + NEXT_REWARD_SHARE * following(rewards)
