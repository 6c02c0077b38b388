"""Batched rotations: axis-angle, 6D, Euler angles, yaw, and the blends between them.

Matrices act on column vectors. All functions keep the device and dtype of their input and have
finite gradients wherever the rotation itself has one, the identity included.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

_AXES = "XYZ"
_SMALL_ANGLE = 1e-2  # rad; below it a Taylor series replaces the quotient
_DEGENERATE = 1e-6  # a shorter vector has no direction


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation about `axis_angle` by its length in radians (Rodrigues' formula)."""
    squared = axis_angle.square().sum(-1)[..., None, None]
    small = squared < _SMALL_ANGLE**2
    angle = torch.where(small, 1.0, squared).sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    half = 2 * (angle / 2).sin().square() / angle.square()  # (1 - cos) / angle^2, no cancellation
    cosine = torch.where(small, 0.5 - squared / 24, half)
    cross = _cross_matrix(axis_angle)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + sine * cross + cosine * (cross @ cross)


def matrix_to_axis_angle(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return the axis times the angle in [0, pi], radians; at pi the sign of the axis is free."""
    quaternion = _matrix_to_quaternion(matrix)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = imaginary.square().sum(-1, keepdim=True)
    small = squared < (_SMALL_ANGLE / 2) ** 2
    sine = torch.where(small, 1.0, squared).sqrt()  # sin(angle / 2)
    # atan(x) / x = 1 - x^2 / 3 + ... with x = tan(angle / 2)
    safe_real = torch.where(small, real, 1.0)
    series = 2 / safe_real * (1 - squared / safe_real.square() / 3)
    return torch.where(small, series, 2 * torch.atan2(sine, real) / sine) * imaginary


def matrix_to_6d(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """Return the first two columns, one after the other (Zhou et al. 2019, section 4.2)."""
    return matrix[..., :, :2].mT.flatten(-2)


def matrix_from_6d(columns: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation that Gram-Schmidt makes of two columns (Zhou et al. 2019, section 4.2).

    A column without a direction of its own (zero, or parallel to the first) is replaced by an
    axis, so that the result is a rotation for every finite input.
    """
    # Each of the six values is one long row: three times as fast as sums over an axis of three.
    x, y, z, *second = columns.movedim(-1, 0).contiguous().unbind()
    zero = torch.zeros_like(x)
    x, y, z = _unit((x, y, z), stand_in=(zero + 1, zero, zero))
    # A vector across the first column (Duff et al. 2017), should the second have no direction.
    sign = torch.where(z < 0, -1.0, 1.0)
    shared = -1 / (sign + z)
    across = (1 + sign * x * x * shared, sign * x * y * shared, -sign * x)
    p, q, r = _unit(_off((x, y, z), second), stand_in=across)
    p, q, r = _unit(
        _off((x, y, z), (p, q, r)), stand_in=across
    )  # once more for nearly parallel ones
    rows = [x, p, y * r - z * q, y, q, z * p - x * r, z, r, x * q - y * p]
    return torch.stack(rows).movedim(0, -1).unflatten(-1, (3, 3))


def yaw_matrix(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the turn about +Y that makes a dancer who faces +Z face (sin a, 0, cos a)."""
    sine, cosine = angle.sin(), angle.cos()
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [cosine, zero, sine, zero, one, zero, -sine, zero, cosine]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotate_yaw(
    vectors: Float[Tensor, "*batch 3"], angle: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch 3"]:
    """Return `vectors` turned about +Y by `angle` (radians, broadcast over the batch)."""
    x, y, z = vectors.unbind(-1)
    sine, cosine = angle.sin(), angle.cos()
    return torch.stack([cosine * x + sine * z, y, cosine * z - sine * x], dim=-1)


def euler_to_matrix(
    angles: Float[Tensor, "*batch 3"], order: str = "ZXY"
) -> Float[Tensor, "*batch 3 3"]:
    """Return the product of three axis rotations, as the channels of a BVH file mean them.

    Args:
        angles: one angle per axis in the sequence of `order`, radians.
        order: the axes from left to right; "ZXY" is `Rz @ Rx @ Ry`.
    """
    first, middle, last = _axis_numbers(order)
    return (
        _axis_rotation(first, angles[..., 0])
        @ _axis_rotation(middle, angles[..., 1])
        @ _axis_rotation(last, angles[..., 2])
    )


def matrix_to_euler(
    matrix: Float[Tensor, "*batch 3 3"], order: str = "ZXY"
) -> Float[Tensor, "*batch 3"]:
    """Return the angles for `euler_to_matrix`, radians, the middle one in [-pi/2, pi/2].

    Where the middle angle is a quarter turn the other two share one degree of freedom; the last
    is then 0. For files: at that pole the angles have no useful gradient.
    """
    i, j, k = _axis_numbers(order)
    sign = 1.0 if (i + 1) % 3 == j else -1.0
    cosine = torch.hypot(matrix[..., i, i], matrix[..., i, j])
    middle = torch.atan2(sign * matrix[..., i, k], cosine)
    locked = cosine < _DEGENERATE
    first = torch.where(
        locked,
        torch.atan2(sign * matrix[..., k, j], matrix[..., j, j]),
        torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k]),
    )
    last = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i]).masked_fill(locked, 0.0)
    return torch.stack([first, middle, last], dim=-1)


def project_to_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation nearest to each matrix (least squares, by SVD; for inference)."""
    left, _, right = torch.linalg.svd(matrix)
    flip = torch.ones_like(matrix[..., 0])
    flip[..., 2] = torch.det(left @ right)
    return (left * flip[..., None, :]) @ right


def slerp(
    start: Float[Tensor, "*batch 3 3"],
    end: Float[Tensor, "*batch 3 3"],
    weight: Float[Tensor, "*#batch"],
) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation `weight` of the way from `start` (0) to `end` (1), the shorter way."""
    turn = matrix_to_axis_angle(start.mT @ end)
    return start @ axis_angle_to_matrix(weight[..., None] * turn)


def rotation_between(
    start: Float[Tensor, "*#batch 3"], end: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """Return the smallest rotation that turns the direction `start` into the direction `end`.

    Opposite directions turn about an axis across `start`; a zero vector turns nothing.
    """
    start, end = torch.broadcast_tensors(start, end)
    lengths = (start.norm(dim=-1), end.norm(dim=-1))
    lost = torch.minimum(*lengths) < _DEGENERATE
    a = _direction(start, start.new_tensor([1.0, 0.0, 0.0]))
    b = torch.where(lost[..., None], a, _direction(end, a))
    half = a + b
    across = torch.nn.functional.one_hot(a.detach().abs().argmin(-1), 3).to(a.dtype)
    middle = _direction(half, _direction(_reject(across, a), across))
    # Two reflections, first through `a` and then through the middle, make the turn from a to b.
    return _half_turn(middle) @ _half_turn(a)


def _unit(vector: Sequence[Tensor], stand_in: Sequence[Tensor]) -> list[Tensor]:
    """Return the components of `vector` at length 1; see `_direction`."""
    squared = sum(value * value for value in vector)
    assert isinstance(squared, Tensor)
    lost = squared < _DEGENERATE**2
    length = torch.where(lost, 1.0, squared).sqrt()
    return [torch.where(lost, b, a / length) for a, b in zip(vector, stand_in, strict=True)]


def _off(unit: Sequence[Tensor], vector: Sequence[Tensor]) -> list[Tensor]:
    """Return the components of `vector` without its share along `unit`."""
    along = sum(a * b for a, b in zip(unit, vector, strict=True))
    return [b - along * a for a, b in zip(unit, vector, strict=True)]


def _half_turn(axis: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    eye = torch.eye(3, dtype=axis.dtype, device=axis.device)
    return 2 * axis[..., :, None] * axis[..., None, :] - eye


def _direction(
    vector: Float[Tensor, "*batch 3"], stand_in: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Return `vector` at length 1, or `stand_in` where it is too short to have a direction."""
    squared = vector.square().sum(-1, keepdim=True)
    lost = squared < _DEGENERATE**2
    return torch.where(lost, stand_in, vector / torch.where(lost, 1.0, squared).sqrt())


def _reject(
    vector: Float[Tensor, "*batch 3"], unit: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    return vector - (vector * unit).sum(-1, keepdim=True) * unit


def _cross_matrix(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def _axis_rotation(axis: int, angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    unit = torch.zeros(3, dtype=angle.dtype, device=angle.device)
    unit[axis] = 1.0
    cross = _cross_matrix(unit)
    sine, cosine = angle.sin()[..., None, None], angle.cos()[..., None, None]
    return torch.eye(3).to(cross) + sine * cross + (1 - cosine) * (cross @ cross)


def _axis_numbers(order: str) -> tuple[int, int, int]:
    if sorted(order) != list(_AXES):
        raise ValueError(f"rotation order {order!r}; wanted each of X, Y, Z once, such as 'ZXY'")
    first, middle, last = (_AXES.index(axis) for axis in order)
    return first, middle, last


def _matrix_to_quaternion(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Return (w, x, y, z) of length 1 with w >= 0.

    Row i of the table below is `4 q_i q`; normalising the row with the largest `q_i` never divides
    by less than 2, so the angles 0 and pi are no special cases.
    """
    rows = [[matrix[..., r, c] for c in range(3)] for r in range(3)]
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rows
    w, x, y, z = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    table = torch.stack(
        [
            torch.stack([w, zy - yz, xz - zx, yx - xy], dim=-1),
            torch.stack([zy - yz, x, yx + xy, zx + xz], dim=-1),
            torch.stack([xz - zx, yx + xy, y, zy + yz], dim=-1),
            torch.stack([yx - xy, zx + xz, zy + yz, z], dim=-1),
        ],
        dim=-2,
    )
    largest = torch.stack([w, x, y, z], dim=-1).argmax(-1)
    row = table.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    quaternion = row / row.norm(dim=-1, keepdim=True).clamp_min(_DEGENERATE)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def wrap_angle(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return the same direction as an angle in [-pi, pi), radians."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
