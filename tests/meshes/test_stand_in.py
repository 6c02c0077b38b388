"""Our own body in the files of SMPL-X: whole, plausible, and like a licensed one to use."""

import shutil

import numpy as np
import pytest
import torch

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import FEET, JOINT, PARENTS, default_skeleton
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.meshes import stand_in
from duet_rl.meshes.closed_mesh import volume
from duet_rl.meshes.smplx import GENDERS, BodyModel
from duet_rl.meshes.stand_in import SHAPES, is_stand_in, stand_in_arrays, write_stand_in
from tests.meshes.surfaces import components, open_edges


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return stand_in_arrays("NEUTRAL")


@pytest.fixture(params=GENDERS)
def model(request: pytest.FixtureRequest, bodies: dict[str, BodyModel]) -> BodyModel:
    return bodies[request.param]


def surface(model: BodyModel, poses: torch.Tensor, betas: torch.Tensor) -> np.ndarray:
    """Return the vertices `(T, V, 3)` of a body in some poses, `(T, 55, 3)`."""
    motion = model.motion(poses, torch.zeros(len(poses), 3), betas, fps=30.0)
    return model.vertices(motion, betas).numpy()


def with_beta(name: str, amount: float = 1.0) -> torch.Tensor:
    betas = torch.zeros(10)
    betas[SHAPES.index(name)] = amount
    return betas


def height(model: BodyModel, betas: torch.Tensor) -> float:
    return float(np.ptp(surface(model, torch.zeros(1, 55, 3), betas)[0, :, 1]))


def test_it_has_the_layout_of_the_licensed_files(arrays):
    assert {name: arrays[name].shape for name in ("v_template", "shapedirs", "posedirs")} == {
        "v_template": (10_475, 3),
        "shapedirs": (10_475, 3, 20),
        "posedirs": (10_475, 3, 486),
    }
    assert arrays["weights"].shape == (10_475, 55) == arrays["J_regressor"].shape[::-1]
    assert tuple(arrays["kintree_table"][0, 1:]) == PARENTS[1:]


def test_the_surface_is_one_closed_piece_without_handles(model):
    faces = model.faces.numpy()
    assert len(np.unique(faces)) == 10_475
    assert open_edges(faces) == 0
    assert components(faces) == 1
    edges = 3 * len(faces) // 2
    assert 10_475 - edges + len(faces) == 2
    (vertices,) = surface(model, torch.zeros(1, 55, 3), torch.zeros(10))
    assert 0.04 < volume(vertices.astype(float), faces) < 0.1


def test_no_triangle_looks_inwards(arrays):
    vertices, faces = arrays["v_template"].astype(float), arrays["f"].astype(int)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    middle = (a + b + c) / 3
    before = np.concatenate([middle + normals / np.linalg.norm(normals, axis=1)[:, None] * 1e-3])
    owners = arrays["weights"][faces].sum(axis=1).argmax(axis=1)
    joints = arrays["J_regressor"] @ vertices
    # Out of the bone that carries it, not into it. Triangles in creases may lie across.
    away = np.linalg.norm(before - joints[owners], axis=1)
    inwards = away < np.linalg.norm(middle - joints[owners], axis=1) - 5e-4
    assert inwards.mean() < 0.02


def test_joints_of_the_neutral_body_are_those_of_our_skeleton(bodies):
    skeleton = bodies["neutral"].skeleton(torch.zeros(10))
    torch.testing.assert_close(skeleton.offsets, default_skeleton().offsets, atol=1e-5, rtol=0)


def test_weights_are_shares_and_every_joint_carries_something(arrays):
    for table, axis in ((arrays["weights"], 1), (arrays["J_regressor"], 1)):
        assert (table >= 0).all()
        np.testing.assert_allclose(table.sum(axis=axis), 1, atol=1e-5)
    assert (arrays["weights"].max(axis=0) > 0.5).all()


def test_limbs_blend_over_several_rows_of_vertices(arrays):
    elbow, shoulder = (
        arrays["weights"][:, JOINT[f"left_{name}"]] for name in ("elbow", "shoulder")
    )
    shared = (elbow > 0.1) & (shoulder > 0.1)
    x = arrays["v_template"][shared, 0]
    assert shared.sum() > 30 and 0.03 < np.ptp(x) < 0.15


def test_heights_are_those_of_people(model):
    assert 1.5 < height(model, torch.zeros(10)) < 1.8


def test_men_are_taller_and_women_have_wider_hips_for_their_shoulders(bodies):
    man, woman = bodies["male"], bodies["female"]
    none = torch.zeros(10)
    assert height(man, none) > height(woman, none) + 0.05

    def breadth(model: BodyModel, joint: str) -> float:
        rest = model.skeleton(none).rest_joints()
        return float(rest[JOINT[f"left_{joint}"], 0] - rest[JOINT[f"right_{joint}"], 0])

    shares = [breadth(model, "hip") / breadth(model, "shoulder") for model in (man, woman)]
    assert shares[1] > shares[0] + 0.05


def test_betas_change_what_they_are_called_after(bodies):
    model, none = bodies["neutral"], torch.zeros(10)
    assert height(model, with_beta("height")) == pytest.approx(
        height(model, none) * 1.035, rel=2e-3
    )
    bones = {name: model.skeleton(with_beta(name)).offsets.norm(dim=1) for name in SHAPES}
    usual = model.skeleton(none).offsets.norm(dim=1)
    knee, elbow = JOINT["left_knee"], JOINT["left_elbow"]
    assert bones["leg_length"][knee] > usual[knee] * 1.04
    torch.testing.assert_close(bones["leg_length"][elbow], usual[elbow], atol=1e-3, rtol=0)
    assert bones["arm_length"][elbow] > usual[elbow] * 1.04
    still = torch.zeros(1, 55, 3)
    sizes = [
        volume(surface(model, still, b)[0].astype(float), model.faces.numpy())
        for b in (none, with_beta("girth"), with_beta("belly"))
    ]
    assert sizes[1] > sizes[0] * 1.05 and sizes[2] > sizes[0]


def test_a_raised_arm_takes_its_hand_along_and_nothing_else(model):
    poses = torch.zeros(2, 55, 3)
    poses[1, JOINT["left_shoulder"], 2] = 1.3
    down, up = surface(model, poses, torch.zeros(10))
    moved = np.linalg.norm(up - down, axis=1)
    weights = model._network.lbs_weights.numpy()
    hand = weights[:, JOINT["left_wrist"]] > 0.5
    below = weights[:, [*FEET, JOINT["left_knee"], JOINT["pelvis"], JOINT["right_wrist"]]]
    assert hand.sum() > 100 and (moved[hand] > 0.5).all()
    assert (up[hand, 1] > up[:, 1].max() - 0.5).all()
    assert moved[below.sum(axis=1) > 0.9].max() < 1e-6


def test_bodies_in_motion_keep_their_skin_round_their_bones(model):
    poses = 0.35 * torch.randn(12, 55, 3, generator=torch.Generator().manual_seed(1))
    motion = model.motion(poses, torch.zeros(12, 3), torch.zeros(10), fps=30.0)
    posed = model.vertices(motion, torch.zeros(10)).numpy()
    (rest,) = surface(model, torch.zeros(1, 55, 3), torch.zeros(10))
    still = model.motion(torch.zeros(1, 55, 3), torch.zeros(1, 3), torch.zeros(10), fps=30.0)
    owner = model._network.lbs_weights.argmax(dim=1).numpy()
    usual = np.linalg.norm(rest - still.joints[0].numpy()[owner], axis=1)
    for vertices, joints in zip(posed, motion.joints.numpy(), strict=True):
        away = np.linalg.norm(vertices - joints[owner], axis=1)
        assert np.abs(away - usual).max() < 0.08
        assert 0.04 < volume(vertices.astype(float), model.faces.numpy()) < 0.1


def test_its_joints_are_those_of_our_kinematics(model):
    generator = torch.Generator().manual_seed(0)
    poses = torch.randn(70, 55, 3, generator=generator)  # more than one chunk
    transl, betas = torch.randn(70, 3, generator=generator), torch.randn(10, generator=generator)
    motion = model.motion(poses, transl, betas, fps=30.0)
    skeleton = model.skeleton(betas)
    root = motion.joints[:, 0]
    ours = forward_kinematics(axis_angle_to_matrix(poses), root, skeleton.offsets)
    torch.testing.assert_close(motion.joints, ours.joints, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_same_files_come_out_again(body_models, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(body_models, again)  # our own may be written anew
    stand_in._common.cache_clear()
    assert sha256_of(write_stand_in(again)) == sha256_of(body_models)
    assert is_stand_in(again / "SMPLX_MALE.npz")


def test_a_file_that_is_no_stand_in_stays(tmp_path):
    np.savez(tmp_path / "SMPLX_MALE.npz", v_template=np.zeros((10_475, 3)))
    before = sha256_of(tmp_path)
    with pytest.raises(InputError, match=r"SMPLX_MALE\.npz is there and is no stand-in"):
        write_stand_in(tmp_path)
    assert sha256_of(tmp_path) == before
