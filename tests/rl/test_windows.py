"""Replay windows: every step with what its follower saw, and nothing beyond the dance."""

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.rl.windows import (
    Windows,
    WindowSizes,
    count_windows,
    counted_actions,
    replay_windows,
)

SIZES = WindowSizes(block=3, look_forward=2, music_rate=4)
STEPS, LEADER = 7, 9  # the follower ends `look_forward` tokens before its leader


def windows_of(leader_tokens: int = LEADER, frames: int = 36, drop_last: bool = False) -> Windows:
    """Return the windows of two dances whose contents tell dance and place."""
    dance = 1000 * torch.arange(2)[:, None, None]
    tokens = dance + torch.arange(STEPS)[:, None] + torch.tensor([0, 100])
    leader = dance + torch.arange(leader_tokens)[:, None]
    music = (dance + torch.arange(frames)[:, None]).float()
    return replay_windows(tokens, tokens / 8, leader, music, SIZES, drop_last)


def test_windows_begin_at_every_token_that_leaves_room() -> None:
    starts = windows_of().tokens[:, 0, 0].tolist()
    assert starts == [0, 1, 2, 3, 1000, 1001, 1002, 1003]


def test_the_original_leaves_the_last_window_out() -> None:
    assert windows_of(drop_last=True).tokens[:, 0, 0].tolist() == [0, 1, 2, 1000, 1001, 1002]


def test_a_window_holds_what_belongs_to_its_tokens() -> None:
    windows = windows_of()
    start = windows.tokens[:, 0, 0]
    assert torch.equal(windows.tokens[..., 0], start[:, None] + torch.arange(3))
    assert torch.equal(windows.targets, windows.tokens + 1)
    assert torch.equal(windows.rewards, windows.targets / 8)
    assert torch.equal(windows.leader[..., 0], start[:, None] + torch.arange(5))
    dance = start // 1000 * 1000
    first_frame = dance + 4 * (start - dance + 1)
    assert torch.equal(windows.music[..., 0], (first_frame[:, None] + torch.arange(20)).float())


@pytest.mark.parametrize(
    ("leader_tokens", "frames", "count"), [(9, 36, 4), (9, 35, 3), (6, 36, 2), (20, 100, 4)]
)
def test_the_shortest_of_follower_leader_and_music_decides(
    leader_tokens: int, frames: int, count: int
) -> None:
    assert count_windows(STEPS, leader_tokens, frames, SIZES) == count
    assert len(windows_of(leader_tokens, frames).tokens) == 2 * count


def test_the_last_window_is_left_out_for_a_follower_as_long_as_its_leader_too() -> None:
    frames = 4 * LEADER
    assert count_windows(LEADER, LEADER, frames, SIZES) == 4
    assert count_windows(LEADER, LEADER, frames, SIZES, drop_last=True) == 3


def test_short_music_costs_no_window_twice() -> None:
    assert count_windows(STEPS, LEADER, 32, SIZES, drop_last=True) == 3
    assert count_windows(STEPS, LEADER, 32, SIZES) == 3


def test_dances_without_a_window_are_refused() -> None:
    with pytest.raises(InputError, match=r"dances of 7 tokens, 4 of the leader .* dance longer"):
        windows_of(leader_tokens=4)


def test_a_soloist_has_windows_without_a_leader() -> None:
    tokens = torch.arange(STEPS)[None, :, None].expand(1, -1, 2)
    music = torch.arange(4.0 * STEPS)[None, :, None]
    windows = replay_windows(tokens, tokens / 8, None, music, WindowSizes(3, 0, 4))
    assert windows.leader is None
    assert windows.tokens[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert windows.music[:, 0, 0].tolist() == [4, 8, 12, 16]
    assert count_windows(STEPS, None, 4 * STEPS, WindowSizes(3, 0, 4), drop_last=True) == 3


def test_the_music_before_a_window_is_that_of_the_dance_or_silence() -> None:
    tokens = torch.zeros(1, STEPS, 2, dtype=torch.int64)
    music = 1 + torch.arange(4.0 * (STEPS + 2))[None, :, None]
    windows = replay_windows(tokens, tokens.float(), None, music, WindowSizes(3, 2, 4, 2))
    assert windows.music.shape == (4, 4 * (2 + 3 + 2), 1)
    assert windows.music[0, :, 0].tolist() == [0] * 4 + list(range(1, 25))
    assert windows.music[3, 0, 0] == 1 + 4 * 2  # two tokens before its second one


@pytest.mark.parametrize("stride", [1, 2])
def test_each_action_counts_in_one_window(stride: int) -> None:
    block, windows = 5, 4
    counted = counted_actions(windows, block, stride)
    places = stride * torch.arange(windows)[:, None] + torch.arange(block)
    assert places[counted].tolist() == list(range(block - 1 + stride * (windows - 1)))
