"""Which windows a batch holds depends on the seed and the step, and on nothing else."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from duet_rl.datasets.windows import Windows
from duet_rl.errors import InputError


class Rows(NamedTuple):
    """A clip number and a frame number."""

    clip: Tensor
    frame: Tensor


def rows(clip: int, length: int) -> Rows:
    return Rows(torch.full((length,), clip), torch.arange(length))


@pytest.fixture
def windows() -> Windows[Rows]:
    return Windows([rows(0, 10), rows(1, 3), rows(2, 7)], window=5)


def test_a_window_is_a_run_of_frames_of_one_clip(windows: Windows[Rows]) -> None:
    batch = windows.batch(step=0, batch_size=64, seed=0)
    assert batch.frame.shape == (64, 5)
    assert (batch.clip == batch.clip[:, :1]).all()
    assert (batch.frame.diff(dim=1) == 1).all()


def test_every_window_is_drawn_sooner_or_later(windows: Windows[Rows]) -> None:
    batch = windows.batch(step=0, batch_size=512, seed=0)
    starts = set(zip(batch.clip[:, 0].tolist(), batch.frame[:, 0].tolist(), strict=True))
    assert starts == {(0, i) for i in range(6)} | {(2, i) for i in range(3)}
    assert len(windows) == len(starts)


def test_the_same_step_gives_the_same_batch_and_another_step_another(
    windows: Windows[Rows],
) -> None:
    first, again = windows.batch(3, 16, seed=1), windows.batch(3, 16, seed=1)
    assert torch.equal(first.frame, again.frame) and torch.equal(first.clip, again.clip)
    assert not torch.equal(first.frame, windows.batch(4, 16, seed=1).frame)
    assert not torch.equal(first.frame, windows.batch(3, 16, seed=2).frame)


def test_ranks_together_see_the_batch_of_one_worker(windows: Windows[Rows]) -> None:
    joint = windows.batch(5, 12, seed=0)
    shares = [windows.batch(5, 12, seed=0, rank=rank, world=3) for rank in range(3)]
    assert torch.equal(torch.cat([share.frame for share in shares]), joint.frame)
    assert torch.equal(torch.cat([share.clip for share in shares]), joint.clip)


def test_a_batch_that_does_not_divide_is_refused(windows: Windows[Rows]) -> None:
    with pytest.raises(InputError, match="multiple of 3"):
        windows.batch(0, 16, seed=0, rank=0, world=3)


def test_clips_that_are_all_too_short_are_refused() -> None:
    with pytest.raises(InputError, match="the longest of 2 has 4 rows"):
        Windows([rows(0, 4), rows(1, 3)], window=5)


def test_covering_windows_are_spread_from_the_first_to_the_last(windows: Windows[Rows]) -> None:
    assert windows.covering(100).frame[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert windows.covering(3).clip[:, 0].tolist() == [0, 0, 2]


def starts(batch: Rows) -> list[tuple[int, int]]:
    return list(zip(batch.clip[:, 0].tolist(), batch.frame[:, 0].tolist(), strict=True))


def test_windows_start_at_multiples_of_the_stride_in_their_clip() -> None:
    strided = Windows([rows(0, 10), rows(1, 3), rows(2, 8)], window=5, stride=2)
    assert starts(strided.covering(100)) == [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2)]


def test_a_pass_takes_no_window_twice_and_the_next_one_another_order(
    windows: Windows[Rows],
) -> None:
    assert windows.batches(4) == 2  # of 9 windows; one is left
    passes = [
        [start for step in steps for start in starts(windows.epoch_batch(step, 4, seed=0))]
        for steps in ((0, 1), (2, 3))
    ]
    assert all(len(set(taken)) == 8 for taken in passes)
    assert passes[0] != passes[1]
    assert starts(windows.epoch_batch(3, 4, seed=0)) == passes[1][4:], "whatever came before"
    assert starts(windows.epoch_batch(3, 4, seed=1)) != passes[1][4:]


def test_every_window_is_taken_in_some_pass(windows: Windows[Rows]) -> None:
    taken = {start for step in range(40) for start in starts(windows.epoch_batch(step, 4, 0))}
    assert len(taken) == len(windows)


def test_ranks_share_the_batch_of_a_pass(windows: Windows[Rows]) -> None:
    joint = starts(windows.epoch_batch(1, 4, seed=0))
    shares = [starts(windows.epoch_batch(1, 4, 0, rank=rank, world=2)) for rank in range(2)]
    assert shares[0] + shares[1] == joint


def test_a_pass_without_a_whole_batch_is_refused(windows: Windows[Rows]) -> None:
    with pytest.raises(InputError, match="9 windows of 5 rows and a batch has 10"):
        windows.epoch_batch(0, 10, seed=0)
