"""PGR2M's rows of bits: one bit on in every group of pose codes, and two that end a clip.

A row of `K` numbers holds the classes of all groups side by side, then a bit of the row that ends
a clip, then one of the rows behind it. Both last ones have no other bit on.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

FLAGS = 2  # bits behind the groups: the end, and what pads behind it
END = -2  # place of the end's bit
_PAD = -1


def rows_of(
    tokens: Int[Tensor, "B N S"], classes: Sequence[int], lengths: Int[Tensor, "B"] | None = None
) -> Float[Tensor, "B N K"]:
    """Return pose codes as rows of bits.

    Args:
        tokens: the class of every group.
        classes: how many each group has.
        lengths: of each clip, in rows; the next one ends it and the others pad. What stands in
            `tokens` there is not looked at. None: nothing ends.
    """
    groups = [F.one_hot(tokens[..., i].clamp_min(0), n) for i, n in enumerate(classes)]
    rows = F.pad(torch.cat(groups, dim=-1).float(), (0, FLAGS))
    if lengths is None:
        return rows
    beyond = torch.arange(tokens.shape[1], device=tokens.device) - lengths[:, None]
    rows = rows.masked_fill((beyond >= 0)[..., None], 0.0)
    rows[..., END] = (beyond == 0).to(rows)
    rows[..., _PAD] = (beyond > 0).to(rows)
    return rows


def tokens_of(rows: Float[Tensor, "*batch K"], classes: Sequence[int]) -> Int[Tensor, "*batch S"]:
    """Return the largest class of every group; of a row without bits, the first."""
    groups = rows[..., :-FLAGS].split(tuple(classes), dim=-1)
    return torch.stack([group.argmax(-1) for group in groups], dim=-1)


def project(scores: Float[Tensor, "B N K"], classes: Sequence[int]) -> Float[Tensor, "B N K"]:
    """Return the rows of bits that are nearest to numbers: one bit a group, flags above 0."""
    rows = rows_of(tokens_of(scores, classes), classes)
    return torch.cat([rows[..., :-FLAGS], (scores[..., -FLAGS:] > 0).to(rows)], dim=-1)


def corrupt_bits(
    rows: Float[Tensor, "B N K"],
    keep: Bool[Tensor, "B N K"],
    noise: Float[Tensor, "B N K"],
    classes: Sequence[int],
) -> Float[Tensor, "B N K"]:
    """Return rows some of whose bits were drawn anew, one by one, as PGR2M corrupts its input.

    A large group loses its class more often than a small one; `streams.corrupt` draws whole
    groups.

    Args:
        rows: of bits.
        keep: the bits that are not drawn.
        noise: standard normal numbers that take the place of the others.
        classes: how many each group has.
    """
    return project(torch.where(keep, rows, noise), classes)


def sinusoids(positions: int, width: int) -> Float[Tensor, "N D"]:
    """Return fixed positions: channel 2i is sin(p / 10000^(2i/D)), 2i + 1 its cosine.

    Vaswani et al. 2017, Attention Is All You Need, section 3.5.
    """
    place = torch.arange(positions, dtype=torch.float64)[:, None]
    even = torch.arange(0, width, 2, dtype=torch.float64)
    angle = place * 10_000.0 ** (-even / width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width].float()
