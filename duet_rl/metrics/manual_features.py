"""Manual features: 32 questions about a pose and its movement, and how often the answer is yes.

The questions are those of Müller et al. (Efficient content-based retrieval of motion capture data,
2005), as fairmotion, and after it AIST++, Bailando and Duolando, ask them. Numbers in comments are
the published places of the features, from 1.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.metrics.motion_features import PUBLISHED, FeatureRules

MANUAL_DIMS = 32

# Lengths (m) by which thresholds are told, of one template body and not of the dancer's.
HUMERUS = math.dist(
    (0.199113488, 0.236807942, -0.0180702247), (0.454445392, 0.221158922, -0.0410167128)
)
SHOULDERS = math.dist(
    (0.199113488, 0.236807942, -0.0180702247), (-0.191692337, 0.236928746, -0.0123055102)
)
HIPS = math.dist(
    (0.0564076714, -0.323069185, 0.0109197125), (-0.0624834076, -0.331302464, 0.0150412619)
)

_JOINTS = (  # of SMPL, then points that are no joints
    *("root", "lhip", "rhip", "belly", "lknee", "rknee", "spine", "lankle", "rankle", "chest"),
    *("ltoes", "rtoes", "neck", "linshoulder", "rinshoulder", "head", "lshoulder", "rshoulder"),
    *("lelbow", "relbow", "lwrist", "rwrist", "lhand", "rhand"),
    *("zero", "above", "below", "lowest"),  # origin, 1 m above and below it, height of lowest joint
)
_INDEX = {name: index for index, name in enumerate(_JOINTS)}


class _Question(NamedTuple):
    """A feature's published place, the points it looks at, and the bounds of a yes."""

    place: int
    points: str
    low: float
    high: float = math.inf


# Does `d` move faster than `low` m/s along the normal of the plane of a, b and c?
_NORMAL_MOVES = (
    _Question(1, "neck rhip lhip rwrist", 1.8 * HUMERUS),
    _Question(2, "neck lhip rhip lwrist", 1.8 * HUMERUS),
)
# Does `c` move, relative to `a`, faster than `low` m/s towards where `b` is from `a`?
_MOVES_OF_THIRD = (
    _Question(5, "belly chest chest", 1.8 * HUMERUS),
    _Question(6, "belly chest chest", 1.8 * HUMERUS),
    _Question(10, "lwrist rwrist rwrist", 1.4 * HUMERUS),
    _Question(11, "rwrist root lwrist", 1.4 * HUMERUS),
    _Question(12, "lwrist root rwrist", 1.4 * HUMERUS),
)
# As it was meant: does `d` move, relative to `c`, along a -> b? Each hand rises; the hands approach
# each other; each hand leaves the root, which the published list asks of the hands crosswise.
_MOVES_OF_FOURTH = (
    _Question(5, "belly chest chest rwrist", 1.8 * HUMERUS),
    _Question(6, "belly chest chest lwrist", 1.8 * HUMERUS),
    _Question(10, "lwrist rwrist rwrist lwrist", 1.4 * HUMERUS),
    _Question(11, "rwrist root rwrist root", 1.4 * HUMERUS),
    _Question(12, "lwrist root lwrist root", 1.4 * HUMERUS),
)
# Is `d` more than `low` metres before the plane of a, b and c?
_PLANES = (
    _Question(15, "root lhip ltoes rankle", 0.38 * HUMERUS),
    _Question(16, "root rhip rtoes lankle", 0.38 * HUMERUS),
    _Question(28, "rankle neck lankle root", 0.5 * HUMERUS),
)
# Is `d` farther than `low` metres from `c`, counted along a -> b?
_NORMAL_PLANES = (
    _Question(3, "chest neck neck rwrist", 0.2 * HUMERUS),
    _Question(4, "chest neck neck lwrist", 0.2 * HUMERUS),
    _Question(9, "lshoulder rshoulder lwrist rwrist", 2.5 * SHOULDERS),
    _Question(17, "zero above lowest rankle", 1.2 * HUMERUS),
    _Question(18, "zero above lowest lankle", 1.2 * HUMERUS),
    _Question(19, "lhip rhip lankle rankle", 2.1 * HIPS),
    _Question(30, "zero below lowest rwrist", -1.2 * HUMERUS),
    _Question(31, "zero below lowest lwrist", -1.2 * HUMERUS),
)
# Does the angle between a -> b and c -> d lie between the bounds, degrees?
_ANGLES = (
    _Question(7, "relbow rshoulder relbow rwrist", 0, 110),
    _Question(8, "lelbow lshoulder lelbow lwrist", 0, 110),
    _Question(20, "rknee rhip rknee rankle", 0, 110),
    _Question(21, "lknee lhip lknee lankle", 0, 110),
    _Question(24, "neck root rshoulder relbow", 25, 180),
    _Question(25, "neck root lshoulder lelbow", 25, 180),
    _Question(26, "neck root rhip rknee", 50, 180),
    _Question(27, "neck root lhip lknee", 50, 180),
    _Question(29, "neck root zero above", 70, 110),
)
# Is `a` faster than `low` m/s?
_FAST = (
    _Question(13, "rwrist", 2.5 * HUMERUS),
    _Question(14, "lwrist", 2.5 * HUMERUS),
    _Question(22, "rankle", 2.5 * HUMERUS),
    _Question(23, "lankle", 2.5 * HUMERUS),
    _Question(32, "root", 2.3 * HUMERUS),
)


def manual_features(
    joints: Float[Tensor, "*batch T 24 3"], rules: FeatureRules = PUBLISHED
) -> Float[Tensor, "*batch 32"]:
    """Return how often each question is answered yes, of all frames but the first.

    Args:
        joints: positions, metres; published numbers want them from the start (`from_start`).
        rules: `PUBLISHED` or `corrected`. Movements are counted over `manual_frame_time`.

    Returns:
        Shares in [0, 1]; NaN for a single frame, which has no movement, and for joints that are
        not known (a comparison with NaN is a no, and a no would count).
    """
    if joints.shape[-3] < 2:
        return joints.new_full((*joints.shape[:-3], MANUAL_DIMS), torch.nan)
    points = _with_marks(joints, rules.up)  # (..., T, P, 3)
    step = torch.diff(points, dim=-3) / rules.manual_frame_time  # m/s
    now = points[..., 1:, :, :]
    moves = _moves_of_third if rules.moves == "third" else _moves_of_fourth
    asked = _MOVES_OF_THIRD if rules.moves == "third" else _MOVES_OF_FOURTH
    answers = [
        (_NORMAL_MOVES, _normal_moves(now, step)),
        (asked, moves(now, step)),
        (_PLANES, _planes(now)),
        (_NORMAL_PLANES, _normal_planes(now)),
        (_ANGLES, _angles(now)),
        (_FAST, _above(step[..., _corner(_FAST, 0), :].norm(dim=-1), _FAST)),
    ]
    places = [question.place - 1 for questions, _ in answers for question in questions]
    shares = torch.cat([answer.to(joints.dtype).mean(-2) for _, answer in answers], dim=-1)
    features = torch.empty_like(shares)
    features[..., places] = shares
    unknown = joints.isnan().flatten(-3).any(-1, keepdim=True)
    return features.masked_fill(unknown, torch.nan)


def _with_marks(joints: Float[Tensor, "*batch T 24 3"], up: int) -> Tensor:
    """Return the joints, and after them the points that are no joints."""
    marks = joints.new_zeros(*joints.shape[:-2], len(_JOINTS) - joints.shape[-2], 3)
    marks[..., 1, up], marks[..., 2, up] = 1, -1
    marks[..., 3, up] = joints[..., up].amin(-1)
    return torch.cat([joints, marks], dim=-2)


def _normal_moves(now: Tensor, step: Tensor) -> Bool[Tensor, "*batch F Q"]:
    a, b, c, _ = _corners(now, _NORMAL_MOVES)
    start, _, _, d = _corners(step, _NORMAL_MOVES)
    return _above(_along(d - start, torch.linalg.cross(c - a, b - a)), _NORMAL_MOVES)


def _moves_of_third(now: Tensor, step: Tensor) -> Bool[Tensor, "*batch F Q"]:
    a, b, _ = _corners(now, _MOVES_OF_THIRD)
    start, _, c = _corners(step, _MOVES_OF_THIRD)
    return _above(_along(c - start, b - a), _MOVES_OF_THIRD)


def _moves_of_fourth(now: Tensor, step: Tensor) -> Bool[Tensor, "*batch F Q"]:
    a, b, _, _ = _corners(now, _MOVES_OF_FOURTH)
    _, _, c, d = _corners(step, _MOVES_OF_FOURTH)
    return _above(_along(d - c, b - a), _MOVES_OF_FOURTH)


def _planes(now: Tensor) -> Bool[Tensor, "*batch F Q"]:
    a, b, c, d = _corners(now, _PLANES)
    return _above(_along(d - a, torch.linalg.cross(c - a, b - a)), _PLANES)


def _normal_planes(now: Tensor) -> Bool[Tensor, "*batch F Q"]:
    a, b, c, d = _corners(now, _NORMAL_PLANES)
    return _above(_along(d - c, b - a), _NORMAL_PLANES)


def _angles(now: Tensor) -> Bool[Tensor, "*batch F Q"]:
    a, b, c, d = _corners(now, _ANGLES)
    cosine = _along(d - c, b - a) / (d - c).norm(dim=-1)
    degrees = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))  # NaN, so no, where a side is nothing
    high = degrees.new_tensor([question.high for question in _ANGLES])
    return _above(degrees, _ANGLES) & (degrees < high)


def _along(vectors: Tensor, direction: Tensor) -> Tensor:
    """Return how far vectors go along directions of any length; NaN where that is 0."""
    return (vectors * direction).sum(-1) / direction.norm(dim=-1)


def _above(values: Tensor, questions: tuple[_Question, ...]) -> Bool[Tensor, "*batch F Q"]:
    return values > values.new_tensor([question.low for question in questions])


def _corners(points: Tensor, questions: tuple[_Question, ...]) -> tuple[Tensor, ...]:
    """Return the first, second, ... points of each question, `(..., F, Q, 3)` each."""
    count = len(questions[0].points.split())
    return tuple(points[..., _corner(questions, rank), :] for rank in range(count))


def _corner(questions: tuple[_Question, ...], rank: int) -> list[int]:
    return [_INDEX[question.points.split()[rank]] for question in questions]
