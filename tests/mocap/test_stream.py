"""Poses of other skeletons one by one: the joints that the reading of whole files gives."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import FEET, JOINT
from duet_rl.errors import InputError
from duet_rl.mocap.axes import to_y_up
from duet_rl.mocap.bvh import BvhMotion, BvhReader
from duet_rl.mocap.bvh_file import open_bvh
from duet_rl.mocap.motion_file import read_motion
from duet_rl.mocap.retarget_any import Retargeter
from duet_rl.mocap.skeleton_match import rig_of
from duet_rl.mocap.stream import PlacedPose, SkeletonStream, StreamSkeleton, TurnedPose
from tests.mocap.rigs import figure, write_rig
from tests.mocap.test_rigs import COLLARS, RIGS

FRAMES = 32
NAMES = ("Mixamo", "LAFAN1", "Unreal", "nameless")


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, BvhMotion, Tensor]]:
    """Of each rig: its file, what the file says, and where the figure's joints are."""
    folder, made = tmp_path_factory.mktemp("streams"), {}
    for name in NAMES:
        rig = replace(RIGS[name][0], fps=30.0)
        collars = () if any("collar" in bone.at for bone in rig.bones) else COLLARS
        true = figure(FRAMES, fps=30.0, still=collars)
        path = folder / f"{name}.bvh"
        write_rig(path, true, rig)
        made[name] = path, BvhReader(open_bvh(path)).frames(), true.joints
    return made


def turned(take: BvhMotion, **said) -> tuple[StreamSkeleton, list[TurnedPose]]:
    skeleton = StreamSkeleton(take.names, take.parents, take.offsets, take.end_sites, **said)
    return skeleton, [TurnedPose(*pose) for pose in zip(take.root, take.rotations, strict=True)]


def placed(take: BvhMotion, **said) -> tuple[StreamSkeleton, list[PlacedPose]]:
    return StreamSkeleton(take.names, take.parents, **said), [*map(PlacedPose, take.pose()[0])]


def streamed(skeleton: StreamSkeleton, poses: Sequence) -> tuple[SkeletonStream, Tensor, int]:
    """The stream, our joints of the poses that it took, and how many it let pass before."""
    stream = SkeletonStream(skeleton)
    joints = [stream.joints(pose) for pose in poses]
    begun = [each for each in joints if each is not None]
    assert all(each is not None for each in joints[len(joints) - len(begun) :])
    return stream, torch.stack(begun), len(joints) - len(begun)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_the_figure_behind_it(takes, name: str) -> None:
    _, take, true = takes[name]
    rig, _, untold = RIGS[name]
    at_joints = {bone.at for bone in rig.bones if not bone.to} - {"jaw"} - set(untold)
    for told, (skeleton, poses) in (
        (at_joints | set(rig.ends.values()), turned(take)),
        (at_joints, placed(take)),
    ):
        stream, joints, before = streamed(skeleton, poses)
        assert stream.found is not None
        assert stream.found.scale == pytest.approx(rig.unit, rel=1e-3)
        assert (stream.found.up, stream.found.floor) == (rig.up, 0.0)
        off = (joints - true[before:])[:, [JOINT[joint] for joint in told]].norm(dim=-1)
        assert off.max() < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_is_what_the_file_gives(takes, name: str) -> None:
    path, take, _ = takes[name]
    _, joints, before = streamed(*turned(take))
    whole = read_motion(path).motion.joints[before:]
    # Where the file's own pose is no person's, a file is judged by its more upright half.
    limit = 0.03 if RIGS[name][0].rest == "along x" else 1e-4
    assert (joints - whole).norm(dim=-1).max() < limit


@pytest.mark.parametrize("name", ["LAFAN1", "Unreal"])
def test_one_by_one_is_the_whole_take_at_once(takes, name: str) -> None:
    _, take, _ = takes[name]
    skeleton, poses = turned(take, floor=0.0)
    stream, joints, before = streamed(skeleton, poses)
    assert stream.found is not None
    metres = replace(
        take, root=take.root * stream.found.scale, offsets=take.offsets * stream.found.scale
    )
    first = replace(
        metres, rotations=take.rotations[before : before + 1], root=metres.root[before : before + 1]
    )
    whole = to_y_up(Retargeter(first, rig_of(take)).motion(metres), stream.found.up).joints
    told = [joint for joint in range(55) if joint not in FEET]  # toes get their soles
    assert (joints - whole[before:])[:, told].abs().max() < 1e-5


def test_a_rest_that_is_no_pose_waits_for_somebody_upright(takes) -> None:
    _, take, _ = takes["LAFAN1"]
    skeleton, poses = turned(take)
    stream = SkeletonStream(skeleton)
    upright = next(t for t, pose in enumerate(poses) if stream.joints(pose) is not None)
    bent = [pose for pose in poses[:upright]]
    again = SkeletonStream(skeleton)
    assert upright > 0 and all(again.joints(pose) is None for pose in bent)
    assert again.found is None


def test_what_is_said_overrules_what_is_found(takes) -> None:
    _, take, _ = takes["Unreal"]
    _, plain, _ = streamed(*turned(take))
    stream, joints, _ = streamed(*turned(take, scale=0.012, up="z", floor=0.3))
    assert stream.found is not None and stream.found.scale_from == "given"
    wanted = plain * 1.2 - torch.tensor([0.0, 0.3, 0.0])
    told = [JOINT[name] for name in ("pelvis", "left_wrist", "head", "right_ankle")]
    torch.testing.assert_close(joints[:, told], wanted[:, told], atol=1e-3, rtol=0)
    with pytest.raises(InputError, match=r"legs of 79\.1 m"):
        streamed(*turned(take, scale=1.0))


def test_a_floor_elsewhere_is_brought_down_and_a_body_lying_tells_no_up(takes) -> None:
    _, take, true = takes["Mixamo"]
    skeleton, poses = turned(take)
    raised = [
        TurnedPose(pose.root + torch.tensor([0.0, 70.0, 0.0]), pose.rotations) for pose in poses
    ]
    stream, joints, _ = streamed(skeleton, raised)
    assert stream.found is not None and stream.found.floor == pytest.approx(0.7, abs=0.02)
    assert (joints - true)[:, 0].norm(dim=-1).max() < 0.02
    lying = poses[0].rotations.clone()
    lying[0] = axis_angle_to_matrix(torch.tensor([0.0, 0.0, 1.57])) @ lying[0]
    assert SkeletonStream(skeleton).joints(TurnedPose(poses[0].root, lying)) is None


def test_no_person_is_refused_with_what_was_recognised() -> None:
    table = StreamSkeleton(("top", "leg", "other"), (-1, 0, 0), torch.rand(3, 3))
    pose = TurnedPose(torch.zeros(3), torch.eye(3).expand(3, 3, 3))
    with pytest.raises(InputError, match="no person is recognised in its 3 joints"):
        SkeletonStream(table).joints(pose)
