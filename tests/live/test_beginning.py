"""A live dance begins with the pose that was chosen, as a dance of `generate` does."""

import asyncio
from pathlib import Path

import pytest
import torch
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import default_skeleton
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower, generate
from duet_rl.generate.start import ChosenStart, Start
from duet_rl.live.beginning import start_of
from duet_rl.live.follower import LiveFollower
from duet_rl.live.hall import Hall
from duet_rl.live.protocol import pose_message, shown_of
from duet_rl.live.settings import LiveConfig, LiveWish
from duet_rl.mocap.npz import write_npz
from duet_rl.models.policy import SamplingConfig
from tests.couple import stepping_couple
from tests.live.clients import client, with_server, word
from tests.live.conftest import opposite
from tests.live.test_follower import FREE, SAME, dance

FLOOR = [0, 2]  # x and z
ROUGH = {"atol": 0.02, "rtol": 0}  # m; another has other bones


@pytest.fixture(scope="module")
def pose() -> Start:
    """The partner, a second later, a step away from where he stood."""
    return Start.of(stepping_couple(2.0).follower.moved((0.4, 0.0, 0.2)), 1.0)


def motion_of(joints: Tensor) -> Motion:
    return Motion(joints, torch.eye(3).expand(*joints.shape[:2], 3, 3), default_skeleton())


@pytest.mark.parametrize(("place", "hold"), [(None, 2.0), ((1.2, 30.0), 1.0)])
def test_frame_by_frame_is_what_generate_gives(
    follower: Follower,
    leader: Tensor,
    music: Tensor,
    pose: Start,
    place: tuple[float, float] | None,
    hold: float,
) -> None:
    chosen = ChosenStart(pose, place)
    live = LiveFollower(follower, LiveConfig(step=FREE, hold=hold), seed=5, start=chosen)
    danced = dance(live, leader, music, 3)
    partner, sampling = motion_of(leader), SamplingConfig(temperature=0.8)
    start = chosen.beside(partner)
    (wanted,) = generate(follower.holding(hold), partner, music, 5, sampling, 1, 0, start)
    torch.testing.assert_close(danced, wanted.joints, atol=SAME, rtol=0)
    torch.testing.assert_close(danced[0, 0, FLOOR], start.pose.root[0, FLOOR])


def test_a_codec_that_looks_ahead_goes_from_the_pose_into_its_dance_and_leaps_nowhere(
    leader: Tensor, music: Tensor, pose: Start
) -> None:
    follower, config = opposite(0.7, causal=False), LiveConfig(delay=1, look_ahead=1)
    still = leader[:1].expand_as(leader)
    chosen = ChosenStart(pose, (1.0, 30.0))
    danced = dance(LiveFollower(follower, config, start=chosen), still, music, 4)
    begun = chosen.beside(motion_of(still)).pose
    torch.testing.assert_close(danced[0, 0, FLOOR], begun.root[0, FLOOR])
    torch.testing.assert_close(danced[0] - danced[0, 0], begun.joints[0] - begun.root, **ROUGH)
    assert danced[:, 0].diff(dim=0).norm(dim=-1).max() * 30 < 1.0  # m/s
    free = dance(LiveFollower(follower, config), still, music, 4)
    torch.testing.assert_close(danced[-8:], free[-8:], atol=SAME, rtol=0)


def test_no_frame_comes_later_for_a_start(follower: Follower, leader: Tensor, pose: Start) -> None:
    live = LiveFollower(follower, LiveConfig(look_ahead=1), start=ChosenStart(pose))
    for number, frame in enumerate(leader[:40]):
        came = live.step(frame[None])
        assert len(came.joints) == (4 if number >= 7 and number % 4 == 3 else 0)


def test_each_leader_of_a_server_finds_the_pose_before_him(
    follower: Follower, leader: Tensor, pose: Start
) -> None:
    async def first(hall: Hall, place: str, joints: Tensor) -> Tensor:
        async with client(place) as socket:
            await word(socket, "welcome")
            for number, pose in enumerate(joints[:8]):
                await socket.send(pose_message(number / 30, pose))
            async for message in socket:
                if isinstance(message, bytes):
                    (couple,) = hall.couples.values()
                    assert couple.stats()["counts"]["start far off"] == 1
                    return shown_of(message).follower
        raise AssertionError("nothing came")

    async def talk(hall: Hall, place: str) -> None:
        for away in (0.0, 20.0):
            there = leader + torch.tensor([away, 0.0, 0.0])
            begun = await first(hall, place, there)
            while hall.couples:
                await asyncio.sleep(0.01)
            apart = (begun[0] - there[0, 0])[FLOOR]
            torch.testing.assert_close(apart, torch.tensor([0.0, 0.9]), atol=1e-3, rtol=0)

    with_server(follower, talk, start=ChosenStart(pose, (0.9, 0.0)))


def test_what_is_wished_for_is_read_and_what_nobody_can_do_is_refused(tmp_path: Path) -> None:
    partner = stepping_couple(1.0).follower
    write_npz(tmp_path / "pose.npz", partner)
    file = str(tmp_path / "pose.npz")

    def chosen(start: str, start_at: str | None = None) -> ChosenStart | None:
        return start_of(LiveWish(tmp_path, start=start, start_at=start_at), "follower")

    assert chosen("found") is None
    read = chosen(f"{file}:0.5", "0.8,-20")
    assert read is not None and read.place == (0.8, -20.0)
    torch.testing.assert_close(read.start.pose.joints[0], partner.joints[15], atol=1e-4, rtol=0)
    for start, start_at, told in (
        ("found", "0.8", "give --start FILE"),
        (str(tmp_path / "none.npz"), None, "none.npz"),
        (f"{file}:9", None, "its motion lasts"),
        (file, "50", "50 m from the partner"),
        (file, "near", "METRES"),
    ):
        with pytest.raises(InputError, match=told) as error:
            chosen(start, start_at)
        assert "\n" not in str(error.value)
