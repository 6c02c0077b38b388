"""A dance begins with the pose that was chosen, and nothing leaps after it."""

import math

import numpy as np
import pytest
import torch

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import FEET, UP, Skeleton
from duet_rl.datasets.clip import align, to_arrays
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower, generate, load_follower
from duet_rl.generate.partner import read_partner, read_start
from duet_rl.generate.start import Start
from duet_rl.mocap.npz import write_npz
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig, PlacementConfig
from tests.couple import stepping_couple
from tests.generate.test_follower import gpt_config, save_follower


@pytest.fixture(scope="module")
def follower(tmp_path_factory) -> Follower:
    torch.manual_seed(0)
    codec = DuetCodec(DuetCodecConfig())
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):
            codebook.normal_()
    folder = tmp_path_factory.mktemp("run") / "follower"
    return load_follower(save_follower(folder, gpt_config(codec), codec))


def danced(follower: Follower, leader: Motion, start: Start | None, samples: int = 1):
    music = torch.zeros(leader.frames, MUSIC_DIMS)
    return generate(follower, leader, music, 1, samples=samples, start=start)


def on_bones_of(follower: Follower, motion: Motion) -> Motion:
    skeleton = Skeleton(follower.codec.offsets, "dancer")
    return Motion.from_rotations(motion.root, motion.rotations, skeleton)


def leaps(motion: Motion) -> torch.Tensor:
    """Return the farthest that a joint goes in each frame, metres."""
    return motion.joints.diff(dim=0).norm(dim=-1).amax(-1)


@pytest.mark.parametrize("away", [0.0, 1.5])
def test_the_first_frame_is_the_pose(follower, away):
    couple = stepping_couple(6.0)
    start = Start.of(couple.follower.moved((away, 0.0, 0.0)), 1.0)
    for dance in danced(follower, couple.leader, start, samples=2):
        assert dance.frames == couple.frames
        first, pose = dance.joints[0], start.pose.joints[0]
        assert (first - first[0] - pose + pose[0]).norm(dim=-1).max() < 0.02  # another's bones
        assert (first[0] - pose[0])[[0, 2]].norm() < 1e-5
        assert abs(first[FEET, UP].amin() - pose[FEET, UP].amin()) < 1e-4


def test_what_differs_fades_out_and_the_dance_goes_on_as_it_was(follower):
    dance = on_bones_of(follower, stepping_couple(6.0).follower)
    for yaw, away in ((0.6, 0.2), (2.5, 1.5)):
        start = Start.of(dance.turned(yaw, dance.root[0].tolist()).moved((away, 0.0, 0.0)), 0.4)
        led = start.led_into(dance, follower.codec)
        torch.testing.assert_close(led.joints[0], start.pose.joints[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(led.joints[110:], dance.joints[110:], atol=1e-4, rtol=0)
        assert leaps(led).max() < leaps(dance).max() + 0.1
        assert (led.root - dance.root).diff(dim=0).norm(dim=-1).max() * 30 < 1.2  # m/s


def test_a_pose_stands_so_far_from_the_partner_and_faces_him():
    couple = stepping_couple(1.0)
    leader = couple.leader.turned(1.0).moved((2.0, 0.0, -1.0))
    for degrees in (0.0, 90.0, -120.0):
        pose = Start.of(couple.follower).beside(leader, 0.8, degrees).pose
        way = pose.root[0] - leader.root[0]
        assert way[[0, 2]].norm() == pytest.approx(0.8, abs=1e-4)
        ahead = float(facing_angle(leader.joints[:1])[0])
        angle = math.remainder(math.atan2(way[0], way[2]) - ahead, math.tau)
        assert math.degrees(angle) == pytest.approx(degrees, abs=0.1)
        faces = float(facing_angle(pose.joints)[0])
        assert math.remainder(faces - ahead - angle - math.pi, math.tau) == pytest.approx(
            0, abs=1e-3
        )
    left = leader.joints[0, 1] - leader.joints[0, 2]  # from the right hip to the left
    beside = Start.of(couple.follower).beside(leader, 1.0, 90.0).pose.root[0] - leader.root[0]
    assert torch.dot(left, beside) > 0
    with pytest.raises(InputError, match="to 10 m"):
        Start.of(couple.follower).beside(leader, 0.0)


def test_a_codec_that_goes_its_own_way_takes_no_start():
    codec = DuetCodec(DuetCodecConfig(placement=PlacementConfig(relative_to="start")))
    couple = stepping_couple(0.8)
    with pytest.raises(InputError, match="dances alone"):
        Start.of(couple.follower).tokens(codec, couple.leader)


def test_the_other_of_a_take_is_the_start_and_times_are_looked_up(tmp_path):
    couple = stepping_couple(0.8)
    music, hold = torch.zeros(24, 54), torch.zeros(24, 2, 4, dtype=torch.bool)
    facts = {"audio": None, "music_source": "none", "style": "unknown", "tempo": 0.0}
    clip = align(couple, music, hold, name="c", choreography="c", source="test", **facts)
    np.savez(tmp_path / "clip.npz", **to_arrays(clip))
    write_npz(tmp_path / "one.npz", couple.follower)
    beside = {part: read_partner(tmp_path / "clip.npz", part) for part in ("leader", "follower")}
    torch.testing.assert_close(
        beside["leader"].motion.joints, couple.leader.joints, atol=1e-4, rtol=0
    )
    for part, other in (("leader", couple.follower), ("follower", couple.leader)):
        start = read_start(f"{tmp_path / 'clip.npz'}:0.5", beside[part])
        torch.testing.assert_close(start.pose.joints[0], other.joints[15], atol=1e-4, rtol=0)
    start = read_start(str(tmp_path / "one.npz"), beside["leader"])
    torch.testing.assert_close(start.pose.joints[0], couple.follower.joints[0], atol=1e-4, rtol=0)
    assert read_start("found", beside["leader"]) is None
    with pytest.raises(InputError, match="its motion lasts"):
        read_start(f"{tmp_path / 'one.npz'}:9", beside["leader"])
    with pytest.raises(InputError, match="--start FILE"):
        read_start("found", beside["leader"], (0.8, 0.0))
    with pytest.raises(InputError, match="start pose"):
        read_start(str(tmp_path / "none.npz"), beside["leader"])


@pytest.mark.parametrize("seconds", [-1.0, 1e9, math.nan, math.inf])
def test_a_time_that_a_motion_does_not_have_is_refused(seconds):
    with pytest.raises(InputError, match="give a time within it"):
        Start.of(stepping_couple(0.4).follower, seconds)
