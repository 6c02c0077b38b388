"""Contact of surfaces, against balls whose overlap is known and couples who hold hands."""

import math
import os
import subprocess
import sys

import pytest
import torch

from duet_rl.body.motion import Duet
from duet_rl.body.rotations import yaw_matrix
from duet_rl.body.skeleton import JOINT
from duet_rl.errors import InputError
from duet_rl.meshes import mesh_pair
from duet_rl.meshes.mesh_contact import (
    SOFTENER,
    SWELL,
    Counted,
    bodies_only,
    contact_frequency,
    couple_contact,
    duolando_contact,
    mesh_contact,
    softened_normals,
)
from tests.couple import DISTANCE, standing_couple

pytest.importorskip("warp")

RADIUS = 0.2  # m
RINGS, SPOKES = 40, 60


def ball(x: float = 0.0, radius: float = RADIUS) -> torch.Tensor:
    """The vertices of a ball in one frame, `(1, V, 3)`."""
    polar = torch.linspace(0, math.pi, RINGS + 1)[1:-1, None]
    around = torch.arange(SPOKES) * (2 * math.pi / SPOKES)
    level = torch.stack(
        [polar.sin() * around.cos(), polar.cos() + 0 * around, polar.sin() * around.sin()], dim=-1
    )
    poles = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    return (radius * torch.cat([level.flatten(0, 1), poles]) + torch.tensor([x, 0.0, 0.0]))[None]


def ball_faces() -> torch.Tensor:
    """The triangles of `ball`, counter-clockwise seen from outside."""
    top, bottom = (RINGS - 1) * SPOKES, (RINGS - 1) * SPOKES + 1
    faces = []
    for spoke in range(SPOKES):
        after = (spoke + 1) % SPOKES
        faces.append((top, after, spoke))
        last = (RINGS - 2) * SPOKES
        faces.append((bottom, last + spoke, last + after))
        for ring in range(RINGS - 2):
            a, b = ring * SPOKES + spoke, ring * SPOKES + after
            faces += [(a, b, a + SPOKES), (b, b + SPOKES, a + SPOKES)]
    return torch.tensor(faces)


FACES = ball_faces()


def lens(distance: float, radius: float = RADIUS) -> float:
    """The volume that two balls share, m^3."""
    return math.pi * (4 * radius + distance) * (2 * radius - distance) ** 2 / 12


def volume(radius: float) -> float:
    return 4 / 3 * math.pi * radius**3


def joined_couple(nearer: float = 0.0) -> Duet:
    """One frame of a couple with joined hands, the follower `nearer` metres nearer."""
    couple = standing_couple(1 / 30)
    return Duet(couple.leader, couple.follower.moved((0.0, 0.0, -nearer)))


@pytest.mark.parametrize("distance", [0.1, 0.2, 0.3])
def test_two_balls_overlap_by_the_lens_between_them(distance):
    contact = mesh_contact(ball(), ball(distance), FACES, column=0.005)
    assert contact.touching.all()
    # The deepest place is the one nearest to the other's middle; beyond it depth falls again.
    assert float(contact.depth) == pytest.approx(RADIUS - abs(distance - RADIUS), abs=2e-3)
    assert float(contact.volume) == pytest.approx(lens(distance), rel=0.02)


def test_balls_apart_do_not_touch_even_where_their_boxes_meet():
    diagonal = ball() + 0.3 * torch.tensor([1.0, 1.0, 1.0]) * 2 / math.sqrt(3)
    for other in (ball(0.41), ball(5.0), diagonal):
        contact = mesh_contact(ball(), other, FACES)
        assert not contact.touching.any()
        assert contact.depth == 0
        assert contact.volume == 0


def test_a_ball_within_another_touches_although_no_surface_crosses():
    contact = mesh_contact(ball(), ball(radius=0.1), FACES, column=0.005)
    assert contact.touching.all()
    assert float(contact.depth) == pytest.approx(0.1, abs=2e-3)
    assert float(contact.volume) == pytest.approx(volume(0.1), rel=0.02)
    assert not duolando_contact(ball(), ball(radius=0.1), FACES).any()


def test_who_is_asked_first_and_where_they_stand_changes_nothing():
    a, b = ball(), ball(0.27)
    here = mesh_contact(a, b, FACES)
    turn, shift = yaw_matrix(torch.tensor(0.7)).T, torch.tensor([30.0, 1.0, -20.0])
    for there in (
        mesh_contact(b, a, FACES),
        mesh_contact(a @ turn + shift, b @ turn + shift, FACES),
    ):
        torch.testing.assert_close(there.depth, here.depth, atol=1e-4, rtol=0)
        torch.testing.assert_close(there.volume, here.volume, atol=0, rtol=0.05)


def test_frames_do_not_see_each_other():
    distances = torch.linspace(0.0, 0.5, 37)
    b = torch.cat([ball(float(distance)) for distance in distances])
    whole = mesh_contact(ball().expand_as(b), b, FACES)
    assert torch.equal(whole.touching, distances < 2 * RADIUS - 1e-3)
    assert (whole.volume.diff() <= 0).all()
    for frame in (0, 17, 30):
        alone = mesh_contact(ball(), b[frame : frame + 1], FACES)
        torch.testing.assert_close(alone.depth[0], whole.depth[frame])
        torch.testing.assert_close(alone.volume[0], whole.volume[frame])


def test_a_fold_in_which_a_body_overlaps_itself_is_one_body():
    twice = torch.cat([ball(-0.05, 0.1), ball(0.05, 0.1)], dim=1)
    around = torch.cat([ball(0.0, 0.3), ball(5.0, 0.1)], dim=1)
    faces = torch.cat([FACES, FACES + len(ball()[0])])
    contact = mesh_contact(twice, around, faces, column=0.005)
    union = 2 * volume(0.1) - lens(0.1, 0.1)
    assert float(contact.volume) == pytest.approx(union, rel=0.02)


def test_a_hole_in_the_surface_does_no_harm():
    a, b = ball(), ball(0.3)
    whole, holed = (mesh_contact(a, b, faces, column=0.005) for faces in (FACES, FACES[40:]))
    torch.testing.assert_close(holed.depth, whole.depth)
    torch.testing.assert_close(holed.volume, whole.volume, atol=0, rtol=0.02)


def test_only_places_that_count_are_found():
    owners = torch.where(ball()[0, :, 0] > 0, 1, 0)  # the half towards +X, and the other
    pairs = torch.ones(55, 55, dtype=torch.bool)
    pairs[1, 0] = pairs[0, 1] = False
    contact = mesh_contact(ball(), ball(0.3), FACES, Counted(owners, pairs))
    assert not contact.touching.any()
    assert contact.volume == 0
    mirrored = mesh_contact(ball(), ball(-0.3), FACES, Counted(owners, ~pairs | pairs.T & pairs))
    assert mirrored.touching.all()


def test_joined_hands_touch_and_their_bodies_do_not():
    duet = joined_couple()
    assert couple_contact(duet, bodies=False).touching.all()
    bodies = couple_contact(duet)
    assert not bodies.touching.any()
    assert bodies.volume == 0


def test_bodies_moved_into_each_other_are_deeper_and_share_more():
    contacts = [couple_contact(joined_couple(nearer)) for nearer in (0.4, 0.5, 0.6)]
    assert all(contact.touching for contact in contacts)
    depths = torch.cat([contact.depth for contact in contacts])
    volumes = torch.cat([contact.volume for contact in contacts])
    assert (depths.diff() > 0).all()
    assert (volumes.diff() > 0).all()


def test_a_body_moved_onto_the_other_shares_most_of_its_volume():
    duet = joined_couple(DISTANCE)
    contact = couple_contact(duet, bodies=False)
    assert 0.03 < float(contact.volume) < 0.09  # a person of 1.70 m takes 0.07 m^3


def test_forearms_and_hands_and_feet_are_what_bodies_leave_out():
    pairs = bodies_only(torch.zeros(1, dtype=torch.long)).pairs
    assert torch.equal(pairs, pairs.T)
    assert not pairs[JOINT["left_elbow"], JOINT["right_elbow"]]
    assert pairs[JOINT["left_elbow"], JOINT["spine2"]]
    for name in ("left_wrist", "right_thumb2", "left_ankle", "right_foot"):
        assert not pairs[JOINT[name]].any()


def test_bodies_that_are_near_touch_as_duolando_counts():
    near, far = (ball(2 * RADIUS + gap) for gap in (1.5 * SWELL, 2.5 * SWELL))
    assert duolando_contact(ball(), near, FACES).all()
    assert not mesh_contact(ball(), near, FACES).touching.any()
    assert not duolando_contact(ball(), far, FACES).any()


def test_duolandos_normals_are_a_little_short_and_shorter_on_small_faces():
    sides = torch.tensor([0.1, 0.004])
    corners = torch.tensor([[0.0, 0, 0], [0, 0, 1], [1, 0, 0]])
    normals = softened_normals(sides[:, None, None] * corners, torch.tensor([[0, 1, 2]]))
    across = sides**2 / (sides**2 + SOFTENER)
    wanted = across / (across + SOFTENER)
    torch.testing.assert_close(normals[..., 1], wanted[:, None].expand(2, 3))
    assert normals[..., [0, 2]].abs().max() == 0
    outwards = (softened_normals(ball(), FACES) * ball()).sum(-1)
    assert (outwards > 0.9 * RADIUS).all()


def test_contact_frequency_is_of_all_frames_and_of_none_is_no_number():
    takes = [torch.tensor([True, False, False]), torch.tensor([True])]
    assert contact_frequency(takes) == 0.5
    assert math.isnan(contact_frequency([]))
    assert math.isnan(contact_frequency([torch.zeros(0, dtype=torch.bool)]))


def test_no_frames_have_no_contact():
    none = mesh_contact(ball()[:0], ball()[:0], FACES)
    assert [len(values) for values in none] == [0, 0, 0]
    assert len(duolando_contact(ball()[:0], ball()[:0], FACES)) == 0


def test_the_input_is_left_as_it_was_and_no_gradient_is_kept():
    a, b = ball().requires_grad_(), ball(0.3)
    before = b.clone()
    assert not mesh_contact(a, b, FACES).depth.requires_grad
    assert torch.equal(b, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_says_the_same():
    a, b = ball().expand(20, -1, -1), torch.cat([ball(0.03 * frame) for frame in range(20)])
    there = mesh_contact(a.cuda(), b.cuda(), FACES)
    assert there.depth.is_cuda
    for gpu, cpu in zip(there, mesh_contact(a, b, FACES), strict=True):
        torch.testing.assert_close(gpu.cpu(), cpu, atol=1e-5, rtol=1e-3)
    frames = duolando_contact(a.cuda(), b.cuda(), FACES)
    assert torch.equal(frames.cpu(), duolando_contact(a, b, FACES))


@pytest.mark.usefixtures("as_users_run")
def test_what_is_no_couple_of_surfaces_is_refused():
    broken = ball()
    broken[0, 3, 1] = torch.nan
    with pytest.raises(InputError, match=r"\(1, 2342, 3\) and \(2, 2342, 3\)"):
        mesh_contact(ball(), ball().expand(2, -1, -1), FACES)
    with pytest.raises(InputError, match="do not fit 2000 vertices"):
        mesh_contact(ball()[:, :2000], ball()[:, :2000], FACES)
    with pytest.raises(InputError, match="0 triangles"):
        mesh_contact(ball(), ball(), FACES[:0])
    with pytest.raises(InputError, match="first in frame 0"):
        duolando_contact(ball(), broken, FACES)
    with pytest.raises(InputError, match="a side above 0"):
        mesh_contact(ball(), ball(), FACES, column=0.0)
    with pytest.raises(InputError, match="owners of 3 vertices"):
        mesh_contact(ball(), ball(), FACES, bodies_only(torch.zeros(3, dtype=torch.long)))


def test_a_missing_package_names_what_to_install(monkeypatch):
    mesh_pair.load_kernels.cache_clear()
    monkeypatch.setitem(sys.modules, "warp", None)
    with pytest.raises(InputError, match=r"pip install 'duet-rl\[mesh\]'"):
        mesh_contact(ball(), ball(0.3), FACES)
    monkeypatch.undo()
    assert mesh_contact(ball(), ball(0.3), FACES).touching.all()


@pytest.mark.slow
def test_without_a_home_to_write_to_it_works_and_says_what_to_do():
    program = """
import torch
from duet_rl.meshes.mesh_contact import mesh_contact
corners = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]])
faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
print(mesh_contact(corners, corners + 0.1, faces).touching.item())
"""
    home = {"HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody/cache"}
    environment = {**os.environ, **home}
    environment.pop("WARP_CACHE_PATH", None)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"  # no greeting
    (warned,) = done.stderr.splitlines()  # no talk of drivers
    assert "/proc/nobody" in warned
    assert "WARP_CACHE_PATH" in warned
