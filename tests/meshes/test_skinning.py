"""The surface of any dancer: it meets the joints, whatever the bones."""

import torch

from duet_rl.body.contact import palms
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import yaw_matrix
from duet_rl.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, Skeleton, default_skeleton
from duet_rl.meshes.skinning import fitted_stand_in, surface_of
from duet_rl.meshes.stand_in_mesh import skin
from tests.body.couples import dancer
from tests.couple import stepping_couple
from tests.meshes.surfaces import open_edges

ON_THE_FACE = ("jaw", "left_eye", "right_eye")


def other_bones(seed: int = 0) -> Skeleton:
    """A skeleton with every bone up to a third longer or shorter, and bent by some degrees."""
    generator = torch.Generator().manual_seed(seed)
    offsets = default_skeleton().offsets
    longer = 1 + 0.3 * (2 * torch.rand(NUM_JOINTS, 1, generator=generator) - 1)
    bent = (
        0.1 * offsets.norm(dim=-1, keepdim=True) * torch.randn(offsets.shape, generator=generator)
    )
    return Skeleton(offsets * longer + bent)


def on_bones(motion: Motion, skeleton: Skeleton) -> Motion:
    return Motion.from_rotations(motion.root, motion.rotations, skeleton, motion.fps)


def nearest(surface: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Distance from points to the nearest vertex, frame by frame."""
    return torch.cdist(points, surface).amin(-1)


def test_on_its_own_bones_the_stand_in_is_as_it_was_made():
    skeleton = default_skeleton()
    made = skin(skeleton.rest_joints().double().numpy()).vertices
    torch.testing.assert_close(fitted_stand_in(skeleton), torch.from_numpy(made), atol=1e-9, rtol=0)


def test_the_surface_stays_around_the_joints_of_other_bones():
    motion = dancer(3)
    own = nearest(surface_of(motion).vertices, motion.joints)
    longer = on_bones(motion, other_bones())
    fitted = nearest(surface_of(longer).vertices, longer.joints)
    body = [JOINT[name] for name in JOINT_NAMES if name not in ON_THE_FACE]
    assert (fitted[:, body] < 1.5 * own[:, body] + 0.01).all()


def test_joined_hands_meet_on_the_surface_too():
    couple = stepping_couple(0.2)
    leader, follower = (surface_of(motion).vertices for motion in (couple.leader, couple.follower))
    for surface, motion in ((leader, couple.leader), (follower, couple.follower)):
        assert nearest(surface, palms(motion.joints)).max() < 0.03
    assert torch.cdist(leader[:1], follower[:1]).min() < 0.02


def test_a_dancer_of_twice_the_size_has_twice_the_surface():
    motion = dancer(2)
    large = Motion.from_rotations(
        2 * motion.root, motion.rotations, Skeleton(2 * motion.skeleton.offsets)
    )
    torch.testing.assert_close(
        surface_of(large).vertices, 2 * surface_of(motion).vertices, atol=1e-5, rtol=0
    )


def test_the_surface_goes_where_the_dancer_goes():
    motion = dancer(2)
    turn, shift = torch.tensor(1.2), torch.tensor([3.0, 0.0, -2.0])
    there = surface_of(motion.turned(1.2).moved(shift)).vertices
    here = surface_of(motion).vertices @ yaw_matrix(turn).T + shift
    torch.testing.assert_close(there, here, atol=1e-5, rtol=0)


def test_joints_off_their_bones_take_the_surface_with_them():
    motion = dancer(2)
    wrist = [JOINT["left_wrist"], *range(25, 40)]
    joints = motion.joints.clone()
    joints[:, wrist] += torch.tensor([0.0, 0.1, 0.0])
    surface = surface_of(Motion(joints, motion.rotations, motion.skeleton))
    moved = surface.vertices - surface_of(motion).vertices
    fingers = torch.isin(surface.owners, torch.tensor(range(25, 40)))
    feet = torch.isin(surface.owners, torch.tensor([7, 8, 10, 11]))
    torch.testing.assert_close(
        moved[:, fingers],
        torch.tensor([0.0, 0.1, 0.0]).expand_as(moved[:, fingers]),
        atol=2e-2,
        rtol=0,
    )
    assert moved[:, feet].abs().max() < 1e-6


def test_chunks_do_not_show():
    motion = dancer(70)
    torch.testing.assert_close(
        surface_of(motion).vertices[66:], surface_of(motion.slice(66)).vertices
    )


def test_the_surface_is_closed_and_owned_by_the_joints_around():
    motion = dancer(1)
    surface = surface_of(motion)
    assert open_edges(surface.faces.numpy()) == 0
    ends = torch.isin(surface.owners, torch.tensor([JOINT["left_index3"]]))
    tip = surface.vertices[0, ends]
    assert (tip - motion.joints[0, JOINT["left_index3"]]).norm(dim=-1).max() < 0.05


def test_a_body_model_gives_its_own_surface(bodies):
    model = bodies["female"]
    motion = model.motion(torch.zeros(2, 55, 3), torch.zeros(2, 3), torch.zeros(10), 30.0)
    surface = surface_of(motion, model)
    torch.testing.assert_close(surface.vertices, model.vertices(motion, torch.zeros(10)))
    # The same body, skinned by its joints alone, is nearly the same.
    assert (surface_of(motion).vertices - surface.vertices).norm(dim=-1).quantile(0.95) < 0.03
