"""The sampling policy: temperature and cut-offs, drawing tokens, their log-probabilities."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.models.multistream_gpt import GPTOutput
from duet_rl.models.streams import uniform

IMPOSSIBLE = float("-inf")


class SamplingConfig(Config):
    """How tokens are drawn from logits; what is cut off is cut off in this order."""

    temperature: float = Field(default=0.8, ge=0)  # 0 takes the likeliest token
    top_k: int | None = Field(default=None, ge=1)  # only the k likeliest classes
    top_p: float | None = Field(default=None, gt=0, le=1)  # only the likeliest that sum to p
    # How far words lead away from what is danced without them; 1 is what training showed. Of
    # dances to words alone; every step then costs two.
    guidance: float = Field(default=1.0, ge=0)
    # Of whole rows of streams, where only known ones are drawn: of the sum over the streams.
    row_temperature: float = Field(default=4.0, ge=0)


DEFAULT_SAMPLING = SamplingConfig()


def policy_logits(
    logits: Float[Tensor, "*batch V"],
    sampling: SamplingConfig,
    keep: Int[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch V"]:
    """Return logits whose softmax is the policy that `sampling` makes of the model's logits.

    Args:
        logits: of the model; `-inf` marks classes that do not exist.
        sampling: temperature and cut-offs.
        keep: classes that are never cut off. Give the tokens that were sampled when their
            log-probabilities are computed again: otherwise a rounding error, or new weights,
            may put one of them just outside the cut and make it impossible.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        kept = logits == logits.amax(dim=-1, keepdim=True)
        kept &= kept.cumsum(dim=-1) == 1  # the first of equals
        level = torch.zeros_like(logits)
    else:
        level = logits if sampling.temperature == 1 else logits / sampling.temperature
        if sampling.top_k is None and sampling.top_p is None:
            return level
        kept = level >= _lowest_kept(level.detach(), sampling)
    if keep is not None:
        kept = kept.scatter(-1, keep[..., None], True)
    return level.masked_fill(~kept, IMPOSSIBLE)


def choose(
    logits: Float[Tensor, "*batch V"],
    sampling: SamplingConfig,
    generator: torch.Generator | None = None,
    given: Int[Tensor, "*batch"] | None = None,
) -> tuple[Int[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Return tokens drawn by the policy, or the `given` ones, and their log-probabilities."""
    given = None if given is None else given.long()
    policy = F.log_softmax(policy_logits(logits, sampling, given), dim=-1)
    tokens = _draw(policy, generator) if given is None else given
    return tokens, policy.gather(-1, tokens[..., None])[..., 0]


def log_probs(
    output: GPTOutput, tokens: Int[Tensor, "B N S"], sampling: SamplingConfig | None = None
) -> Float[Tensor, "B N S"]:
    """Return the log-probability of each token, differentiable.

    Args:
        output: of the model, for these `tokens`.
        sampling: the policy that the tokens are judged by; None is the model's own softmax.
    """
    policy = SamplingConfig(temperature=1.0) if sampling is None else sampling
    streams = [
        choose(logits, policy, given=tokens[..., stream])[1]
        for stream, logits in enumerate(output.logits)
    ]
    return torch.stack(streams, dim=-1)


def stack_logits(logits: Sequence[Tensor]) -> Float[Tensor, "*batch S V"]:
    """Return the logits of all streams side by side, those of smaller streams padded."""
    most = max(part.shape[-1] for part in logits)
    padded = [F.pad(part, (0, most - part.shape[-1]), value=IMPOSSIBLE) for part in logits]
    return torch.stack(padded, dim=-2)


def _lowest_kept(level: Tensor, sampling: SamplingConfig) -> Tensor:
    """Return the smallest logit that survives the cut-offs, `(..., 1)`; equals survive too."""
    ranked = _sorted(level)
    if sampling.top_k is not None:
        ranked = ranked[..., : sampling.top_k]
    if sampling.top_p is None:
        return ranked[..., -1:]
    mass_before = F.softmax(ranked, dim=-1).cumsum(dim=-1).roll(1, dims=-1)
    mass_before[..., 0] = 0
    count = (mass_before < sampling.top_p).sum(dim=-1, keepdim=True)
    return ranked.gather(-1, count - 1)


def _sorted(level: Tensor) -> Tensor:
    """Return `level` from high to low; numpy sorts some 30 times faster than torch on a CPU."""
    if level.device.type != "cpu":
        return level.sort(dim=-1, descending=True).values
    return -torch.from_numpy(np.sort(-level.numpy(), axis=-1))


def _draw(log_probs: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return one class per row by inverting the cumulative distribution."""
    mass = log_probs.exp().cumsum(dim=-1)
    total = mass[..., -1:]
    if total.device.type == "cpu" and not torch.isfinite(total).all():  # elsewhere asking is slow
        raise InputError(
            "the model's logits are no numbers; its weights are spoiled: lower the learning rate"
        )
    point = uniform(total.shape, generator, total.device).to(total.dtype) * total
    below = torch.minimum(point, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(mass, below, right=True)[..., 0]
