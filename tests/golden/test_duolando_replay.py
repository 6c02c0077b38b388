"""The windows that RL learns from are those of the original."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.rl.windows import Windows, WindowSizes, replay_windows
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "rl_loss.npz"
CHANNELS = 54  # of the music
FOLLOWER_STREAMS, LEADER_STREAMS = 5, 4

pytestmark = needs(FILE)


@cache
def golden(name: str) -> np.ndarray:
    return np.load(FILE, allow_pickle=False)[name]


@cache
def windows(drop_last: bool = True) -> Windows:
    """Return the windows of the artificial dance that the golden set describes."""
    sizes = WindowSizes(
        *(int(golden(f"cfg_{name}")) for name in ("block", "look_forward", "music_rate"))
    )
    count = int(golden("replay/N_tokens"))
    steps = torch.arange(count - sizes.look_forward)[:, None]
    streams = torch.arange(FOLLOWER_STREAMS)
    leader = torch.arange(count)[:, None] + 1000 * torch.arange(LEADER_STREAMS)
    frames = torch.arange(sizes.music_rate * count * CHANNELS).float().reshape(-1, CHANNELS)
    return replay_windows(
        (steps + 10000 * (streams + 1))[None],
        (steps + 0.5 * streams)[None],
        leader[None],
        frames[None],
        sizes,
        drop_last,
    )


def test_there_are_as_many_windows_as_in_the_original() -> None:
    assert len(windows().tokens) == int(golden("replay/n_windows"))
    assert len(windows(drop_last=False).tokens) == int(golden("replay/n_windows")) + 1


@pytest.mark.parametrize(("name", "row"), [("first", 0), ("last", -1)])
def test_a_window_has_the_contents_of_the_original(name: str, row: int) -> None:
    pairs: dict[str, Tensor] = {
        "quants_input_0": windows().tokens,
        "quants_target_0": windows().targets,
        "quants_l_0": windows().leader,
        "rewards_0": windows().rewards,
    }
    for key, ours in pairs.items():
        assert np.array_equal(ours[row, :, 0].numpy(), golden(f"replay/{name}/{key}"))
    music = windows().music[row, :, 0]
    assert len(music) == int(golden(f"replay/{name}/music_len"))
    first_frame = float(golden(f"replay/{name}/music_first_frame_index"))
    assert torch.equal(music / CHANNELS, first_frame + torch.arange(float(len(music))))
