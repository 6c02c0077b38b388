"""Leaders of other skeletons over the line: what is said of them, and who dances beside them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from duet_rl.body.rotations import matrix_to_axis_angle
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower
from duet_rl.live.follower import LiveFollower
from duet_rl.live.hall import Hall
from duet_rl.live.intake import FPS, Intake, LeaderFrame
from duet_rl.live.protocol import Hello, read, shown_of
from duet_rl.live.settings import LiveConfig
from duet_rl.live.skeleton import SkeletonHello, placed_message, turned_message
from duet_rl.mocap.bvh import BvhMotion, read_bvh
from duet_rl.mocap.motion_file import read_motion
from tests.live.clients import client, with_server, word
from tests.mocap.rigs import Made, figure, write_rig
from tests.mocap.test_rigs import MIXAMO

RATE = 60.0
FRAMES = 96


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A take of Mixamo's skeleton in centimetres, z up, at 60 fps."""
    path = tmp_path_factory.mktemp("take") / "take.bvh"
    write_rig(path, figure(FRAMES, fps=RATE), Made(MIXAMO, up="z", fps=RATE))
    return path


@pytest.fixture(scope="module")
def take(path: Path) -> BvhMotion:
    return read_bvh(path)


def said_of(take: BvhMotion, turns: bool = True) -> dict[str, Any]:
    said: dict[str, Any] = {"names": take.names, "parents": take.parents}
    ends = {name: end.tolist() for name, end in take.end_sites.items()}
    return said | ({"offsets": take.offsets.tolist(), "ends": ends} if turns else {})


def quaternions(rotations: Tensor) -> Tensor:
    """(w, x, y, z) of length 1."""
    half = matrix_to_axis_angle(rotations) / 2
    angle = half.norm(dim=-1, keepdim=True)
    return torch.cat([angle.cos(), torch.sinc(angle / torch.pi) * half], dim=-1)


def messages(take: BvhMotion, how: str) -> list[str | bytes]:
    """The poses as a client sends them."""
    turns, places = quaternions(take.rotations), take.pose()[0]
    made: list[str | bytes] = []
    for frame, (root, turn, place) in enumerate(zip(take.root, turns, places, strict=True)):
        time = 5.0 + frame / take.fps
        if how == "binary turns":
            made.append(turned_message(time, root, turn))
        elif how == "binary places":
            made.append(placed_message(time, place))
        else:
            said = {"root": root.tolist(), "rotations": turn.tolist()}
            said = said if how == "turns" else {"joints": place.tolist()}
            made.append(json.dumps({"type": "pose", "time": time, **said}))
    return made


async def dance(
    place: str, skeleton: dict[str, Any], poses: list[str | bytes]
) -> tuple[list[dict[str, Any]], Tensor, list[float]]:
    """What the server said of the skeleton, and the frames that came with their times."""
    async with client(place, seed=3, skeleton=skeleton) as socket:
        for pose in [*poses, '{"type": "bye"}']:
            await socket.send(pose)
            await asyncio.sleep(0.001)
        said, shown = [], []
        async for message in socket:
            if isinstance(message, bytes):
                shown.append(shown_of(message))
            elif json.loads(message)["type"] in ("skeleton", "error"):
                said.append(json.loads(message))
    return said, torch.stack([one.follower for one in shown]), [one.time for one in shown]


def test_what_the_page_of_documentation_says_of_a_file_is_a_skeleton(take: BvhMotion) -> None:
    text = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    hello = read(json.dumps(names["hello_of"](take)))
    assert isinstance(hello, Hello) and hello.skeleton is not None
    assert hello.skeleton == SkeletonHello.model_validate(said_of(take))
    assert hello.skeleton.checked().names == take.names


@pytest.mark.parametrize("how", ["binary turns", "turns", "binary places"])
def test_a_leader_of_another_skeleton_is_followed_as_his_file_would_be(
    follower: Follower, take: BvhMotion, path: Path, how: str
) -> None:
    async def talk(hall: Hall, place: str) -> None:
        turns = how.endswith("turns")
        said, danced, times = await dance(place, said_of(take, turns), messages(take, how))
        assert [one["type"] for one in said] == ["skeleton"], said
        assert (said[0]["scale"], said[0]["up"]) == (0.01, "z")
        assert said[0]["joints"]["left_knee"] == "LeftLeg"
        assert times[:2] == pytest.approx([5.0, 5.0 + 1 / FPS])
        whole = read_motion(path, rate=RATE).motion.joints[::2]
        wanted = LiveFollower(follower, LiveConfig(), seed=3).step(whole).joints
        limit = 1e-3 if turns else 0.1  # places say nothing of eyes and ends
        assert len(danced) == len(wanted) == FRAMES // 2
        # An untrained follower stands where the leader does: what it saw was the same dance.
        assert (danced - wanted)[:, 0].norm(dim=-1).max() < limit

    with_server(follower, talk, outgoing=200)


def test_120_poses_a_second_become_thirty_even_ones(path: Path) -> None:
    """Between poses the joints are drawn straight; the file's low-pass is within millimetres."""
    slow = read_motion(path, rate=30.0).motion.joints
    fast = read_motion(path, rate=RATE).motion.resample(120.0).joints
    intake = Intake()
    even = [
        each.joints
        for frame, joints in enumerate(fast)
        for each in intake.put(LeaderFrame(frame / 120, joints))
    ]
    joints = torch.stack(even)
    middle = slice(4, len(slow) - 4)  # the ends of a file are mirrored for the low-pass
    assert len(joints) == len(slow)
    assert (joints - slow)[middle].norm(dim=-1).mean() < 0.002
    assert (joints - slow)[middle].norm(dim=-1).max() < 0.02


def test_broken_poses_of_another_skeleton_are_left_out(follower: Follower, take: BvhMotion) -> None:
    poses = messages(take, "binary turns")[::2]
    poses[10] = turned_message(5.0 + 20 / RATE, take.root[20], torch.zeros(len(take.names), 4))
    poses[20] = turned_message(5.0 + 40 / RATE, take.root[0] / 0, torch.ones(len(take.names), 4))

    async def talk(hall: Hall, place: str) -> None:
        said, danced, _ = await dance(place, said_of(take), poses)
        assert [one["type"] for one in said] == ["skeleton"]
        assert danced.isfinite().all() and len(danced) == FRAMES // 2

    with_server(follower, talk, outgoing=200)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"parents": [-1, 0]}, "2 parents"),
        ({"parents": [-1, 2, 0]}, "parent of joint 1"),
        ({"names": ["a", "a", "b"]}, "appears twice"),
        ({"ends": {"c": [0, 0, 0], "x": [0, 1, 0]}}, "'x', which is no joint"),
        ({"offsets": [[0, 0, 0], [0, float("inf"), 0], [0, 1, 0]]}, "finite number"),
        ({"up": "x"}, "skeleton.up"),
        ({"scale": 0}, "skeleton.scale"),
        ({"bones": 3}, "bones"),
    ],
)
def test_a_skeleton_that_is_none_is_refused_with_what_is_wrong(
    change: dict[str, Any], told: str
) -> None:
    skeleton = {"names": ["a", "b", "c"], "parents": [-1, 0, 1], **change}
    with pytest.raises(InputError, match=told):
        hello = read(json.dumps({"type": "hello", "skeleton": skeleton}))
        hello.skeleton.checked()


def test_poses_of_another_kind_than_was_said_are_told(follower: Follower, take: BvhMotion) -> None:
    turning = SkeletonHello.model_validate(said_of(take)).checked()
    placing = SkeletonHello.model_validate(said_of(take, turns=False)).checked()
    for skeleton, how, told in (
        (turning, "binary places", "wanted kind 5"),
        (placing, "binary turns", "wanted kind 1"),
        (turning, "places", "root .3. and rotations .52 x 4"),
        (placing, "turns", "rotations need a skeleton with offsets"),
    ):
        with pytest.raises(InputError, match=told):
            read(messages(take, how)[0], skeleton)

    async def talk(hall: Hall, place: str) -> None:
        table = {"names": ["a", "b", "c"], "parents": [-1, 0, 0]}
        async with client(place, skeleton=table) as socket:
            await socket.send(placed_message(0.0, torch.rand(3, 3)))
            assert "no person is recognised" in (await word(socket, "error"))["message"]
        async with client(place) as socket:
            await socket.send(messages(take, "binary places")[0])
            assert "say the skeleton" in (await word(socket, "error"))["message"]

    with_server(follower, talk)
