"""Frames leave as evenly as they come, and a slow machine changes when they come, not what."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from duet_rl.generate.follower import Follower
from duet_rl.live.follower import FollowerFrames, LiveFollower
from duet_rl.live.guard import Guard
from duet_rl.live.pace import Paced, ShownFrame
from duet_rl.live.roads import Decoded
from duet_rl.live.settings import LiveConfig


class Slow(LiveFollower):
    """A follower whose every token takes a while."""

    def step(self, leader: Tensor, music: Tensor | None = None) -> FollowerFrames:
        time.sleep(0.01)
        return super().step(leader, music)


@pytest.mark.parametrize("slack", [0, 1, 3])
def test_one_frame_comes_for_one_frame(follower: Follower, leader: Tensor, slack: int) -> None:
    wanted = LiveFollower(follower, seed=2).step(leader[:60]).joints
    shown: list[ShownFrame] = []
    with ThreadPoolExecutor(1) as thread:
        paced = Paced(Slow(follower, seed=2), thread if slack else None, slack)
        for number, joints in enumerate(leader[:60]):
            paced.put(joints)
            came = paced.take(wait=True)
            assert len(came) == (number >= paced.lag)
            shown += came
        shown += paced.finish()
    assert [frame.number for frame in shown] == list(range(60))
    torch.testing.assert_close(torch.stack([frame.joints for frame in shown]), wanted)


def test_work_that_piles_up_is_told_and_can_be_dropped(follower: Follower, leader: Tensor) -> None:
    may_begin = threading.Event()
    with ThreadPoolExecutor(1, initializer=may_begin.wait) as thread:
        paced = Paced(LiveFollower(follower), thread, pending=3)
        told = []
        for joints in leader[:12]:
            paced.put(joints)
            told.append(paced.busy)
        paced.cancel()
        may_begin.set()
        assert told == [False] * 11 + [True] and paced.idle
        assert not paced.take(wait=True)


def body(root: Tensor) -> Decoded:
    joints = root[:, None] + torch.zeros(len(root), 55, 3)
    return Decoded(joints, torch.eye(3).expand(len(root), 55, 3, 3))


def test_a_thrown_follower_is_held_back_and_finds_home() -> None:
    root = torch.zeros(120, 3)
    root[10:, 0] = 3.0
    guard = Guard(LiveConfig().step, Counter())
    seen = guard.check(body(root), torch.zeros(120, 55, 3)).joints[:, 0]
    assert seen.diff(dim=0).norm(dim=-1).max() <= LiveConfig().step + 1e-6
    torch.testing.assert_close(seen[-1], root[-1], atol=2e-3, rtol=0)
    torch.testing.assert_close(seen[:10], root[:10])


def test_a_follower_may_run_with_a_running_leader() -> None:
    root = torch.arange(60)[:, None] * torch.tensor([0.3, 0.0, 0.0])
    guard = Guard(LiveConfig().step, Counter())
    seen = guard.check(body(root), body(root).joints).joints[:, 0]
    torch.testing.assert_close(seen, root)
