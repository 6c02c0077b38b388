"""BVH and npz of a couple, read back by us and by arithmetic that shares nothing with us."""

import math
import resource

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import JOINT_NAMES, PARENTS
from duet_rl.generate import export
from duet_rl.mocap.read import read_motion
from tests.generate.wild import TENTH_OF_A_MILLIMETRE, wild

PELVIS = np.array([0.0, -0.35, 0.01])  # m; where SMPL-X has it in its mean body


def bvh_joints(text: str) -> list[dict[str, np.ndarray]]:
    """Joint places by name, frame by frame, by the rules of the format alone."""
    hierarchy, _, motion = text.partition("MOTION")
    joints = bvh_tree(hierarchy.splitlines()[1:])
    frames = []
    for line in motion.splitlines()[3:]:
        values = (float(word) for word in line.split())
        world: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, (parent, offset, channels) in joints.items():
            place, turn = world.get(parent, (np.zeros(3), np.eye(3)))
            place = place + turn @ offset
            for channel in channels:
                axis, value = "XYZ".index(channel[0]), next(values)
                if channel.endswith("position"):
                    place = np.where(np.arange(3) == axis, value, place)
                else:
                    turn = turn @ about(axis, math.radians(value))
            world[name] = place, turn
        assert next(values, None) is None
        frames.append({name: place for name, (place, _) in world.items()})
    return frames


def bvh_tree(lines: list[str]) -> dict[str, tuple[str, np.ndarray, list[str]]]:
    """Parent, offset and channels of each joint, in the order of the file; without end sites."""
    joints: dict[str, tuple[str, np.ndarray, list[str]]] = {}
    above = [""]
    for line in lines:
        kind, *words = line.split()
        if kind in ("ROOT", "JOINT", "End"):
            above.append(words[0])
        elif kind == "OFFSET":
            offset = np.array(words, dtype=float)
        elif kind == "CHANNELS":
            joints[above[-1]] = above[-2], offset, words[1:]
        elif kind == "}":
            above.pop()
    return joints


def about(axis: int, angle: float) -> np.ndarray:
    one, two = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[one, one] = matrix[two, two] = math.cos(angle)
    matrix[two, one], matrix[one, two] = math.sin(angle), -math.sin(angle)
    return matrix


def off(motion: Motion, frames: list[dict[str, np.ndarray]]) -> float:
    found = np.array([[frame[name] for name in JOINT_NAMES] for frame in frames])
    return float(np.linalg.norm(found - motion.joints.numpy(), axis=-1).max())


@pytest.mark.parametrize("yaw", [0.0, math.pi, -2.0])
def test_a_couple_is_two_files_in_one_room(tmp_path, couple, yaw):
    dance = couple.slice(0, 12).turned(yaw, (1.0, 0.0, -2.0))
    export.write(dance, tmp_path / "dance.bvh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dance.bvh", "dance.leader.bvh"]
    files = {"dance.bvh": dance.follower, "dance.leader.bvh": dance.leader}
    for name, motion in files.items():
        assert off(motion, bvh_joints((tmp_path / name).read_text())) < TENTH_OF_A_MILLIMETRE
        again = read_motion(tmp_path / name)
        gap = (again.joints - motion.joints).norm(dim=-1).max()
        assert again.fps == motion.fps and gap < TENTH_OF_A_MILLIMETRE


def test_a_dancer_who_faces_away_does_so_by_the_arithmetic_of_others(tmp_path, couple):
    away = couple.leader.slice(0, 3).turned(math.pi)
    export.write(away, tmp_path / "away.bvh")
    assert [path.name for path in tmp_path.iterdir()] == ["away.bvh"]
    for frame in bvh_joints((tmp_path / "away.bvh").read_text()):
        across = frame["left_hip"] - frame["right_hip"]
        ahead = np.cross(across, [0.0, 1.0, 0.0])
        assert across[0] < 0 and ahead[2] < 0, "left is at -X and the dancer looks to -Z"
        assert frame["left_foot"][2] < frame["left_ankle"][2]


def test_rotations_of_every_size_come_back(tmp_path, couple):
    motion = wild(couple.leader.slice(0, 3))
    export.write(motion, tmp_path / "wild.bvh")
    assert off(motion, bvh_joints((tmp_path / "wild.bvh").read_text())) < TENTH_OF_A_MILLIMETRE


def test_an_npz_holds_the_follower_as_amass_has_it(tmp_path, couple):
    dance = Duet(couple.leader, couple.follower).turned(2.0)
    export.write(dance, tmp_path / "dance.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["dance.npz"]
    with np.load(tmp_path / "dance.npz", allow_pickle=False) as stored:
        turns = Rotation.from_rotvec(stored["poses"].reshape(-1, 3)).as_matrix()
        turns = turns.reshape(-1, 55, 3, 3)
        offsets, trans, rate = stored["offsets"], stored["trans"], stored["mocap_frame_rate"]
    places, world = [trans + PELVIS], [turns[:, 0]]
    for joint, parent in list(enumerate(PARENTS))[1:]:
        places.append(places[parent] + world[parent] @ offsets[joint])
        world.append(world[parent] @ turns[:, joint])
    found = np.stack(places, axis=1)
    assert rate == 30
    assert np.abs(found - dance.follower.joints.numpy()).max() < TENTH_OF_A_MILLIMETRE
    again = read_motion(tmp_path / "dance.npz")
    assert (again.joints - dance.follower.joints).abs().max() < 1e-5
    assert (again.rotations - dance.follower.rotations).abs().max() < 1e-5


def test_when_the_leader_does_not_fit_the_follower_is_not_written_either(tmp_path, couple):
    heavy = Duet(wild(couple.leader), couple.follower)  # longer numbers: the larger file
    export.write(heavy, tmp_path / "dance.bvh")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sizes = [len(before[name]) for name in ("dance.bvh", "dance.leader.bvh")]
    assert sizes[0] < sizes[1]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sum(sizes) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            export.write(
                Duet(heavy.leader, heavy.follower.moved((1.0, 0.0, 0.0))), tmp_path / "dance.bvh"
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
