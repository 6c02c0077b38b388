"""A body of 22 joints becomes a motion of ours that stands as it does."""

import pytest
import torch

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import axis_angle_to_matrix, yaw_matrix
from duet_rl.body.skeleton import SOLE_DEPTH, WRISTS, Skeleton, default_skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.body_fit import BODY, fit_skeleton, motion_of_body

FRAMES = 12


def dancer(grown: float = 1.0, spread: float = 1.0) -> torch.Tensor:
    """Joints of somebody who moves about; hips, shoulders and bones are not those of ours."""
    torch.manual_seed(0)
    offsets = default_skeleton().offsets.double() * grown
    offsets[[1, 2], 1] *= spread
    offsets[[13, 14], 0] *= spread
    rotations = axis_angle_to_matrix(0.4 * torch.randn(FRAMES, 55, 3, dtype=torch.float64))
    root = torch.randn(FRAMES, 3, dtype=torch.float64)
    return forward_kinematics(rotations, root, Skeleton(offsets).offsets).joints[:, :BODY].float()


@pytest.mark.parametrize(("grown", "spread"), [(1.0, 1.0), (0.8, 1.0), (1.1, 2.0)])
def test_joints_of_any_rigid_body_stay_where_they_are(grown: float, spread: float):
    joints = dancer(grown, spread)
    motion = motion_of_body(joints, 20.0, floor=False)
    assert torch.allclose(motion.joints[:, :BODY], joints, atol=1e-4)
    assert motion.fps == 20.0
    posed = forward_kinematics(motion.rotations, motion.root, motion.skeleton.offsets)
    assert torch.allclose(posed.joints, motion.joints, atol=1e-5)


def test_hands_go_on_as_the_forearms_do():
    motion = motion_of_body(dancer(), 20.0)
    turns = motion.rotations[:, list(WRISTS)]
    assert torch.allclose(turns, torch.eye(3).expand_as(turns), atol=1e-6)


def test_the_lowest_joint_of_the_take_stands_on_the_floor_and_leaps_stay():
    joints = dancer()
    free, standing = (motion_of_body(joints, 20.0, floor=floor) for floor in (False, True))
    assert float(standing.joints[..., 1].min()) == pytest.approx(SOLE_DEPTH, abs=1e-5)
    moved = standing.joints - free.joints
    assert torch.allclose(moved, moved[:1, :1].expand_as(moved), atol=1e-5)


def test_the_skeleton_is_the_same_wherever_the_dancer_turns():
    joints = dancer(1.1, 2.0)
    turned = joints @ yaw_matrix(torch.tensor(2.0)).T + 3.0
    found, wanted = fit_skeleton(turned).offsets, fit_skeleton(joints).offsets
    assert torch.allclose(found, wanted, atol=1e-4)


def test_bones_that_breathe_have_their_usual_length():
    joints = dancer()
    wanted = fit_skeleton(joints).offsets.norm(dim=-1)
    joints[0, 20] += 1.0  # one frame of one wrist
    assert torch.allclose(fit_skeleton(joints).offsets[20].norm(), wanted[20], atol=1e-3)


def test_nothing_is_made_of_no_numbers():
    joints = dancer()
    joints[3, 5] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        motion_of_body(joints, 20.0)
    with pytest.raises(InputError, match="0 frames"):
        motion_of_body(joints[:0], 20.0)
    with pytest.raises(InputError, match="joint 3 has no length"):
        motion_of_body(
            torch.ones(4, BODY, 3).index_add(1, torch.tensor([1, 2]), torch.rand(4, 2, 3)), 20.0
        )
