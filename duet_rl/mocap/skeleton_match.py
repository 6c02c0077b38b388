"""Who is who in a skeleton whose names say nothing: by the shape of its tree and of its dance.

A person has two pairs of like limbs. The longer ones are the legs; they meet at the pelvis, the
others at the chest, where the neck begins too. Toes point ahead and knees bend ahead, which tells
left from right.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise

import torch
from torch import Tensor

from duet_rl.body.skeleton import JOINT_NAMES
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import BvhMotion, has_our_joints
from duet_rl.mocap.skeleton_names import Rig, by_name, by_some_names, nearest

OURS = "our own 55 joints"
STRUCTURE = "unknown names, by structure"

_ALIKE = 0.08  # share by which the bones of a pair of limbs may differ
_HALVES = (0.6, 1.0 / 0.6)  # of a limb's upper bone to its lower one
_SURE = 0.3  # mean cosine between where a foot points and where its side's leg says ahead is
_MOST_JOINTS = 500  # of a skeleton; a larger one is no person's
_BENDS = 0.2  # weight of the bend of a knee, in lengths of the shin, beside that of a foot


class _Limb:
    """The longest way from a joint to a tip, and the two bones on it that make a limb."""

    def __init__(self, chain: Sequence[int], lengths: Sequence[float]) -> None:
        self.chain = tuple(chain)
        bones = [lengths[joint] for joint in chain[1:]]
        sums = [a + b for a, b in pairwise(bones)]
        self.at = max(range(len(sums)), key=lambda k: sums[k]) if sums else -1
        self.bones = (bones[self.at], bones[self.at + 1]) if sums else (0.0, 0.0)

    @property
    def length(self) -> float:
        return sum(self.bones)

    @property
    def joints(self) -> tuple[int, int, int]:
        start, middle, end = self.chain[self.at : self.at + 3]
        return start, middle, end

    @property
    def before(self) -> int | None:
        return self.chain[self.at - 1] if self.at > 0 else None

    @property
    def beyond(self) -> int | None:
        return self.chain[self.at + 3] if self.at + 3 < len(self.chain) else None

    def like(self, other: "_Limb") -> bool:
        """Whether the other can be the same limb of the other side."""
        if min(*self.bones, *other.bones) <= 0 or len(self.chain) != len(other.chain):
            return False
        same = all(
            abs(a - b) < _ALIKE * max(a, b) for a, b in zip(self.bones, other.bones, strict=True)
        )
        return same and _HALVES[0] < self.bones[0] / self.bones[1] < _HALVES[1]


def rig_of(sample: BvhMotion) -> Rig:
    """Return who is who in a skeleton: ours, of a known family, or by its structure.

    Args:
        sample: frames of the whole take, or all that is known of it; units play no part.

    Raises:
        InputError: no person can be recognised; the message tells what is nearest.
    """
    if has_our_joints(sample) and sample.moves is None:
        trunk = ("pelvis", "spine1", "spine2", "spine3")  # which follow from the tree
        return Rig(OURS, {name: name for name in JOINT_NAMES if name not in trunk})
    rig = by_name(sample.names)
    if rig is None and (alike := by_structure(sample)) is not None:
        rig = by_some_names(sample.names, alike)
    if rig is not None:
        return rig
    family, there, absent = nearest(sample.names)
    known = ", ".join(there) if there else "none of its joints"
    others = [name for name in sample.names if name not in there]
    raise InputError(
        f"{sample.name}: no person is recognised in its {len(sample.names)} joints. Nearest is the "
        f"family {family}: recognised {known}; missing {_some(absent)}; unknown joints "
        f"{_some(others)}; rename the joints as in docs/motion_files.md"
    )


def by_structure(sample: BvhMotion) -> Rig | None:
    """Return who is who, or None if the tree is not that of a person or sides cannot be told.

    Args:
        sample: frames of the whole take; units play no part.
    """
    if len(sample.names) > _MOST_JOINTS:
        return None
    children: list[list[int]] = [[] for _ in sample.names]
    for joint, parent in enumerate(sample.parents):
        if parent >= 0:
            children[parent].append(joint)
    lengths = sample.offsets.norm(dim=-1).tolist()
    pairs = [
        (one, other, joint)
        for joint, below in enumerate(children)
        for one, other in combinations(
            [_Limb(_longest(child, children, lengths), lengths) for child in below], 2
        )
        if one.like(other)
    ]
    pairs.sort(key=lambda pair: -pair[0].length)
    legs = pairs[0] if pairs else None
    arms = next((pair for pair in pairs if legs is not None and pair[2] != legs[2]), None)
    if legs is None or arms is None:
        return None
    taken = {arms[0].chain[0], arms[1].chain[0]}
    up = [joint for joint in children[arms[2]] if joint not in taken]
    if not up:
        return None
    necks = [_longest(joint, children, lengths) for joint in up]
    neck = max(necks, key=lambda chain: sum(lengths[joint] for joint in chain))
    head = next((joint for joint in neck[1:] if len(children[joint]) != 1), None)
    found = {"neck": neck[0]} | ({} if head is None else {"head": head})
    sides = _sides(sample, legs[:2], arms[:2], neck[0])
    if sides is None:
        return None
    for side, leg, arm in zip(("left", "right"), *sides, strict=True):
        names = dict(zip(("hip", "knee", "ankle"), leg.joints, strict=True))
        names |= dict(zip(("shoulder", "elbow", "wrist"), arm.joints, strict=True))
        names |= {"foot": leg.beyond} if leg.beyond is not None else {}
        names |= {"collar": arm.before} if arm.before is not None else {}
        found |= {f"{side}_{ours}": joint for ours, joint in names.items()}
    return Rig(STRUCTURE, {ours: sample.names[joint] for ours, joint in found.items()})


def _longest(
    joint: int, children: Sequence[Sequence[int]], lengths: Sequence[float]
) -> tuple[int, ...]:
    """Return the way from a joint to the tip that is farthest along the bones."""
    below = [_longest(child, children, lengths) for child in children[joint]]
    way = max(below, key=lambda chain: sum(lengths[one] for one in chain), default=())
    return (joint, *way)


def _sides(
    sample: BvhMotion, legs: Sequence[_Limb], arms: Sequence[_Limb], neck: int
) -> tuple[list[_Limb], list[_Limb]] | None:
    """Return the limbs of both pairs, the left one first."""
    places, turned = sample.pose()
    ahead = sum(_ahead(sample, places, turned, leg) for leg in legs)
    first, second = (places[:, leg.joints[0]] for leg in legs)
    up = places[:, neck] - (first + second) / 2
    left = torch.linalg.cross(up, torch.as_tensor(ahead), dim=-1)
    agreed = float(torch.cosine_similarity(left, first - second, dim=-1).mean())
    if abs(agreed) < _SURE:
        return None
    ordered = list(legs) if agreed > 0 else list(legs)[::-1]
    across = (first - second) * (1.0 if agreed > 0 else -1.0)
    one, other = (places[:, arm.joints[0]] for arm in arms)
    same = float(torch.cosine_similarity(one - other, across, dim=-1).mean())
    return ordered, list(arms) if same > 0 else list(arms)[::-1]


def _ahead(sample: BvhMotion, places: Tensor, turned: Tensor, leg: _Limb) -> Tensor:
    """Return where one leg says that ahead is: where its foot points and its knee bends."""
    hip, knee, ankle = leg.joints
    bend = places[:, knee] - (places[:, hip] + places[:, ankle]) / 2
    end = sample.end_sites.get(sample.names[ankle])
    if leg.beyond is not None:
        foot = places[:, leg.beyond] - places[:, ankle]
    elif end is not None:
        foot = turned[:, ankle] @ end
    else:
        foot = torch.zeros_like(bend)
    return foot + _BENDS * bend


def _some(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
