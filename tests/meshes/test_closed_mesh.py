"""Meshes that close: squares round voxels, cut into triangles, spread over a surface."""

import numpy as np
import pytest

from duet_rl.meshes.blobs import Cone, Group, body_surface, body_value
from duet_rl.meshes.closed_mesh import (
    mean_of_neighbours,
    relaxed,
    triangles,
    volume,
    voxel_quads,
    with_vertices,
    without_pinches,
)
from tests.meshes.surfaces import open_edges

RADIUS = 5.0


@pytest.fixture
def ball() -> tuple[np.ndarray, np.ndarray]:
    """Voxels of a ball round voxel (8, 8, 8), and how far each is from its surface."""
    places = np.stack(np.meshgrid(*[np.arange(17)] * 3, indexing="ij"), axis=-1)
    value = np.linalg.norm(places - 8, axis=-1) - RADIUS
    return value < 0, value


def float_quads(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners, quads = voxel_quads(inside)
    return corners.astype(float), quads


def round_ball(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    away = points - 8.5  # voxel 8 reaches from corner 8 to corner 9
    distance = np.linalg.norm(away, axis=1)
    return distance - RADIUS, away / distance[:, None]


def test_the_squares_enclose_just_the_voxels(ball):
    inside, _ = ball
    corners, quads = float_quads(inside)
    faces = triangles(corners, quads)
    assert volume(corners, faces) == pytest.approx(inside.sum())
    assert open_edges(faces) == 0
    assert len(corners) - len(quads) == 2  # a ball: V - E + F = 2, with two edges a square


def test_voxels_that_touch_by_an_edge_or_a_corner_are_joined():
    inside, value = np.zeros((6, 6, 6), bool), np.ones((6, 6, 6))
    inside[2, 2, 2] = inside[3, 3, 3] = True  # a corner
    inside[2, 2, 4] = True
    inside[3, 1, 4] = True  # an edge
    joined = without_pinches(inside, value)
    assert joined[inside].all() and joined.sum() > inside.sum()
    corners, quads = float_quads(joined)
    assert open_edges(triangles(corners, quads)) == 0
    around = np.bincount(quads.ravel(), minlength=len(corners))
    assert around.max() <= 6  # more squares round one corner: two surfaces that meet there


def test_vertices_spread_over_the_surface(ball):
    corners, quads = float_quads(ball[0])
    vertices = relaxed(corners, mean_of_neighbours(quads, len(corners)), round_ball, rounds=10)
    np.testing.assert_allclose(round_ball(vertices)[0], 0, atol=1e-3)
    faces = triangles(vertices, quads)
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.05)


@pytest.mark.parametrize("more", [1, 7, 400])
def test_a_mesh_gets_as_many_vertices_as_are_wanted(ball, more):
    corners, quads = float_quads(ball[0])
    faces = triangles(corners, quads)
    vertices, finer = with_vertices(corners, faces, len(corners) + more)
    assert len(vertices) == len(corners) + more
    assert len(finer) == len(faces) + 2 * more
    assert open_edges(finer) == 0
    assert volume(vertices, finer) == pytest.approx(volume(corners, faces))


def test_cones_in_one_line_do_not_swell_where_they_meet():
    halves = (Cone(0, (0, 0, 0), (1, 0, 0), 0.1, 0.1), Cone(1, (1, 0, 0), (2, 0, 0), 0.1, 0.1))
    whole = (Cone(0, (0, 0, 0), (2, 0, 0), 0.1, 0.1),)
    points = np.random.default_rng(0).normal(size=(50, 3)) * 0.1 + [1, 0, 0]
    two, one = (body_value([Group(cones, 0.05, 0.0)], points) for cones in (halves, whole))
    np.testing.assert_allclose(two, one, atol=1e-9)


def test_limbs_that_meet_at_an_angle_melt_and_the_gradient_tells_the_way_out():
    cones = (Cone(0, (0, 0, 0), (1, 0, 0), 0.1, 0.1), Cone(1, (0, 0, 0), (0, 1, 0), 0.1, 0.1))
    points = np.array([[0.12, 0.12, 0.0], [0.5, 0.11, 0.02], [0.1, 0.5, 0.03]])
    groups = [Group(cones, 0.08, 0.0)]
    sharp = body_value([Group(cones, 0.0, 0.0)], points)
    surface = body_surface(groups, points)
    assert surface.value[0] < sharp[0]  # the crease is filled
    np.testing.assert_allclose(surface.value[1:], sharp[1:], atol=1e-9)
    assert surface.owner[1:].tolist() == [0, 1]
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-5
        slope = (body_value(groups, points + step) - body_value(groups, points - step)) / 2e-5
        np.testing.assert_allclose(surface.outwards[1:, axis], slope[1:], atol=1e-4)
