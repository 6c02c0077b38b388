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
