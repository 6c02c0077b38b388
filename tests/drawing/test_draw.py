"""Pictures of dancers show who stands where, in front of whom, and nothing else."""

import numpy as np
import pytest
import torch

from duet_rl.body.skeleton import JOINT, MIRROR, default_skeleton
from duet_rl.drawing import draw
from duet_rl.drawing.camera import Camera, framing
from duet_rl.drawing.draw import FOLLOWER_COLOUR, LEADER_COLOUR, Body, draw_bodies, draw_duet
from duet_rl.drawing.figure import LIMBS, POINT_NAMES, figure_points

WIDTH, HEIGHT = 160, 120
CAMERA = Camera(eye=(0.0, 1.4, 6.0), target=(0.0, 0.9, 0.0))


@pytest.fixture(scope="module")
def standing() -> np.ndarray:
    """A dancer in the rest pose at the origin, `(55, 3)`."""
    return default_skeleton().rest_joints().double().numpy()


def at(joints: np.ndarray, x: float, z: float = 0.0) -> np.ndarray:
    return joints + np.array([x, 0.0, z])


def columns_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return the columns where the picture has the hue of `colour`: strongly blue, or red."""
    channel = int(np.argmax(colour))
    other = 2 - channel
    strong = picture[..., channel].astype(int) - picture[..., other] > 60
    return np.flatnonzero(strong.any(axis=0))


def test_leader_and_follower_stand_where_they_are_in_their_colours(standing):
    picture = draw_duet(at(standing, -0.9), at(standing, 0.9), WIDTH, HEIGHT, CAMERA)
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    leader = columns_of(picture, LEADER_COLOUR)
    follower = columns_of(picture, FOLLOWER_COLOUR)
    assert leader.size and follower.size and leader.max() < WIDTH / 2 < follower.min()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_dancer_hides_the_farther_one_whatever_the_order(standing, order):
    bodies = [Body(at(standing, 0, 1), LEADER_COLOUR), Body(at(standing, 0, -1), FOLLOWER_COLOUR)]
    camera = Camera(eye=(0.0, 0.9, 8.0), target=(0.0, 0.9, 0.0))
    picture = draw_bodies([bodies[i] for i in order], WIDTH, HEIGHT, camera)
    chest = picture[HEIGHT // 2 - 5, WIDTH // 2]
    assert chest[2] > chest[0]


def test_a_dancer_casts_a_shadow_on_the_floor(standing):
    empty = draw_bodies([], WIDTH, HEIGHT, CAMERA).astype(int)
    picture = draw_bodies([Body(standing, LEADER_COLOUR)], WIDTH, HEIGHT, CAMERA).astype(int)
    grey = np.ptp(picture, axis=-1) < 20
    assert ((empty - picture).min(axis=-1)[grey] > 15).any()


def test_a_foot_on_the_floor_is_darker_below_than_one_above_it(standing):
    empty = draw_bodies([], WIDTH, HEIGHT, CAMERA).astype(int)
    darkest = []
    for lift in (0.0, 0.15, 0.6):
        body = Body(standing + np.array([0.0, lift, 0.0]), LEADER_COLOUR)
        picture = draw_bodies([body], WIDTH, HEIGHT, CAMERA).astype(int)
        grey = np.ptp(picture, axis=-1) < 16
        darkest.append(np.sort((empty - picture).min(axis=-1)[grey])[-12:].mean())
    assert darkest[0] > darkest[1] + 5 and darkest[1] > darkest[2]


def test_far_tiles_melt_into_one_grey_and_near_ones_do_not():
    floor = draw_bodies([], 640, 360, CAMERA).astype(int).mean(axis=-1)
    contrast = np.abs(np.diff(floor, axis=1)).max(axis=1)
    horizon = np.flatnonzero(contrast > 0.5)[0]
    far, near = contrast[horizon : horizon + 15].max(), contrast[-40:].max()
    assert far < 4.5 and near > 1.8 * far


def test_limbs_of_a_body_melt_so_that_creases_are_soft(standing, monkeypatch):
    def crease() -> float:
        picture = draw_duet(standing, at(standing, 9.0), 640, 480, CAMERA).astype(int)
        body = np.ptp(picture, axis=-1) > 60
        steps = np.abs(np.diff(picture, axis=0)).max(axis=-1)[body[1:] & body[:-1]]
        return float((steps > 40).mean())

    grown = crease()
    monkeypatch.setattr(draw, "_MELT", 1e-4)
    assert grown < 0.8 * crease()


def test_a_camera_that_moves_with_the_dancers_sees_them_alike(standing):
    shift = np.array([1.0, 0.0, -2.0])  # whole pairs of tiles: a light and a dark one
    here = draw_duet(at(standing, -0.5), at(standing, 0.5), WIDTH, HEIGHT, CAMERA)
    there = draw_duet(
        at(standing, -0.5) + shift, at(standing, 0.5) + shift, WIDTH, HEIGHT, CAMERA.moved(shift)
    )
    assert np.abs(here.astype(int) - there).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(320, 180), (180, 320), (200, 200)])
def test_framing_has_every_joint_in_the_picture_and_wastes_little(standing, width, height):
    joints = np.stack([at(standing, -1.5), at(standing, 2.0, -1.0)])
    camera = framing(joints, width, height)
    view = camera.view(joints.reshape(-1, 3))
    spread = np.abs(view[:, :2] / view[:, 2:]) * camera.focal(width, height) / (width, height) * 2
    assert view[:, 2].min() > 0 and spread.max() < 1
    assert spread.max() > 0.7


def test_a_dancer_behind_the_camera_is_not_drawn(standing):
    picture = draw_bodies([Body(at(standing, 0, 9), LEADER_COLOUR)], WIDTH, HEIGHT, CAMERA)
    assert (picture == draw_bodies([], WIDTH, HEIGHT, CAMERA)).all()


def test_tensors_and_arrays_give_the_same_picture_and_are_left_as_they_were(standing):
    before = standing.copy()
    from_array = draw_duet(standing, at(standing, 1), WIDTH, HEIGHT)
    from_tensor = draw_duet(
        torch.from_numpy(standing), torch.from_numpy(at(standing, 1)), WIDTH, HEIGHT
    )
    assert (from_array == from_tensor).all() and (standing == before).all()


def test_the_figure_of_a_mirrored_body_is_the_mirrored_figure(standing):
    body = standing + np.random.default_rng(0).normal(scale=0.05, size=standing.shape)
    flip = np.array([-1.0, 1.0, 1.0])
    points = dict(zip(POINT_NAMES, figure_points(body), strict=True))
    mirrored = dict(zip(POINT_NAMES, figure_points(body[list(MIRROR)] * flip), strict=True))
    for name, point in points.items():
        swap = {"left": "right", "right": "left"}.get(name.split("_")[0])
        other = name.replace(name.split("_")[0], swap, 1) if swap else name
        np.testing.assert_allclose(mirrored[other], point * flip)


def test_the_figure_moves_with_the_body_and_stands_on_the_floor(standing):
    offset = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(figure_points(standing + offset), figure_points(standing) + offset)
    points = dict(zip(POINT_NAMES, figure_points(standing), strict=True))
    lowest = min(
        min(points[limb.start][1] - limb.start_radius, points[limb.end][1] - limb.end_radius)
        for limb in LIMBS
    )
    top = points["skull"][1] + 0.09
    assert -0.03 < lowest < 0.03 and 1.6 < top < 1.8
    assert points["nose"][2] > points["skull"][2] > standing[JOINT["pelvis"], 2]


def test_a_wrong_number_of_joints_is_refused():
    with pytest.raises(Exception, match="55"):
        draw_duet(np.zeros((24, 3)), np.zeros((24, 3)))
