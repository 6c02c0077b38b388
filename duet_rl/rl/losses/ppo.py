"""PPO whose proximal policy is not the behaviour policy."""

import torch
from pydantic import Field

from duet_rl.rl.losses.advantages import CreditConfig, advantages_of, value_loss
from duet_rl.rl.losses.base import (
    Experience,
    Loss,
    Verdict,
    assemble,
    importance_ratios,
    ratio_metrics,
    ratio_of,
)


class PPOConfig(CreditConfig):
    """How far a token may move from the proximal policy, and which policy that is."""

    clip: float = Field(0.2, gt=0, lt=1)  # change of a token's probability that earns no more
    # Bounds the push on a token that did badly and became likelier all the same; None: no bound.
    dual_clip: float | None = Field(3.0, gt=1)
    max_ratio: float = Field(2.0, gt=0)  # ratios of proximal to behaviour policy are cut to this
    # The proximal policy is a moving average of the weights: so much of it stays, a gradient step.
    # 0: the weights before this step.
    proximal_decay: float = Field(0.5, ge=0, lt=1)


def ppo(verdict: Verdict, experience: Experience, config: PPOConfig) -> Loss:
    """Return the decoupled clipped loss (Hilton et al. 2021, arXiv 2110.00641, section 3).

    `-mean(w min(r A, clip(r, 1 - e, 1 + e) A))`, where r compares the policy with the proximal
    one, which bounds how far a step goes, and w the proximal policy with the one that danced,
    which corrects for stale rollouts and is cut at `max_ratio`. Where A < 0, the minimum is
    bounded by `dual_clip A` (dual clip: Ye et al. 2020, arXiv 1912.09729, eq. 5). Without
    `verdict.proximal`, both are the behaviour policy: PPO (Schulman et al. 2017, eq. 7). At r = 1
    the gradient is that of `actor_critic`.
    """
    advantages, metrics = advantages_of(verdict, experience, config)
    proximal = experience.log_probs if verdict.proximal is None else verdict.proximal
    weights = ratio_of(proximal, experience.log_probs).clamp_max(config.max_ratio)
    change = ratio_of(verdict.log_probs, proximal)
    within = change.clamp(1 - config.clip, 1 + config.clip)
    gain = torch.minimum(change * advantages, within * advantages)
    stopped = gain < change * advantages
    if config.dual_clip is not None:
        bound = torch.where(advantages < 0, config.dual_clip * advantages, -torch.inf)
        stopped = stopped | (bound > gain)
        gain = torch.maximum(gain, bound)
    policy = -(weights * gain).mean()
    metrics = {
        **metrics,
        **ratio_metrics(importance_ratios(verdict, experience), config.max_ratio),
        "clipped": stopped.float().mean(),
    }
    return assemble(policy, value_loss(verdict, experience, config), verdict, config, metrics)
