"""Rotations: round trips, robustness at their poles, and finite gradients."""

import math
from itertools import permutations

import pytest
import torch

from duet_rl.body.rotations import (
    axis_angle_to_matrix,
    euler_to_matrix,
    matrix_from_6d,
    matrix_to_6d,
    matrix_to_axis_angle,
    matrix_to_euler,
    project_to_rotation,
    rotate_yaw,
    rotation_between,
    slerp,
    wrap_angle,
    yaw_matrix,
)

ORDERS = ["".join(order) for order in permutations("XYZ")]


def random_matrices(count: int = 200, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return matrix_from_6d(torch.randn(count, 6, generator=generator))


def assert_rotations(matrix: torch.Tensor, tolerance: float = 1e-5) -> None:
    eye = torch.eye(3).to(matrix).expand_as(matrix)
    torch.testing.assert_close(matrix @ matrix.mT, eye, atol=tolerance, rtol=0)
    assert (torch.linalg.det(matrix) > 0).all()


def test_6d_and_matrix_are_inverse():
    matrix = random_matrices()
    torch.testing.assert_close(matrix_from_6d(matrix_to_6d(matrix)), matrix, atol=1e-6, rtol=0)
    torch.testing.assert_close(matrix_to_6d(matrix)[:, :3], matrix[:, :, 0])


@pytest.mark.parametrize(
    "columns",
    [
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 1, 0, 0),
        (1, 0, 0, 0, 0, 0),
        (0, 0, 1, 0, 0, 2),
        (0, 0, -3, 0, 0, 1e-9),
        (1, 2, 3, 1, 2, 3.00001),
        (1e-9, 0, 0, 0, 1e9, 0),
    ],
)
def test_6d_gives_a_rotation_and_a_gradient_for_degenerate_columns(columns):
    columns = torch.tensor([columns], dtype=torch.float32, requires_grad=True)
    matrix = matrix_from_6d(columns)
    assert_rotations(matrix.detach())
    matrix.square().sum().backward()
    assert torch.isfinite(columns.grad).all()


def test_axis_angle_and_matrix_are_inverse_below_half_a_turn():
    generator = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(300, 3, generator=generator), dim=-1)
    angle = torch.logspace(-9, math.log10(math.pi - 1e-3), 300)[:, None]
    matrix = axis_angle_to_matrix(axis * angle)
    assert_rotations(matrix)
    torch.testing.assert_close(matrix_to_axis_angle(matrix), axis * angle, atol=1e-5, rtol=1e-4)


def test_half_a_turn_keeps_its_axis_up_to_sign():
    generator = torch.Generator().manual_seed(0)
    axes = torch.cat([torch.eye(3), torch.randn(50, 3, generator=generator)])
    axes = torch.nn.functional.normalize(axes, dim=-1)
    matrix = axis_angle_to_matrix(axes * math.pi)
    again = matrix_to_axis_angle(matrix)
    torch.testing.assert_close(again.norm(dim=-1), torch.full((53,), math.pi), atol=1e-5, rtol=0)
    torch.testing.assert_close(axis_angle_to_matrix(again), matrix, atol=1e-5, rtol=0)


def test_rotations_about_an_axis_follow_the_right_hand():
    quarter = axis_angle_to_matrix(torch.tensor([0.0, 0.0, math.pi / 2]))
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1.0, 0]))


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-4, 1e-2, math.pi - 1e-6])
def test_gradients_through_axis_angle_are_finite(angle):
    vector = torch.tensor([angle, 0.0, 0.0], requires_grad=True)
    matrix = axis_angle_to_matrix(vector)
    (matrix.sum() + matrix_to_axis_angle(matrix).sum()).backward()
    assert torch.isfinite(vector.grad).all()


def test_the_gradient_of_the_logarithm_at_identity_is_the_right_one():
    vector = torch.zeros(3, dtype=torch.float64, requires_grad=True)

    def there_and_back(v: torch.Tensor) -> torch.Tensor:
        return matrix_to_axis_angle(axis_angle_to_matrix(v))

    jacobian = torch.autograd.functional.jacobian(there_and_back, vector)
    torch.testing.assert_close(jacobian, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("order", ORDERS)
def test_euler_angles_and_matrix_are_inverse(order):
    matrix = random_matrices().double()
    matrix = project_to_rotation(matrix)
    again = euler_to_matrix(matrix_to_euler(matrix, order), order)
    torch.testing.assert_close(again, matrix, atol=1e-9, rtol=0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_euler_angles_survive_the_gimbal_pole(order, pole):
    angles = torch.tensor([[30.0, pole, -70.0], [0.0, pole, 0.0]], dtype=torch.float64).deg2rad()
    matrix = euler_to_matrix(angles, order)
    again = euler_to_matrix(matrix_to_euler(matrix, order), order)
    torch.testing.assert_close(again, matrix, atol=1e-6, rtol=0)


def test_euler_channels_multiply_from_left_to_right():
    z, x, y = (torch.tensor(a) for a in (0.3, -0.7, 1.1))
    about = [torch.zeros(3).index_fill(0, torch.tensor(k), 1.0) for k in range(3)]
    expected = (
        axis_angle_to_matrix(about[2] * z)
        @ axis_angle_to_matrix(about[0] * x)
        @ axis_angle_to_matrix(about[1] * y)
    )
    torch.testing.assert_close(euler_to_matrix(torch.stack([z, x, y]), "ZXY"), expected)


@pytest.mark.parametrize("order", ["XYX", "XY", "xyz"])
def test_an_unknown_rotation_order_is_refused(order):
    with pytest.raises(ValueError, match="rotation order"):
        euler_to_matrix(torch.zeros(3), order)


def test_yaw_turns_z_towards_x():
    angle = torch.tensor([0.0, 0.4, math.pi / 2, 3.0])
    forward = yaw_matrix(angle) @ torch.tensor([0.0, 0.0, 1.0])
    expected = torch.stack([angle.sin(), torch.zeros(4), angle.cos()], dim=-1)
    torch.testing.assert_close(forward, expected)
    torch.testing.assert_close(rotate_yaw(torch.eye(3)[2].expand(4, 3), angle), expected)


def test_projection_returns_rotations_as_they_are_and_mends_others():
    matrix = random_matrices()
    torch.testing.assert_close(project_to_rotation(matrix), matrix, atol=1e-5, rtol=0)
    noisy = matrix + 0.1 * torch.randn(matrix.shape, generator=torch.Generator().manual_seed(1))
    assert_rotations(project_to_rotation(noisy))
    assert_rotations(project_to_rotation(-matrix))
    assert_rotations(project_to_rotation(torch.zeros(2, 3, 3)))


def test_slerp_goes_the_shorter_way_at_constant_speed():
    start = random_matrices(50)
    turn = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1) * 3.0
    end = start @ axis_angle_to_matrix(turn)
    quarter = slerp(start, end, torch.tensor(0.25))
    torch.testing.assert_close(quarter, start @ axis_angle_to_matrix(turn / 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(slerp(start, end, torch.zeros(50)), start, atol=1e-5, rtol=0)
    torch.testing.assert_close(slerp(start, end, torch.ones(50)), end, atol=1e-5, rtol=0)


def test_the_rotation_between_directions_turns_one_into_the_other():
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 100, 3, generator=generator)
    a, b = torch.cat([a, a[:5]]), torch.cat([b, -a[:5]])  # opposite directions too
    turn = rotation_between(a, b)
    assert_rotations(turn)
    unit = torch.nn.functional.normalize
    turned = (turn @ unit(a, dim=-1)[..., None]).squeeze(-1)
    torch.testing.assert_close(turned, unit(b, dim=-1), atol=2e-4, rtol=0)
    angle = matrix_to_axis_angle(turn).norm(dim=-1)
    least = torch.acos((unit(a, dim=-1) * unit(b, dim=-1)).sum(-1).clamp(-1, 1))
    torch.testing.assert_close(angle, least, atol=2e-3, rtol=0)


def test_the_rotation_between_a_direction_and_nothing_is_identity():
    turn = rotation_between(torch.tensor([0.0, 2.0, 0.0]), torch.zeros(3))
    torch.testing.assert_close(turn, torch.eye(3))


def test_wrapped_angles_point_the_same_way_within_half_a_turn():
    angle = torch.linspace(-20, 20, 101)
    wrapped = wrap_angle(angle)
    assert (wrapped.abs() <= math.pi + 1e-6).all()
    torch.testing.assert_close(wrapped.sin(), angle.sin(), atol=1e-5, rtol=0)
