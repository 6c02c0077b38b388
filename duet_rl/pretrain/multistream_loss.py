"""The loss of a follower over many streams: how much each weighs, and which steps count."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.streams import tokens_that_count
from duet_rl.pretrain.stage import Metrics
from duet_rl.tokenizers.spec import POSE_CODE, TokenSpec

STOP = "stop"  # name of the stream that ends a dance
GROUPS_WEIGHT = 4.0  # what all pose groups weigh together: as much as so many other streams
_LEAST_ENTROPY = 0.3  # nats; a stream that says less is told apart by chance


class FollowerLoss(nn.Module):
    """A GPT whose call gives its loss; the value head is left to RL.

    Args:
        gpt: what is trained.
        names: of its streams.
        weights: of the streams in the loss; None: all weigh 1.
    """

    weights: Tensor

    def __init__(
        self,
        gpt: MultiStreamGPT,
        names: Sequence[str],
        weights: Float[Tensor, "S"] | None = None,
    ) -> None:
        super().__init__()
        self.gpt, self.names = gpt, tuple(names)
        gpt.value.requires_grad_(False)
        ones = torch.ones(len(self.names))
        self.register_buffer("weights", ones if weights is None else weights, persistent=False)

    def forward(
        self,
        tokens: Int[Tensor, "B N S"],
        conditions: Mapping[str, Tensor],
        text: Tensor | None = None,
    ) -> tuple[Tensor, Metrics]:
        """Return the weighted sum over streams of the mean negative log-likelihood, in nats.

        Args:
            tokens: of the dances; with a stop stream, what lies behind a stop does not count.
            conditions: of the GPT, by name.
            text: what the dances are told, as the reader of the GPT gives it.
        """
        logits = self.gpt(tokens, conditions, text=text).logits
        counts = tokens_that_count(tokens) if self.gpt.config.stop else None
        return stream_losses(logits, tokens, self.names, self.weights, counts)


def stream_losses(
    logits: Sequence[Tensor],
    tokens: Int[Tensor, "B N S"],
    names: Sequence[str],
    weights: Float[Tensor, "S"] | None = None,
    counts: Tensor | None = None,
) -> tuple[Tensor, Metrics]:
    """Return the weighted sum over streams of the mean negative log-likelihood, and each, nats.

    Args:
        logits: of each stream, `(B, N, V)`.
        tokens: that came.
        names: of the streams.
        weights: of the streams; None: each weighs 1.
        counts: `(B, N, S)`, which tokens count; None: all.
    """
    losses = []
    for i, stream in enumerate(logits):
        each = nn.functional.cross_entropy(
            stream.flatten(0, 1).float(), tokens[..., i].flatten(), reduction="none"
        )
        if counts is None:
            losses.append(each.mean())
        else:
            seen = counts[..., i].flatten()
            losses.append((each * seen).sum() / seen.sum())
    stacked = torch.stack(losses)
    named = zip(names, losses, strict=True)
    total = stacked.sum() if weights is None else (stacked * weights).sum()
    return total, {f"nll/{name}": x.detach() for name, x in named}


def entropy_weights(rows: Sequence[Int[Tensor, "_ S"]], spec: TokenSpec) -> Float[Tensor, "S"]:
    """Return weights by which each stream is judged by the share of its entropy it leaves open.

    A stream weighs 1 / (entropy of its tokens in the training data), so that one of many classes
    and one of few begin alike (spec PGR2M P2.3). The pose groups, of which there are dozens, then
    weigh as much together as `GROUPS_WEIGHT` other streams do.

    Args:
        rows: tokens of the training clips.
        spec: of the streams.
    """
    tokens = torch.cat(list(rows))
    entropies = []
    for i, stream in enumerate(spec.streams):
        share = torch.bincount(tokens[:, i], minlength=stream.classes) / len(tokens)
        entropies.append(-(share * share.clamp_min(1e-12).log()).sum())
    weights = 1 / torch.stack(entropies).clamp_min(_LEAST_ENTROPY)
    groups = torch.tensor([stream.kind == POSE_CODE for stream in spec.streams])
    if groups.any():
        # Of a stream that is hardly ever open, little is left to explain: it asks for little.
        weights[groups] *= GROUPS_WEIGHT / groups.sum()
    return weights
