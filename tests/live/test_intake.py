"""Streams as they come: late, twice, broken, at any rate, from a leader who is moved."""

import math

import pytest
import torch
from torch import Tensor

from duet_rl.body.rotations import rotate_yaw
from duet_rl.generate.follower import Follower
from duet_rl.live.follower import LiveFollower
from duet_rl.live.intake import EvenFrame, Intake, LeaderFrame, Steady
from duet_rl.live.settings import IntakeConfig


def put_all(intake: Intake, frames: list[LeaderFrame]) -> list[EvenFrame]:
    return [even for frame in frames for even in intake.put(frame)]


def frames_of(leader: Tensor, fps: float = 30.0) -> list[LeaderFrame]:
    return [LeaderFrame(7.0 + t / fps, joints) for t, joints in enumerate(leader)]


def test_an_even_stream_passes_unchanged_and_at_once(leader: Tensor) -> None:
    intake = Intake()
    for number, frame in enumerate(frames_of(leader)):
        (even,) = intake.put(frame)
        assert even.number == number
        assert torch.equal(even.joints, leader[number])


@pytest.mark.parametrize("fps", [24.0, 25.0, 60.0, 90.0, 120.0])
def test_another_rate_becomes_thirty(leader: Tensor, fps: float) -> None:
    time = torch.arange(round(3 * fps)) / fps * 30
    before = time.floor().long()
    share = (time - before)[:, None, None]
    resampled = torch.lerp(leader[before], leader[before + 1], share)
    even = put_all(Intake(), frames_of(resampled, fps))
    assert len(even) in {89, 90}
    joints = torch.stack([frame.joints for frame in even])
    assert (joints - leader[: len(joints)]).abs().max() < 0.03


def test_lost_broken_and_disordered_poses_are_drawn_between_their_neighbours(
    leader: Tensor,
) -> None:
    frames = frames_of(leader)
    frames[20] = frames[20]._replace(joints=leader[20] * float("nan"))
    frames[31], frames[32] = frames[32], frames[31]
    frames.insert(50, frames[49])
    frames[60] = frames[60]._replace(time=float("nan"))
    frames[70] = frames[70]._replace(joints=leader[70] * 100)  # centimetres
    del frames[80:84]
    intake = Intake()
    even = put_all(intake, frames)
    assert [frame.number for frame in even] == list(range(len(leader)))
    joints = torch.stack([frame.joints for frame in even])
    assert (joints - leader).norm(dim=-1).max() < 0.15
    assert all(frame.follows_on for frame in even[1:])
    assert (intake.counts["broken"], intake.counts["twice"], intake.counts["late"]) == (3, 1, 1)


def test_a_pause_makes_up_no_frames_however_long(leader: Tensor) -> None:
    frames = frames_of(leader)
    late = [frame._replace(time=frame.time + 1e6) for frame in frames[60:]]
    anew = [frame._replace(time=frame.time - 1e3) for frame in frames[:30]]
    even = put_all(Intake(), frames[:60] + late + anew)
    assert len(even) == 150
    assert [t for t, frame in enumerate(even) if not frame.follows_on] == [0, 60, 120]


def test_a_leader_who_is_moved_takes_the_couple_along(leader: Tensor) -> None:
    there = rotate_yaw(leader[60:], torch.tensor(2.5)) + torch.tensor([5.0, 0.0, -3.0])
    intake = Intake()
    steady = Steady(IntakeConfig(), intake.counts)
    seen, back = [], []
    for even in put_all(intake, frames_of(torch.cat([leader[:60], there]))):
        joints, carried = steady.put(even)
        seen.append(joints)
        back.append(carried.back(joints))
    steps = torch.stack(seen).diff(dim=0)[:, 0].norm(dim=-1)
    assert steps.max() < 0.1  # the dance sees no jump
    torch.testing.assert_close(
        torch.stack(back), torch.cat([leader[:60], there]), atol=1e-4, rtol=0
    )
    assert intake.counts["carried"] == 1


def test_a_leader_who_spins_fast_is_not_taken_for_a_moved_one(leader: Tensor) -> None:
    turns = torch.arange(len(leader)) / 30 * 2 * math.pi * 2  # two turns a second
    spun = rotate_yaw(leader[:1].expand_as(leader), turns[:, None])
    intake = Intake()
    steady = Steady(IntakeConfig(), intake.counts)
    for even in put_all(intake, frames_of(spun)):
        steady.put(even)
    assert intake.counts["carried"] == 0


@pytest.mark.parametrize("fault", ["moved", "paused", "dropped", "broken", "still"])
def test_the_follower_stays_beside_the_leader_whatever_happens(
    follower: Follower, leader: Tensor, fault: str
) -> None:
    frames = frames_of(leader)
    if fault == "moved":
        away = torch.tensor([4.0, 0.0, 7.0])
        frames[60:] = [frame._replace(joints=frame.joints + away) for frame in frames[60:]]
    elif fault == "paused":
        frames[60:] = [frame._replace(time=frame.time + 20.0) for frame in frames[60:]]
    elif fault == "dropped":
        frames = [frame for number, frame in enumerate(frames) if number % 5]
    elif fault == "broken":
        frames[40:50] = [frame._replace(joints=frame.joints / 0) for frame in frames[40:50]]
    else:
        frames[60:] = [frame._replace(joints=leader[60]) for frame in frames[60:]]
    intake, live = Intake(), LiveFollower(follower, seed=4)
    steady = Steady(IntakeConfig(), intake.counts)
    led, carried = [], []
    for even in put_all(intake, frames):
        joints, how = steady.put(even)
        led.append(joints)
        carried.append(how)
    danced = live.step(torch.stack(led)).joints
    beside = torch.stack([how.back(joints) for how, joints in zip(carried, danced, strict=False)])
    there = torch.stack([how.back(joints) for how, joints in zip(carried, led, strict=False)])
    apart = beside[:, 0] - there[: len(beside), 0]
    assert beside.isfinite().all()
    # The bound holds beside the leader's own steps, up to 0.1 m here.
    assert apart.diff(dim=0).norm(dim=-1).max() < live.config.step + 0.2
    assert apart.norm(dim=-1).max() < 3.0
