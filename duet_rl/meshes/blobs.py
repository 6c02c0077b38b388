"""Smooth bodies from round cones: how far a point is from their surface, and which way is out.

Cones of a group melt into each other within a blending width; groups melt in turn. A cone that
begins where the one before it ends carries it on, and only meets it: melting would swell the
joint. What comes out is one surface at value 0, negative inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

FAR = 1.0  # m; the value of points beyond every cone
_REACH = 0.08  # m; a cone farther from a box of points than this changes nothing in it
_SHORTEST = 1e-9  # m; a shorter vector has no direction

Field = tuple[np.ndarray, np.ndarray]  # value (N,) and gradient (N, 3) at some points


class Cone(NamedTuple):
    """All points near a line, nearer where the radius is smaller; round at both ends."""

    owner: int  # the joint that moves it
    start: tuple[float, float, float]  # m
    end: tuple[float, float, float]
    start_radius: float  # m
    end_radius: float


@dataclass(frozen=True)
class Group:
    """Cones that melt into each other, and how they melt into the groups before them.

    Args:
        cones: at least one.
        blend: width of the melting within the group, metres; 0 leaves a crease.
        join: width of the melting into all groups before this one, metres.
    """

    cones: tuple[Cone, ...]
    blend: float
    join: float


class Surface(NamedTuple):
    """What a body says about some points."""

    value: Float[np.ndarray, "N"]  # m, about the distance to the surface; negative inside
    outwards: Float[np.ndarray, "N 3"]  # its gradient
    owner: Int[np.ndarray, "N"]  # joint of the cone that is nearest


def body_value(groups: Sequence[Group], points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N"]:
    """Return the value alone; cones far from all the points are left out."""
    low, high = points.min(axis=0) - _REACH, points.max(axis=0) + _REACH
    near = [
        Group(cones, group.blend, group.join)
        for group in groups
        if (cones := tuple(cone for cone in group.cones if _meets(cone, low, high)))
    ]
    return body_surface(near, points).value if near else np.full(len(points), FAR)


def body_surface(groups: Sequence[Group], points: Float[np.ndarray, "N 3"]) -> Surface:
    """Return value, gradient and owner at each of `points`, metres."""
    total: Field | None = None
    nearest, owner = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    for group in groups:
        inner: Field | None = None
        for chain in _chains(group.cones):
            limb: Field | None = None
            for cone in chain:
                field = _cone_field(cone, points)
                closer = field[0] < nearest
                nearest[closer], owner[closer] = field[0][closer], cone.owner
                limb = _melted(limb, field, 0.0)
            assert limb is not None
            inner = _melted(inner, limb, group.blend)
        assert inner is not None, "a group needs a cone"
        total = _melted(total, inner, group.join)
    assert total is not None, "a body needs a group"
    return Surface(*total, owner)


def _cone_field(cone: Cone, points: np.ndarray) -> Field:
    start, along = np.array(cone.start), np.subtract(cone.end, cone.start)
    length = float(np.linalg.norm(along))
    offset = points - start
    if length > _SHORTEST:
        # The nearest slice of a cone lies towards its thick end; see also drawing/draw.py.
        axis, growth = along / length, (cone.end_radius - cone.start_radius) / length
        level = offset @ axis
        across = np.sqrt(np.maximum(_dot(offset, offset) - level**2, 0))
        lean = growth / np.sqrt(max(1 - growth**2, 1e-3))
        share = ((level + lean * across) / length).clip(0, 1)
    else:
        share = np.zeros(len(points))
    offset = offset - share[:, None] * along
    distance = np.sqrt(_dot(offset, offset))
    radius = cone.start_radius + (cone.end_radius - cone.start_radius) * share
    return distance - radius, offset / np.maximum(distance, _SHORTEST)[:, None]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)  # three times as fast as a sum over rows of three


def _chains(cones: Sequence[Cone]) -> list[list[Cone]]:
    chains: list[list[Cone]] = []
    for cone in cones:
        if chains and chains[-1][-1].end == cone.start:
            chains[-1].append(cone)
        else:
            chains.append([cone])
    return chains


def _melted(a: Field | None, b: Field, width: float) -> Field:
    """Return the smooth minimum of two fields (the quadratic one of I. Quilez)."""
    if a is None:
        return b
    first = a[0] < b[0]
    value = np.where(first, a[0], b[0])
    outwards = np.where(first[:, None], a[1], b[1])
    if width <= 0:
        return value, outwards
    overlap = np.maximum(width - np.abs(a[0] - b[0]), 0) / width
    other = np.where(first[:, None], b[1], a[1])
    outwards = outwards + (other - outwards) * (overlap / 2)[:, None]
    return value - overlap**2 * width / 4, outwards


def _meets(cone: Cone, low: np.ndarray, high: np.ndarray) -> bool:
    ends = np.array([cone.start, cone.end])
    radius = max(cone.start_radius, cone.end_radius)
    return bool(
        (ends.min(axis=0) - radius <= high).all() and (ends.max(axis=0) + radius >= low).all()
    )
