"""A clip of a store is a motion file of two persons."""

import numpy as np
import pytest
import torch

from duet_rl.datasets.clip import align, to_arrays
from duet_rl.errors import InputError
from duet_rl.mocap.couple_file import holds_couple
from duet_rl.mocap.motion_file import read_motion
from duet_rl.mocap.npz import write_npz
from tests.couple import stepping_couple


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    couple = stepping_couple(0.8)
    music, hold = torch.zeros(24, 54), torch.zeros(24, 2, 4, dtype=torch.bool)
    facts = {"name": "c", "choreography": "c", "audio": None, "music_source": "none"}
    facts |= {"style": "unknown", "tempo": 0.0, "source": "test"}
    path = tmp_path_factory.mktemp("clip") / "clip.npz"
    np.savez(path, **to_arrays(align(couple, music, hold, **facts)))
    return path, couple


@pytest.mark.parametrize("person", ["follower", "2", 2])
def test_each_of_the_two_is_read_where_they_danced(clip, person):
    path, couple = clip
    for who, motion in ((None, couple.leader), (person, couple.follower)):
        read = read_motion(path, person=who)
        torch.testing.assert_close(read.motion.joints, motion.joints, atol=1e-4, rtol=0)
        assert read.motion.fps == 30 and read.found.persons == ("leader", "follower")
    assert any("the first is taken" in line for line in read_motion(path).warnings)
    assert not read_motion(path, person=person).warnings


def test_who_is_not_there_is_refused_with_the_names_of_those_who_are(clip, tmp_path):
    path, couple = clip
    with pytest.raises(InputError, match="no person 'third'; it has 2: 1 leader, 2 follower"):
        read_motion(path, person="third")
    write_npz(tmp_path / "one.npz", couple.leader)
    with pytest.raises(InputError, match="no person 2; it has 1"):
        read_motion(tmp_path / "one.npz", person=2)
    assert read_motion(tmp_path / "one.npz", person=1).motion.frames == couple.frames
    np.save(tmp_path / "three.npy", np.tile(couple.leader.joints.numpy(), (3, 1, 1, 1)))
    with pytest.raises(InputError, match="no person 4; it has 3: 1, 2, 3"):
        read_motion(tmp_path / "three.npy", person=4)


def test_only_clips_are_couples(clip, tmp_path):
    path, couple = clip
    write_npz(tmp_path / "one.npz", couple.leader)
    assert holds_couple(path)
    assert not holds_couple(tmp_path / "one.npz") and not holds_couple(tmp_path / "none.npz")
    arrays = {name: value for name, value in np.load(path).items()}
    np.savez(tmp_path / "bad.npz", **{**arrays, "leader_root": arrays["leader_root"][:5]})
    with pytest.raises(InputError, match="no clip of a couple"):
        read_motion(tmp_path / "bad.npz")
