"""How much better than expected each token did, stream by stream."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.rl.losses.base import Experience, PolicyConfig, Verdict, following, too_rare


class CreditConfig(PolicyConfig):
    """Which rewards a token is credited with, and what they are compared with."""

    gamma: float = Field(0.5, ge=0, lt=1)  # discount a token step (0.13 s); see docs/rl.md
    look_back: int = Field(1, ge=0)  # token steps before its own that a token's decoding changes
    gae_lambda: float = Field(1.0, ge=0, le=1)  # 1: whole returns; less: values take their place
    normalise: bool = True  # divide the advantages by their standard deviation in the batch


class Credit(NamedTuple):
    """What each token earned, and how that compares with its value."""

    mass: Float[Tensor, "N 1"]  # sum of the weights of all rewards that a token is credited with
    returns: Float[Tensor, "B N S"]  # weighted mean of these rewards, which the value foretells
    surprise: Float[Tensor, "B N S"]  # mass x (return - value); no gradient


class Advantages(NamedTuple):
    """What a policy gradient is weighted by, without gradients, and how it came about."""

    advantages: Float[Tensor, "B N S"]
    metrics: dict[str, Tensor]


def credit_of(verdict: Verdict, experience: Experience, config: CreditConfig) -> Credit:
    """Return the credited returns of every stream and what the values did not foresee."""
    weights = reach(experience.rewards.shape[1], config.gamma, config.look_back)
    weights = weights.to(experience.rewards)
    mass = weights.sum(dim=1)[:, None]  # (N, 1); less near the end, where there is less to come
    returns = torch.einsum("ij,bjs->bis", weights, experience.rewards) / mass
    return Credit(mass, returns, mass * (returns - verdict.values.detach()))


def advantages_of(verdict: Verdict, experience: Experience, config: CreditConfig) -> Advantages:
    """Return the advantages that most losses weigh tokens by, and the credit behind them.

    They are the surprises, by `gae` where `gae_lambda` is below 1, less what the other rollouts of
    the group had, normalised if asked, and 0 for tokens that the floor spares.
    """
    surprise = credit_of(verdict, experience, config).surprise
    surprise = gae(surprise, config.gamma, config.gae_lambda)
    return finish(group_advantages(surprise, experience.group_size), verdict, config)


def value_loss(verdict: Verdict, experience: Experience, config: CreditConfig) -> Tensor:
    """Return the mean squared error of the values, which are to foretell the credited returns."""
    return (verdict.values - credit_of(verdict, experience, config).returns).square().mean()


def finish(
    advantages: Float[Tensor, "B N S"], verdict: Verdict, config: CreditConfig
) -> Advantages:
    """Return advantages normalised if asked, and 0 where a token is too rare to push down."""
    spread = advantages.std()
    if config.normalise:
        advantages = advantages / (spread + torch.finfo(spread.dtype).eps)
    spared = too_rare(advantages < 0, verdict, config.floor)
    metrics = {"advantage": spread, "spared": spared.float().mean()}
    return Advantages(advantages.masked_fill(spared, 0.0), metrics)


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


def gae(
    surprise: Float[Tensor, "B N S"], gamma: float, gae_lambda: float
) -> Float[Tensor, "B N S"]:
    """Return generalised advantages (Schulman et al. 2016, eq. 16) from whole-return ones.

    A whole-return advantage is the sum of all later TD errors, `gamma^k` each; so the errors are
    its differences, `A_i - gamma A_(i+1)`, whatever rewards a token is credited with.
    """
    if gae_lambda == 1:
        return surprise
    td_errors = surprise - gamma * following(surprise)
    weights = reach(surprise.shape[1], gamma * gae_lambda).to(surprise)
    return torch.einsum("ij,bjs->bis", weights, td_errors)


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
