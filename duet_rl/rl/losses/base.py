"""What all policy losses share: what they are given, what they return, and how far they may go."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config

METRICS = (  # all that the losses log
    "loss/policy",
    "loss/value",
    "kl",
    "entropy",
    "ratio",  # mean importance ratio; 1 on-policy
    "ratio_cut",  # share of tokens whose ratio was cut
    "sample_size",  # effective sample size by these ratios, as a share of the tokens; 1 on-policy
    "clipped",  # share of tokens that `ppo` leaves alone because they changed enough
    "spared",  # share of tokens that are too rare to be pushed down further
    "advantage",  # standard deviation, before it is normalised
    "value",
    "target",  # mean probability that `duolando` pulls to
)
_LARGEST_LOG_RATIO = 20.0  # nats; beyond, every ratio is cut anyway, and exp may overflow


class AnchorConfig(Config):
    """What holds any policy near its start and open to alternatives."""

    kl_weight: float = Field(0.05, ge=0)  # pull to the follower that RL started from
    entropy_weight: float = Field(0.0, ge=0)


class PolicyConfig(AnchorConfig):
    """What any loss with a policy gradient and a value has."""

    value_weight: float = Field(0.5, ge=0)
    # Nats; a token with a smaller log-probability is not pushed down further. None: no such floor.
    floor: float | None = Field(None, lt=0)


class Verdict(NamedTuple):
    """What the policy says today about the tokens of `B` rollouts, `N` steps, `S` streams."""

    log_probs: Float[Tensor, "B N S"]  # of the sampled tokens
    entropy: Float[Tensor, "B N S"]  # nats
    kl: Float[Tensor, "B N S"]  # nats, to the frozen follower that RL started from
    values: Float[Tensor, "B N S"]  # expected mean of the rewards that a token has a hand in
    # Log-probabilities under the recent policy that `ppo` keeps close to; None: the behaviour's.
    proximal: Float[Tensor, "B N S"] | None = None

    def at(self, steps: slice) -> "Verdict":
        """Return what it says about some of the steps."""
        proximal = None if self.proximal is None else self.proximal[:, steps]
        log_probs, entropy, kl, values = (part[:, steps] for part in self[:4])
        return Verdict(log_probs, entropy, kl, values, proximal)


class Experience(NamedTuple):
    """What the rollouts earned when they were sampled."""

    rewards: Float[Tensor, "B N S"]
    log_probs: Float[Tensor, "B N S"]  # of the behaviour policy
    group_size: int  # so many neighbouring rows follow the same leader
    # Which tokens an actor learns from, where rows are windows that overlap. None: all.
    counted: Bool[Tensor, "B N"] | None = None
    update: int = 0  # gradient steps that were taken before in this iteration


class Loss(NamedTuple):
    """A loss to minimise and detached scalars to log."""

    total: Float[Tensor, ""]
    metrics: dict[str, Tensor]


def assemble(
    policy: Float[Tensor, ""],
    value: Float[Tensor, ""],
    verdict: Verdict,
    config: PolicyConfig,
    metrics: dict[str, Tensor],
) -> Loss:
    """Return the weighted sum of policy loss, value loss, KL and entropy, with all metrics."""
    total = policy + config.value_weight * value
    logged = {
        "loss/policy": policy.detach(),
        "loss/value": value.detach(),
        "value": verdict.values.detach().mean(),
        **metrics,
        **drift(verdict),
    }
    return Loss(anchored(total, verdict, config), logged)


def anchored(total: Float[Tensor, ""], verdict: Verdict, config: AnchorConfig) -> Tensor:
    """Return a loss with the weighted KL to the start added and the weighted entropy taken off."""
    kl, entropy = verdict.kl.mean(), verdict.entropy.mean()
    return total + config.kl_weight * kl - config.entropy_weight * entropy


def importance_ratios(verdict: Verdict, experience: Experience) -> Float[Tensor, "B N S"]:
    """Return how much likelier each token is today than when it was sampled; no gradient.

    Each token of each stream has its own ratio: a product over streams or steps would be all but 0
    or infinite after a few gradient steps.
    """
    return ratio_of(verdict.log_probs.detach(), experience.log_probs)


def ratio_of(now: Float[Tensor, "B N S"], before: Float[Tensor, "B N S"]) -> Tensor:
    """Return `exp(now - before)`, which stays finite."""
    return (now - before).clamp_max(_LARGEST_LOG_RATIO).exp()


def ratio_metrics(ratios: Float[Tensor, "B N S"], max_ratio: float) -> dict[str, Tensor]:
    """Return the mean of the ratios, the share above `max_ratio`, and what they leave of the data.

    The effective sample size is `(sum w)^2 / sum w^2`, here over the number of tokens.
    """
    scaled = ratios / ratios.max()
    return {
        "ratio": ratios.mean(),
        "ratio_cut": (ratios > max_ratio).float().mean(),
        "sample_size": scaled.mean().square() / scaled.square().mean(),
    }


def too_rare(
    pushed_down: Bool[Tensor, "B N S"], verdict: Verdict, floor: float | None
) -> Bool[Tensor, "B N S"]:
    """Return which tokens are pushed down though they are rare enough: these are to be spared.

    Pushing a token down has no end: its log-probability can fall without bound, and off-policy
    the token comes back from memory however rare it has become.
    """
    if floor is None:
        return torch.zeros_like(pushed_down)
    return pushed_down & (verdict.log_probs.detach() < floor)


def following(rows: Float[Tensor, "B N S"]) -> Float[Tensor, "B N S"]:
    """Return of each step what `rows` holds of the next one, and 0 for the last."""
    return torch.cat([rows[:, 1:], torch.zeros_like(rows[:, :1])], dim=1)


def drift(verdict: Verdict) -> dict[str, Tensor]:
    """Return how far the policy is from its start, and how sure of itself."""
    return {"kl": verdict.kl.detach().mean(), "entropy": verdict.entropy.detach().mean()}
