"""Self-attention within a band of neighbours, and rotary positions."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from duet_rl.models.kv_cache import KVCache

ROTARY_BASE = 10_000.0  # the slowest pair turns once in about 2 pi x this many positions
BLOCK = 128  # queries that attend together; keeps the cost linear in the length of a clip


class Rotation(NamedTuple):
    """Cosine and sine by which rotary positions turn each pair of channels."""

    cos: Float[Tensor, "N half"]
    sin: Float[Tensor, "N half"]


@dataclass(frozen=True, eq=False)
class Block:
    """A run of queries, the run of keys that they reach, and who sees whom between them."""

    queries: slice
    keys: slice
    mask: Bool[Tensor, "#B 1 queries keys"]


@dataclass(frozen=True, eq=False)
class Band:
    """Which positions see which, in blocks of queries; build it with `make_band`."""

    blocks: tuple[Block, ...]


def make_band(
    length: int,
    back: int,
    ahead: int,
    device: torch.device,
    each: Int[Tensor, "B"] | None = None,
) -> Band:
    """Return the band in which position i sees positions i - back to i + ahead.

    Args:
        length: number of positions.
        back: how many earlier positions a position sees, itself not counted.
        ahead: how many later positions a position sees.
        each: `(B,)`, a smaller `ahead` for each sample of the batch.
    """
    position = torch.arange(length, device=device)
    reach = torch.tensor([ahead], device=device) if each is None else each.to(device)
    blocks = []
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        first, last = max(start - back, 0), min(stop + ahead, length)
        distance = position[None, first:last] - position[start:stop, None]  # > 0: the future
        mask = (distance >= -back) & (distance <= reach[:, None, None])
        blocks.append(Block(slice(start, stop), slice(first, last), mask[:, None]))
    return Band(tuple(blocks))


def known_only(band: Band, known: Bool[Tensor, "B N"]) -> Band:
    """Return a band in which nobody sees the positions that are not `known`, but they themselves.

    They see themselves so that what they gather is a number; nobody looks at it.
    """
    position = torch.arange(known.shape[1], device=known.device)

    def hide(block: Block) -> Block:
        itself = position[block.queries, None] == position[block.keys]
        return replace(block, mask=block.mask & (known[:, None, None, block.keys] | itself))

    return Band(tuple(hide(block) for block in band.blocks))


def banded_attention(
    query: Float[Tensor, "B H N E"],
    key: Float[Tensor, "B H N E"],
    value: Float[Tensor, "B H N E"],
    band: Band,
    dropout: float = 0.0,
) -> Float[Tensor, "B H N E"]:
    """Return what each position gathers from the positions that `band` lets it see.

    A share `dropout` of the attention weights is set to zero at random.
    """
    gathered = [
        F.scaled_dot_product_attention(
            query[:, :, block.queries],
            key[:, :, block.keys],
            value[:, :, block.keys],
            attn_mask=block.mask,
            dropout_p=dropout,
        )
        for block in band.blocks
    ]
    return gathered[0] if len(gathered) == 1 else torch.cat(gathered, dim=2)


def rotation_of(positions: Int[Tensor, "N"], channels: int) -> Rotation:
    """Return the rotary cosines and sines of `positions` for heads of `channels` channels.

    Only differences of positions matter to attention (Su et al. 2021, "RoFormer"); angles are
    computed in double precision so that this holds after hours of dancing too.
    """
    half = torch.arange(channels // 2, device=positions.device, dtype=torch.float64)
    speed = ROTARY_BASE ** (-2 * half / channels)  # rad per position
    angle = positions[:, None].to(torch.float64) * speed
    return Rotation(angle.cos().float(), angle.sin().float())


def rotate(x: Float[Tensor, "*batch N E"], rotation: Rotation) -> Float[Tensor, "*batch N E"]:
    """Turn the channel pairs (c, c + E/2) of `x` by their rotary angles."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = rotation
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head self-attention over a band; one position at a time with a `KVCache`.

    In training, a share `dropout` of the attention weights is set to zero.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "B N D"], rotation: Rotation | None, band: Band
    ) -> Float[Tensor, "B N D"]:
        query, key, value = self._heads(x, rotation)
        dropout = self.dropout if self.training else 0.0
        return self._merge(banded_attention(query, key, value, band, dropout))

    def step(
        self,
        x: Float[Tensor, "B 1 D"],
        rotation: Rotation | None,
        cache: KVCache,
        layer: int,
    ) -> Float[Tensor, "B 1 D"]:
        """Return the output at the newest position, which sees what `cache` holds and itself."""
        query, key, value = self._heads(x, rotation)
        keys, values = cache.write(layer, key, value)
        return self._merge(F.scaled_dot_product_attention(query, keys, values))

    def _heads(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, width = x.shape
        mixed = self.query_key_value(x).view(batch, length, 3, self.heads, width // self.heads)
        parts = mixed.permute(2, 0, 3, 1, 4)  # (3, B, H, N, E)
        if rotation is None:
            return parts[0], parts[1], parts[2]
        turned = rotate(parts[:2], rotation)
        return turned[0], turned[1], parts[2]

    def _merge(self, x: Tensor) -> Tensor:
        return self.project(x.transpose(1, 2).flatten(2))
