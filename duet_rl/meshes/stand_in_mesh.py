"""The surface of the stand-in body: a closed mesh, and which joints carry each vertex."""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from duet_rl.body.skeleton import JOINT, NUM_JOINTS, UP
from duet_rl.meshes.blobs import body_surface, body_value
from duet_rl.meshes.closed_mesh import (
    mean_of_neighbours,
    relaxed,
    triangles,
    voxel_quads,
    with_vertices,
    without_pinches,
)
from duet_rl.meshes.stand_in_shape import stand_in_groups

VERTICES = 10_475  # as many as SMPL-X has

_SPACING = 0.0187  # m between voxels of the trunk: gives a few vertices less than are wanted
_WIDTH, _HEIGHT, _DEPTH = 1.0, 1.8, 0.46  # m; half the room across, its height, half its depth
_UNDER = 0.06  # m of room under the floor
_FINE_FOOT, _FINE_HEAD, _FINE_FINGER = 0.65, 0.70, 0.38  # share of the spacing there, along
_FINE_HAND = 0.26  # and across hand and head
_ROUNDS, _LAST_ROUNDS, _LAST_SPEED = 12, 4, 0.3
_CARRY_ROUNDS = 14  # how often vertices take over from their neighbours who carries them
_CARRY_BODY, _CARRY_HAND = 0.5, 0.15  # share that they take over in one round
_EYES = (JOINT["left_eye"], JOINT["right_eye"])
_LIGHTEST = 0.01  # a joint that carries less of a vertex does not carry it


class Skin(NamedTuple):
    """A closed mesh, standing on the floor in a T-pose that faces +Z."""

    vertices: Float[np.ndarray, "V 3"]  # m
    faces: Int[np.ndarray, "F 3"]  # counter-clockwise seen from outside
    weights: Float[np.ndarray, "V 55"]  # shares of the joints that carry each vertex; rows sum to 1
    outwards: Float[np.ndarray, "V 3"]  # unit normals


def skin(rest: Float[np.ndarray, "55 3"]) -> Skin:
    """Return the surface round the joints of a T-pose, metres, floor at y = 0."""
    groups = stand_in_groups(rest)

    def surface(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        body = body_surface(groups, points)
        under = -points[:, UP] > body.value  # the floor cuts the soles flat
        outwards = np.where(under[:, None], [0.0, -1.0, 0.0], body.outwards)
        return np.maximum(body.value, -points[:, UP]), outwards

    places = _lattice(rest)
    left = places[len(places) // 2 :]
    value = np.stack([body_value(groups, x.reshape(-1, 3)).reshape(x.shape[:-1]) for x in left])
    value = np.maximum(np.concatenate([value[::-1], value]), -places[..., UP])  # it is symmetric
    corners, quads = voxel_quads(without_pinches(value < 0, value))
    around = [places[tuple((corners - step).T)] for step in product((0, 1), repeat=3)]
    vertices = np.mean(around, axis=0)
    vertices = relaxed(vertices, mean_of_neighbours(quads, len(vertices)), surface, _ROUNDS)
    vertices, faces = with_vertices(vertices, triangles(vertices, quads), VERTICES)
    neighbours = mean_of_neighbours(faces, VERTICES)
    vertices = relaxed(vertices, neighbours, surface, _LAST_ROUNDS, _LAST_SPEED)

    owner = body_surface(groups, vertices).owner
    weights = np.eye(NUM_JOINTS)[owner]
    hand = smooth_step(np.abs(vertices[:, 0]), *(rest[JOINT["left_wrist"], 0] + [-0.05, 0.05]))
    share = (_CARRY_BODY + (_CARRY_HAND - _CARRY_BODY) * hand)[:, None]
    share[np.isin(owner, _EYES)] = 0  # small as they are, eyes would hardly turn
    for _ in range(_CARRY_ROUNDS):
        weights = weights + share * (neighbours @ weights - weights)
    weights[weights < _LIGHTEST] = 0
    outwards = surface(vertices)[1]
    return Skin(
        vertices,
        faces,
        weights / weights.sum(axis=1, keepdims=True),
        outwards / np.linalg.norm(outwards, axis=1, keepdims=True),
    )


def smooth_step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, and a smooth way between."""
    share = ((x - low) / (high - low)).clip(0, 1)
    return share * share * (3 - 2 * share)


def _lattice(rest: np.ndarray) -> Float[np.ndarray, "X Y Z 3"]:
    """Return where the voxels are, metres: close together in hands, head and feet."""
    wrist, neck = rest[JOINT["left_wrist"]], rest[JOINT["neck"], UP]
    toes, ankle = rest[JOINT["left_foot"], UP], rest[JOINT["left_ankle"], UP]

    def along_x(x: float) -> float:
        return 1 - (1 - _FINE_FINGER) * _step(x, wrist[0] - 0.06, wrist[0] + 0.03)

    def along_y(y: float) -> float:
        foot = (1 - _FINE_FOOT) * (1 - _step(y, toes + 0.03, ankle + 0.12))
        return 1 - foot - (1 - _FINE_HEAD) * _step(y, neck + 0.01, neck + 0.09)

    left = _places(_SPACING / 2, _WIDTH, along_x)
    front = _places(0.0, _DEPTH, lambda z: 1.0)
    x, y, z = np.meshgrid(
        np.concatenate([-left[::-1], left]),
        _places(-_UNDER, _HEIGHT, along_y),
        np.concatenate([-front[:0:-1], front]),
        indexing="ij",
    )
    hand = 1 - (1 - _FINE_HAND) * smooth_step(np.abs(x), wrist[0] - 0.16, wrist[0] + 0.02)
    middle = 1 - smooth_step(np.abs(x), 0.25, 0.45)  # the head, and not the hands beside it
    head = 1 - (1 - _FINE_HEAD) * smooth_step(y, neck - 0.01, neck + 0.09) * middle
    y, z = wrist[1] + (y - wrist[1]) * hand, wrist[2] + (z - wrist[2]) * hand
    return np.stack([x * head, y, z * head], axis=-1)


def _places(low: float, high: float, share: Callable[[float], float]) -> np.ndarray:
    places = [low]
    while places[-1] < high:
        places.append(places[-1] + _SPACING * share(places[-1]))
    return np.array(places)


def _step(x: float, low: float, high: float) -> float:
    return float(smooth_step(np.array([x]), low, high)[0])
