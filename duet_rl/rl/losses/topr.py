"""TOPR: what did well is imitated, what did badly fades as it becomes rare."""

from typing import Annotated

import torch
from pydantic import AfterValidator

from duet_rl.rl.losses.advantages import CreditConfig, advantages_of, value_loss
from duet_rl.rl.losses.base import (
    Experience,
    Loss,
    Verdict,
    assemble,
    importance_ratios,
    ratio_metrics,
)


def _rising(interval: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= interval[0] <= interval[1]:
        raise ValueError(f"{interval} is no interval of ratios; give 0 <= lowest <= highest")
    return interval


Interval = Annotated[tuple[float, float], AfterValidator(_rising)]


class TOPRConfig(CreditConfig):
    """Where importance ratios are held; the defaults are the paper's."""

    positive: Interval = (1.0, 1.0)  # of tokens that did well: full weight, as in imitation
    negative: Interval = (0.0, 1.0)  # of tokens that did badly: no weight once they are rare


def topr(verdict: Verdict, experience: Experience, config: TOPRConfig) -> Loss:
    """Return the loss of Tapered Off-Policy REINFORCE (Le Roux et al. 2025, arXiv 2503.14286).

    Their gradient is the sum of `R grad log pi` where R >= 0 and of `clip(pi / mu, 0, 1) R grad
    log pi` where R < 0, mu being the policy that danced; with other intervals than (1, 1) and
    (0, 1) it is their general taper. They weigh whole answers by one reward; here each token
    of each stream has its own advantage and its own ratio. On-policy this is REINFORCE.
    """
    advantages, metrics = advantages_of(verdict, experience, config)
    ratios = importance_ratios(verdict, experience)
    weights = torch.where(
        advantages < 0, ratios.clamp(*config.negative), ratios.clamp(*config.positive)
    )
    policy = -(weights * advantages * verdict.log_probs).mean()
    value = value_loss(verdict, experience, config)
    metrics = {**metrics, **ratio_metrics(ratios, config.negative[1])}
    return assemble(policy, value, verdict, config, metrics)
