"""OAPL: log-ratios to the policy that danced are regressed on optimal advantages."""

import math

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.rl.losses.advantages import (
    CreditConfig,
    credit_of,
    gae,
    group_advantages,
    value_loss,
)
from duet_rl.rl.losses.base import (
    Experience,
    Loss,
    Verdict,
    assemble,
    importance_ratios,
    ratio_metrics,
    too_rare,
)


class OAPLConfig(CreditConfig):
    """Temperatures, in standard deviations of the advantage where these are normalised."""

    beta: float = Field(0.3, gt=0)  # pull to the policy that danced; less goes farther from it
    value_beta: float = Field(1.0, gt=0)  # of the group's soft maximum; large: its mean


def oapl(verdict: Verdict, experience: Experience, config: OAPLConfig) -> Loss:
    """Return the regression of `beta log(pi / mu)` on the optimal advantage, `(.)^2 / (2 beta)`.

    After Ritter et al. 2026, LLMs Can Learn to Reason Via Off-Policy RL (arXiv 2602.19362): the
    policy mu that danced, however old, is the reference of the KL, and no importance ratio is
    needed. Derived here from what they state, not copied: `E[R] - beta KL(pi || mu)` is largest
    where `beta log(pi / mu) = R - V*`, with `V* = beta log E_mu exp(R / beta)`, estimated over the
    group (as Brantley et al. 2025, arXiv 2505.20686, do over samples of their reference).

    Theirs is one equation for a whole answer; here each token of each stream has its own, with
    its credited return less its value as R. Divided by `2 beta`, the gradient on-policy is a
    policy gradient with `R - V*` for advantage, so that all losses want the same step size. A
    ratio far off 1 pulls back in proportion to its logarithm.
    """
    surprise = credit_of(verdict, experience, config).surprise
    surprise = gae(surprise, config.gamma, config.gae_lambda)
    spread = group_advantages(surprise, experience.group_size).std()
    if config.normalise:
        surprise = surprise / (spread + torch.finfo(spread.dtype).eps)
    advantages = surprise - optimal_values(surprise, experience.group_size, config.value_beta)

    excess = config.beta * (verdict.log_probs - experience.log_probs) - advantages
    spared = too_rare(excess.detach() > 0, verdict, config.floor)
    policy = excess.square().masked_fill(spared, 0.0).mean() / (2 * config.beta)
    ratios = importance_ratios(verdict, experience)
    metrics = {
        "advantage": spread,
        "spared": spared.float().mean(),
        **ratio_metrics(ratios, torch.inf),
    }
    return assemble(policy, value_loss(verdict, experience, config), verdict, config, metrics)


def optimal_values(
    surprise: Float[Tensor, "B N S"], group_size: int, beta: float
) -> Float[Tensor, "B N S"]:
    """Return `beta log mean exp(surprise / beta)` over each group, step by step.

    It lies between the group's mean and its maximum. A group of one has nothing to compare with:
    the value head is its whole baseline, and 0 comes back.
    """
    if group_size == 1:
        return torch.zeros_like(surprise)
    groups = surprise.unflatten(0, (-1, group_size))  # (B / group, group, N, S)
    mean = (groups / beta).logsumexp(dim=1, keepdim=True) - math.log(group_size)
    return (beta * mean).expand_as(groups).flatten(0, 1)
