"""V-trace: values and advantages corrected for stale rollouts along the whole path."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.rl.losses.advantages import CreditConfig, credit_of, finish, group_advantages
from duet_rl.rl.losses.base import (
    Experience,
    Loss,
    Verdict,
    assemble,
    following,
    importance_ratios,
    ratio_metrics,
)


class VTraceConfig(CreditConfig):
    """Truncation of the two importance weights; `gae_lambda` is the lambda of their remark 2."""

    max_rho: float = Field(1.0, gt=0)  # of a token's own ratio: which policy the value is of
    max_c: float = Field(1.0, gt=0)  # of the ratios on the way: how far back a surprise counts


class VTrace(NamedTuple):
    """What V-trace makes of a path."""

    targets: Float[Tensor, "B N S"]  # v_s, which the values are to foretell
    surprise: Float[Tensor, "B N S"]  # r_s + gamma v_(s+1) - V_s, before it is weighted by rho


def vtrace(verdict: Verdict, experience: Experience, config: VTraceConfig) -> Loss:
    """Return IMPALA's loss (Espeholt et al. 2018, arXiv 1802.01561, section 4.2, eq. 1).

    The policy gradient is `rho_s (r_s + gamma v_(s+1) - V(x_s)) grad log pi`, and the value learns
    the targets v_s. Each stream is a path of its own, with its own ratios. Not theirs: the group
    baseline, the rewards just before its own that a token is credited with (`look_back`), and
    normalised advantages. With all ratios 1 this is `actor_critic`.
    """
    credit = credit_of(verdict, experience, config)
    earned = credit.mass * credit.returns
    rewards = earned - config.gamma * following(earned)  # what each step adds to the return
    ratios = importance_ratios(verdict, experience)
    rho = ratios.clamp_max(config.max_rho)
    passed_on = config.gae_lambda * ratios.clamp_max(config.max_c)
    values = credit.mass * verdict.values.detach()
    traced = vtrace_of(rewards, values, rho, passed_on, config.gamma)

    surprise = group_advantages(traced.surprise, experience.group_size)
    advantages, metrics = finish(surprise, verdict, config)
    policy = -(rho * advantages * verdict.log_probs).mean()
    value = (verdict.values - traced.targets / credit.mass).square().mean()
    metrics = {**metrics, **ratio_metrics(ratios, config.max_rho)}
    return assemble(policy, value, verdict, config, metrics)


def vtrace_of(
    rewards: Float[Tensor, "B N S"],
    values: Float[Tensor, "B N S"],
    rho: Float[Tensor, "B N S"],
    c: Float[Tensor, "B N S"],
    gamma: float,
) -> VTrace:
    """Return the V-trace of paths that end after their last step, from the last step back.

    Args:
        rewards: of each step.
        values: what the rewards from each step on were expected to sum to, discounted.
        rho: truncated importance ratios that weigh the TD errors.
        c: truncated importance ratios that weigh how far these reach back.
        gamma: discount a step.
    """
    td_errors = rho * (rewards + gamma * following(values) - values)
    corrections: list[Tensor] = []  # v_s - V(x_s), the last step first
    carried = torch.zeros_like(values[:, 0])
    for step in reversed(range(values.shape[1])):
        carried = td_errors[:, step] + gamma * c[:, step] * carried
        corrections.append(carried)
    targets = values + torch.stack(corrections[::-1], dim=1)
    return VTrace(targets, rewards + gamma * following(targets) - values)
