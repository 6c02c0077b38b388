"""Windows: equal cuts of clips held in memory, drawn by (seed, step) and shared out over ranks."""

import hashlib
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import torch
from jaxtyping import Int
from torch import Tensor

from duet_rl.errors import InputError

Rows = TypeVar("Rows", bound=tuple[Tensor, ...])  # a NamedTuple of tensors of equal length


class Windows(Generic[Rows]):
    """Draws windows from sequences: a `Rows` of `(T, ...)` in, a `Rows` of `(B, window, ...)` out.

    Which windows a batch holds depends on the seed and the step alone, so that a resumed run sees
    what an unbroken one would have seen. Ranks get consecutive shares of one joint batch, so that
    two workers see together what one worker would have seen.

    Args:
        clips: one `Rows` a clip; its tensors share their length. Shorter clips than a window are
            left out.
        window: rows a window.

    Raises:
        InputError: no clip is as long as a window.
    """

    def __init__(self, clips: Sequence[Rows], window: int) -> None:
        self.window = window
        lengths = [len(clip[0]) for clip in clips]
        kept = [clip for clip, length in zip(clips, lengths, strict=True) if length >= window]
        if not kept:
            raise InputError(
                f"no clip is long enough: the longest of {len(clips)} has "
                f"{max(lengths, default=0)} rows and a window {window}; use shorter windows"
            )
        self._rows: Rows = _same_type(
            kept[0], [torch.cat(column) for column in zip(*kept, strict=True)]
        )
        self._starts = _all_starts([len(clip[0]) for clip in kept], window)

    def __len__(self) -> int:
        """Number of different windows."""
        return len(self._starts)

    def batch(self, step: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> Rows:
        """Return the share of `rank` in the batch of `step`, `batch_size / world` windows.

        Raises:
            InputError: the batch does not divide by the number of ranks.
        """
        if batch_size % world:
            raise InputError(
                f"a batch of {batch_size} windows does not divide among {world} workers; "
                f"make batch_size a multiple of {world}"
            )
        share = batch_size // world
        draws = torch.randint(
            len(self._starts), (batch_size,), generator=step_generator(seed, step)
        )
        return self._cut(self._starts[draws[rank * share : (rank + 1) * share]])

    def covering(self, limit: int) -> Rows:
        """Return at most `limit` windows spread evenly over all, always the same ones."""
        count = min(limit, len(self._starts))
        picks = torch.linspace(0, len(self._starts) - 1, count).round().long()
        return self._cut(self._starts[picks])

    def _cut(self, starts: Int[Tensor, "B"]) -> Rows:
        index = starts[:, None] + torch.arange(self.window)  # (B, window)
        return _same_type(self._rows, [column[index] for column in self._rows])


def windows_if_any(clips: Sequence[Rows], window: int) -> Windows[Rows] | None:
    """Return the windows of clips kept for validation, None if no clip is as long as one."""
    long = [clip for clip in clips if len(clip[0]) >= window]
    return Windows(long, window) if long else None


def step_generator(seed: int, step: int, *purpose: int) -> torch.Generator:
    """Return a generator that depends on the seed, the step and the purpose alone."""
    return torch.Generator().manual_seed(step_seed(seed, step, *purpose))


def step_seed(seed: int, step: int, *purpose: int) -> int:
    """Return a number for seeding that differs for every seed, step and purpose."""
    words = ",".join(str(word) for word in (seed, step, *purpose))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "little")


def _all_starts(lengths: Sequence[int], window: int) -> Int[Tensor, "windows"]:
    """Return every row at which a window fits into its clip, in the joined rows."""
    begins = torch.tensor([0, *lengths]).cumsum(0)[:-1].tolist()
    return torch.cat(
        [
            torch.arange(begin, begin + length - window + 1)
            for begin, length in zip(begins, lengths, strict=True)
        ]
    )


def _same_type(example: Rows, columns: Sequence[Tensor]) -> Rows:
    return cast(Rows, type(example)(*columns))
