"""Forward kinematics of the 55 joints, and the two-bone inverse for arms and legs."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.rotations import rotation_between
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, PARENTS

_HABIT = 0.005  # m; a straight knee bends forwards and a straight elbow backwards
_DEGENERATE = 1e-6  # m; a shorter bone or pole has no direction


class Pose(NamedTuple):
    """Where the joints are and how they are turned, both in world axes."""

    joints: Float[Tensor, "*batch 55 3"]
    global_rotations: Float[Tensor, "*batch 55 3 3"]


class Posed(NamedTuple):
    """A pose with the local rotations that make it."""

    rotations: Float[Tensor, "*batch 55 3 3"]
    joints: Float[Tensor, "*batch 55 3"]
    global_rotations: Float[Tensor, "*batch 55 3 3"]


class Limb(NamedTuple):
    """The three joints of an arm or a leg, as indices."""

    start: int
    middle: int
    end: int


LIMBS: dict[str, Limb] = {
    f"{side}_{limb}": Limb(*(JOINT[f"{side}_{name}"] for name in names))
    for side in ("left", "right")
    for limb, names in (
        ("arm", ("shoulder", "elbow", "wrist")),
        ("leg", ("hip", "knee", "ankle")),
    )
}


def forward_kinematics(
    rotations: Float[Tensor, "*batch 55 3 3"],
    root: Float[Tensor, "*batch 3"],
    offsets: Float[Tensor, "*#batch 55 3"],
) -> Pose:
    """Return the pose that local rotations make of a skeleton.

    Args:
        rotations: each joint relative to its parent, `(..., 55, 3, 3)`; identity is the rest pose.
        root: position of the pelvis, `(..., 3)`, metres, world axes.
        offsets: the skeleton's bone vectors, `(55, 3)` or one set per batch row, metres.

    Returns:
        Joints `(..., 55, 3)` in metres and global rotations `(..., 55, 3, 3)`.
    """
    tree = _tree(rotations.device)
    batch = rotations.shape[:-3]
    # Joint first and batch last: each step is then a few sums over long rows, which a CPU does
    # twice as fast as batched 3 x 3 products, and which autocast leaves in full precision.
    rows = rotations.reshape(-1, 9 * NUM_JOINTS).T.contiguous().view(NUM_JOINTS, 3, 3, -1)
    local = rows.index_select(0, tree.by_level)
    bones = _bones(offsets, batch).index_select(0, tree.by_level)  # (55, 3, M) or (55, 3, 1)
    turn, place = local[:1], root.reshape(-1, 3).T[None]  # (1, 3, 3, M), (1, 3, M)
    turns, places = [turn], [place]
    first = 1
    for parents in tree.parents_in_level:
        level = slice(first, first + len(parents))
        first = level.stop
        above = turn.index_select(0, parents)
        bone = (above * bones[level, None]).sum(2)
        place = place.index_select(0, parents) + bone
        turn = _product(above, local[level])
        turns.append(turn)
        places.append(place)
    joints = torch.cat(places).index_select(0, tree.by_joint).view(3 * NUM_JOINTS, -1).T
    global_rotations = torch.cat(turns).index_select(0, tree.by_joint).view(9 * NUM_JOINTS, -1).T
    return Pose(
        joints.reshape(*batch, NUM_JOINTS, 3),
        global_rotations.reshape(*batch, NUM_JOINTS, 3, 3),
    )


def global_to_local(
    global_rotations: Float[Tensor, "*batch 55 3 3"],
) -> Float[Tensor, "*batch 55 3 3"]:
    """Return each joint's rotation relative to its parent; the inverse of the kinematics."""
    parents = global_rotations[..., list(PARENTS[1:]), :, :]
    local = parents.mT @ global_rotations[..., 1:, :, :]
    return torch.cat([global_rotations[..., :1, :, :], local], dim=-3)


def two_bone_ik(
    start: Float[Tensor, "*batch 3"],
    target: Float[Tensor, "*batch 3"],
    upper: float | Tensor,
    lower: float | Tensor,
    pole: Float[Tensor, "*#batch 3"],
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3"]]:
    """Return the middle and end joint of a limb that reaches for a target.

    Args:
        start: the fixed joint (shoulder or hip), `(..., 3)`, metres.
        target: where the end joint (wrist or ankle) shall be, `(..., 3)`, metres.
        upper: length of the bone from start to middle, metres; a number or `(...)`.
        lower: length of the bone from middle to end, metres; a number or `(...)`.
        pole: the direction into which the middle joint bends, `(..., 3)`; any length.

    Returns:
        The middle joint and the end joint, each `(..., 3)`. The end is the target itself within
        reach; beyond it the limb points at the target, stretched or folded as far as it goes.
    """
    upper = torch.as_tensor(upper, dtype=start.dtype, device=start.device)[..., None]
    lower = torch.as_tensor(lower, dtype=start.dtype, device=start.device)[..., None]
    reach = target - start
    wanted = reach.norm(dim=-1, keepdim=True)
    down = torch.zeros_like(reach)
    down[..., 1] = -1.0
    along = torch.where(wanted < _DEGENERATE, down, reach / wanted.clamp_min(_DEGENERATE))
    distance = torch.minimum(torch.maximum(wanted, (upper - lower).abs()), upper + lower)
    # Law of cosines: how far along the line to the target the middle joint stands.
    middle_along = (distance.square() + upper.square() - lower.square()) / (
        2 * distance.clamp_min(_DEGENERATE)
    )
    middle_along = torch.minimum(torch.maximum(middle_along, -upper), upper)
    bend = (upper.square() - middle_along.square()).clamp_min(0).sqrt()
    sideways = _across(along, pole)
    middle = start + along * middle_along + sideways * bend
    return middle, start + along * distance


def reach(
    rotations: Float[Tensor, "*batch 55 3 3"],
    root: Float[Tensor, "*batch 3"],
    offsets: Float[Tensor, "*#batch 55 3"],
    limb: str,
    target: Float[Tensor, "*batch 3"],
    pole: Float[Tensor, "*#batch 3"] | None = None,
) -> Float[Tensor, "*batch 55 3 3"]:
    """Return local rotations with one limb bent so that its end joint is at `target`.

    The hand or foot keeps its global rotation; nothing but the limb's three joints changes.

    Args:
        rotations: local rotations, `(..., 55, 3, 3)`.
        root: pelvis, `(..., 3)`, metres.
        offsets: the skeleton's bone vectors, `(55, 3)` or one set per batch row, metres.
        limb: a key of `LIMBS`, such as "left_arm".
        target: where the wrist or ankle shall be, `(..., 3)`, metres.
        pole: the direction into which the elbow or knee bends, `(..., 3)`; where it bends now if
            left out.
    """
    posed = Posed(rotations, *forward_kinematics(rotations, root, offsets))
    return bend_limb(posed, offsets, limb, target, pole).rotations


def bend_limb(
    posed: Posed,
    offsets: Float[Tensor, "*#batch 55 3"],
    limb: str,
    target: Float[Tensor, "*batch 3"],
    pole: Float[Tensor, "*#batch 3"] | None = None,
) -> Posed:
    """Return a posed body with one limb bent to `target`, as `reach` does."""
    start, middle, end = LIMBS[limb]
    joints, turned = posed.joints, posed.global_rotations
    if pole is None:
        pole = joints[..., middle, :] - (joints[..., start, :] + joints[..., end, :]) / 2
        # A straight limb bends nowhere yet; the habit of the joint decides, and only then.
        habit = offsets.new_tensor([0.0, 0.0, _HABIT if limb.endswith("leg") else -_HABIT])
        pole = pole + turned[..., start, :, :] @ habit
    upper, lower = offsets[..., middle, :].norm(dim=-1), offsets[..., end, :].norm(dim=-1)
    bent, ended = two_bone_ik(joints[..., start, :], target, upper, lower, pole)
    # Turning each bone from where it points now, and not from the rest pose, keeps its twist.
    upper_turn = rotation_between(
        joints[..., middle, :] - joints[..., start, :], bent - joints[..., start, :]
    )
    carried = upper_turn @ turned[..., middle, :, :] @ offsets[..., end, :, None]
    lower_turn = rotation_between(carried.squeeze(-1), ended - bent)
    new_start = upper_turn @ turned[..., start, :, :]
    new_middle = lower_turn @ upper_turn @ turned[..., middle, :, :]
    rotations, moved, turns = posed.rotations.clone(), joints.clone(), turned.clone()
    rotations[..., start, :, :] = turned[..., PARENTS[start], :, :].mT @ new_start
    rotations[..., middle, :, :] = new_start.mT @ new_middle
    rotations[..., end, :, :] = new_middle.mT @ turned[..., end, :, :]
    turns[..., start, :, :], turns[..., middle, :, :] = new_start, new_middle
    carried_on = list(_beyond(end))
    moved[..., carried_on, :] += (ended - joints[..., end, :])[..., None, :]
    moved[..., middle, :], moved[..., end, :] = bent, ended
    return Posed(rotations, moved, turns)


@lru_cache
def _beyond(joint: int) -> tuple[int, ...]:
    """Return all joints that hang on `joint`."""
    found = {joint}
    for other, parent in enumerate(PARENTS):
        if parent in found:
            found.add(other)
    return tuple(sorted(found - {joint}))


class _Tree(NamedTuple):
    """The joint tree by depth: joints of equal depth do not wait for each other."""

    by_level: Tensor  # the joints, level after level
    by_joint: Tensor  # where each joint stands in `by_level`
    parents_in_level: tuple[Tensor, ...]  # per level: each parent's position in the level above


@lru_cache
def _tree(device: torch.device) -> _Tree:
    depth = [0] * NUM_JOINTS
    for joint in range(1, NUM_JOINTS):
        depth[joint] = depth[PARENTS[joint]] + 1
    levels = [
        [j for j in range(NUM_JOINTS) if depth[j] == level] for level in range(max(depth) + 1)
    ]
    by_level = [joint for level in levels for joint in level]
    # Made once and used in training too, so never as inference tensors.
    with torch.inference_mode(False):
        return _Tree(
            torch.tensor(by_level, device=device),
            torch.tensor([by_level.index(joint) for joint in range(NUM_JOINTS)], device=device),
            tuple(
                torch.tensor([above.index(PARENTS[joint]) for joint in level], device=device)
                for above, level in pairwise(levels)
            ),
        )


def _bones(offsets: Tensor, batch: torch.Size) -> Tensor:
    if offsets.ndim == 2:
        return offsets[..., None]
    return offsets.expand(*batch, NUM_JOINTS, 3).reshape(-1, NUM_JOINTS, 3).permute(1, 2, 0)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply matrices whose batch is the first and the last axis, `(J, 3, 3, M)`."""
    terms = [left[:, :, k, None] * right[:, k, None] for k in range(3)]
    return terms[0] + terms[1] + terms[2]


def _across(along: Tensor, pole: Tensor) -> Tensor:
    """Return the unit vector across `along` on the side of `pole`, or any where there is none."""
    pole = pole.expand_as(along)
    side = pole - (pole * along).sum(-1, keepdim=True) * along
    stand_in = torch.nn.functional.one_hot(along.detach().abs().argmin(-1), 3).to(along)
    stand_in = stand_in - (stand_in * along).sum(-1, keepdim=True) * along
    lost = side.norm(dim=-1, keepdim=True) < _DEGENERATE
    return torch.nn.functional.normalize(torch.where(lost, stand_in, side), dim=-1)
