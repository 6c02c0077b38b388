"""Windows: equal cuts of clips held in memory, drawn by (seed, step) and shared out over ranks."""

import hashlib
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import torch
from jaxtyping import Int
from torch import Tensor

from duet_rl.errors import InputError

_ORDER = -1  # purpose of the draw that orders a pass over the windows
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
        stride: rows between the starts of neighbouring windows of a clip, the first at row 0.

    Raises:
        InputError: no clip is as long as a window.
    """

    def __init__(self, clips: Sequence[Rows], window: int, stride: int = 1) -> None:
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
        self._starts = _all_starts([len(clip[0]) for clip in kept], window, stride)

    def __len__(self) -> int:
        """Number of different windows."""
        return len(self._starts)

    def batch(self, step: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> Rows:
        """Return the share of `rank` in the batch of `step`, `batch_size / world` windows.

        Every window is as likely at every step, whatever was drawn before.

        Raises:
            InputError: the batch does not divide by the number of ranks.
        """
        draws = torch.randint(
            len(self._starts), (batch_size,), generator=step_generator(seed, step)
        )
        return self._cut(self._starts[_share(draws, rank, world)])

    def epoch_batch(
        self, step: int, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> Rows:
        """Return the share of `rank` in the batch of `step` of passes over all windows.

        Each pass has its own order and takes no window twice; the windows that are left when no
        whole batch remains are not taken in it.

        Raises:
            InputError: there is no whole batch, or it does not divide by the number of ranks.
        """
        epoch, place = divmod(step, self.batches(batch_size))
        order = torch.randperm(len(self), generator=step_generator(seed, epoch, _ORDER))
        draws = order[place * batch_size : (place + 1) * batch_size]
        return self._cut(self._starts[_share(draws, rank, world)])

    def batches(self, batch_size: int) -> int:
        """Return how many whole batches all windows make.

        Raises:
            InputError: they make none.
        """
        if len(self) < batch_size:
            raise InputError(
                f"the clips give {len(self)} windows of {self.window} rows and a batch has "
                f"{batch_size}; use a smaller batch_size, a smaller stride, or more clips"
            )
        return len(self) // batch_size

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


def _share(draws: Int[Tensor, "B"], rank: int, world: int) -> Int[Tensor, "share"]:
    """Return the draws of one rank, neighbours in the joined batch."""
    if len(draws) % world:
        raise InputError(
            f"a batch of {len(draws)} windows does not divide among {world} workers; "
            f"make batch_size a multiple of {world}"
        )
    share = len(draws) // world
    return draws[rank * share : (rank + 1) * share]


def _all_starts(lengths: Sequence[int], window: int, stride: int) -> Int[Tensor, "windows"]:
    """Return every `stride`-th row at which a window fits into its clip, in the joined rows."""
    begins = torch.tensor([0, *lengths]).cumsum(0)[:-1].tolist()
    return torch.cat(
        [
            torch.arange(begin, begin + length - window + 1, stride)
            for begin, length in zip(begins, lengths, strict=True)
        ]
    )


def _same_type(example: Rows, columns: Sequence[Tensor]) -> Rows:
    return cast(Rows, type(example)(*columns))
