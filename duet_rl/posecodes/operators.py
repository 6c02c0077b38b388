"""What a row of a pose-code table can measure: angles, distances, and which side, of points."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, pad

from duet_rl.body.capsules import CAPSULES, Capsule, surface_distance
from duet_rl.body.skeleton import JOINT_NAMES, NUM_JOINTS, UP
from duet_rl.posecodes.points import BODY_JOINTS, PARTNER, POINT, POINTS

_DEGENERATE = 1e-6  # m; a shorter line has no direction
_NO_ANGLE = 90.0  # deg, of lines without a direction
_NO_TILT = 45.0  # deg, of a line without a direction: neither vertical nor horizontal

Unit = Literal["m", "deg"]
Measurement = Callable[[Tensor, Sequence[tuple[str, ...]], bool], Tensor]


class Operator(NamedTuple):
    """One thing to measure.

    `sides` says what becomes of the value in a mirror that swaps the names left and right, and
    `ordered` what becomes of it when the points are named in reverse: the same, or its negative.
    """

    points: int
    unit: Unit
    measure: Measurement
    meaning: str
    sides: bool = False
    ordered: bool = False


def corners(points: Tensor, rows: Sequence[tuple[str, ...]]) -> tuple[Tensor, ...]:
    """Return the first, second, ... points of each row, `(..., rows, 3)` each."""
    ranks = zip(*rows, strict=True)
    return tuple(points[..., [POINT[name] for name in names], :] for names in ranks)


def angle_between(
    first: Float[Tensor, "*batch 3"], second: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """Return the angle between two directions, degrees in [0, 180]; 90 where there is none.

    By the half-angle of the unit vectors (Kahan, How futile are mindless assessments of roundoff,
    2006), which is exact near 0 and 180 degrees, where the arc cosine is not.
    """
    lengths = torch.minimum(first.norm(dim=-1), second.norm(dim=-1))
    first, second = normalize(first, dim=-1), normalize(second, dim=-1)
    half = torch.atan2((first - second).norm(dim=-1), (first + second).norm(dim=-1))
    return torch.rad2deg(2 * half).masked_fill(lengths < _DEGENERATE, _NO_ANGLE)


def capsule_of(names: tuple[str, ...]) -> Capsule | None:
    """Return the capsule between the two joints of these names, if the body has one there."""
    bare = tuple(name.removeprefix(PARTNER) for name in names)
    found = (c for c in CAPSULES if (JOINT_NAMES[c.start], JOINT_NAMES[c.end]) == bare)
    return next(found, None)


def _angle(points: Tensor, rows: Sequence[tuple[str, ...]], clamped: bool) -> Tensor:
    a, b, c = corners(points, rows)
    if clamped:
        return angle_between(a - b, c - b)
    cosine = (normalize(a - b, dim=-1) * normalize(c - b, dim=-1)).sum(-1)
    return torch.rad2deg(torch.acos(cosine))


def _tilt(points: Tensor, rows: Sequence[tuple[str, ...]], clamped: bool) -> Tensor:
    a, b = corners(points, rows)
    line = a - b
    if not clamped:
        return torch.rad2deg(torch.acos(normalize(line, dim=-1)[..., UP].abs()))
    tilt = torch.atan2(torch.hypot(line[..., 0], line[..., 2]), line[..., UP].abs())
    return torch.rad2deg(tilt).masked_fill(line.norm(dim=-1) < _DEGENERATE, _NO_TILT)


def _distance(points: Tensor, rows: Sequence[tuple[str, ...]], clamped: bool) -> Tensor:
    a, b = corners(points, rows)
    return (a - b).norm(dim=-1)


def _along(axis: int) -> Measurement:
    def measure(points: Tensor, rows: Sequence[tuple[str, ...]], clamped: bool) -> Tensor:
        a, b = corners(points[..., axis, None], rows)
        return (a - b)[..., 0]

    return measure


def _gap(points: Tensor, rows: Sequence[tuple[str, ...]], clamped: bool) -> Tensor:
    gaps = []
    for point, *ends in rows:
        capsule = capsule_of(tuple(ends))
        assert capsule is not None, f"no capsule between {ends}"
        first = len(POINTS) if ends[0].startswith(PARTNER) else 0
        held = points[..., first : first + BODY_JOINTS, :]
        held = pad(held, (0, 0, 0, NUM_JOINTS - BODY_JOINTS))
        gaps.append(surface_distance(points[..., POINT[point], None, :], held, capsule)[..., 0])
    return torch.stack(gaps, dim=-1)


def _turn(points: Tensor, rows: Sequence[tuple[str, ...]], clamped: bool) -> Tensor:
    a, b, c, d = corners(points, rows)
    (x, _, z), (other_x, _, other_z) = (b - a).unbind(-1), (d - c).unbind(-1)
    sine, cosine = z * other_x - x * other_z, x * other_x + z * other_z
    return torch.rad2deg(torch.atan2(sine, cosine))


OPERATORS: dict[str, Operator] = {
    "angle": Operator(3, "deg", _angle, "angle at the second point, 180 is straight"),
    "tilt": Operator(2, "deg", _tilt, "angle of the line through both with the vertical, to 90"),
    "distance": Operator(2, "m", _distance, "distance of both"),
    "left": Operator(
        2, "m", _along(0), "how far the first is left of the second", sides=True, ordered=True
    ),
    "up": Operator(2, "m", _along(1), "how much higher the first is", ordered=True),
    "forward": Operator(2, "m", _along(2), "how far the first is before the second", ordered=True),
    "gap": Operator(3, "m", _gap, "from the first to the surface of the limb between the others"),
    "turn": Operator(
        4, "deg", _turn, "from the way first-second to the left to third-fourth", sides=True
    ),
}
