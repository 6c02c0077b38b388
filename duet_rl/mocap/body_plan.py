"""Which joint of a file's skeleton each of our 55 is, stands between, or hangs on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import JOINT, NUM_JOINTS, PARENTS, default_skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import BvhMotion
from duet_rl.mocap.skeleton_names import SIDES, Rig

# Our joint -> the one whose end site in a file is its place, should the file have no such joint.
_AT_END_SITES: dict[str, str] = {
    "head": "neck",
    **{f"{side}_foot": f"{side}_ankle" for side in SIDES},
    **{
        f"{side}_{finger}{knuckle + 1}": f"{side}_{finger}{knuckle}"
        for side in SIDES
        for finger in ("thumb", "index", "middle", "ring", "pinky")
        for knuckle in (1, 2)
    },
}
_SPINE = ("pelvis", "spine1", "spine2", "spine3")
_SHORTEST_BONE = 0.02  # of a leg; a shorter end site is a mark and no bone


@dataclass(frozen=True)
class Between:
    """A joint that a file lacks, on the line between two that it has."""

    start: int
    end: int
    share: float  # of the way


@dataclass(frozen=True, eq=False)
class BodyPlan:
    """How to read our joints off a skeleton.

    Args:
        joints: our joint -> the file's at the same place.
        ends: our joint -> the file's whose end site is its place.
        between: our joints on the line between two of ours.
        source: for each of ours, the joint of the file that it turns with.
        attached: our joints of which the file says nothing; they hang on their parents as ever.
    """

    joints: Mapping[int, int]
    ends: Mapping[int, int]
    between: Mapping[int, Between]
    source: tuple[int, ...]

    @property
    def attached(self) -> tuple[int, ...]:
        told = {*self.joints, *self.ends, *self.between}
        return tuple(joint for joint in range(NUM_JOINTS) if joint not in told)

    def read(self, bvh: BvhMotion) -> tuple[Float[Tensor, "T 55 3"], Float[Tensor, "T 55 3 3"]]:
        """Return where our joints are in a file, and how what they turn with is turned there.

        Attached joints are where their parents are.
        """
        theirs, turned = bvh.pose()
        places = theirs.new_zeros(len(theirs), NUM_JOINTS, 3)
        for ours, joint in self.joints.items():
            places[:, ours] = theirs[:, joint]
        for ours, joint in self.ends.items():
            places[:, ours] = theirs[:, joint] + turned[:, joint] @ bvh.end_sites[bvh.names[joint]]
        for ours, line in self.between.items():
            places[:, ours] = torch.lerp(places[:, line.start], places[:, line.end], line.share)
        for ours in self.attached:  # parents come first
            places[:, ours] = places[:, PARENTS[ours]]
        return places, turned[:, list(self.source)]


def plan_of(bvh: BvhMotion, rig: Rig) -> BodyPlan:
    """Return how our joints lie in a skeleton whose limbs are known.

    Raises:
        InputError: legs, arms and head hang together in another way than a person's.
    """
    tree = _Tree(bvh.names, bvh.parents)
    joints = {JOINT[ours]: tree.index[name] for ours, name in rig.joints.items()}
    _require_chains(bvh, joints, tree)
    spine = _spine(bvh, joints, tree)
    joints |= {JOINT[ours]: index for ours, index in spine.items() if index is not None}
    ends = {}
    leg = _length(bvh, joints, ("left_hip", "left_knee", "left_ankle"))
    for ours, parent in _AT_END_SITES.items():
        place, above = JOINT[ours], joints.get(JOINT[parent])
        if place in joints or above is None:
            continue
        end = bvh.end_sites.get(bvh.names[above])
        if end is not None and float(end.norm()) > _SHORTEST_BONE * leg:
            ends[place] = above
    between = _between({*joints, *ends}, bvh, joints)
    source: list[int] = []
    for joint in range(NUM_JOINTS):
        source.append(joints.get(joint, ends.get(joint, source[PARENTS[joint]] if joint else 0)))
    return BodyPlan(joints, ends, between, tuple(source))


class _Tree:
    """Who hangs on whom in a file."""

    def __init__(self, names: Sequence[str], parents: Sequence[int]) -> None:
        self.index = {name: index for index, name in enumerate(names)}
        self.above: list[tuple[int, ...]] = []  # of each joint: itself, and up to the root
        for joint, parent in enumerate(parents):
            self.above.append((joint, *(self.above[parent] if parent >= 0 else ())))

    def meeting(self, *joints: int) -> int:
        """Return the lowest joint on which all of some hang."""
        shared = set.intersection(*(set(self.above[joint]) for joint in joints))
        return next(joint for joint in self.above[joints[0]] if joint in shared)


def _require_chains(bvh: BvhMotion, joints: Mapping[int, int], tree: _Tree) -> None:
    for side in SIDES:
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            theirs = [joints[JOINT[f"{side}_{name}"]] for name in chain]
            for upper, lower in pairwise(theirs):
                if upper not in tree.above[lower][1:]:
                    raise InputError(
                        f"{bvh.name}: {bvh.names[lower]} does not hang on {bvh.names[upper]}; "
                        f"wanted the {side} {chain[0]}, {chain[1]} and {chain[2]} in one chain"
                    )


def _spine(bvh: BvhMotion, joints: Mapping[int, int], tree: _Tree) -> dict[str, int | None]:
    """Return pelvis, spine and chest: where the legs meet, where arms and neck meet, between."""
    pelvis = tree.meeting(*(joints[JOINT[f"{side}_hip"]] for side in SIDES))
    arms = [
        joints.get(JOINT[f"{side}_collar"], joints[JOINT[f"{side}_shoulder"]]) for side in SIDES
    ]
    top = joints.get(JOINT["neck"], joints.get(JOINT["head"], -1))
    chest = tree.meeting(*arms, top)
    foot = tree.meeting(pelvis, chest)
    if chest == foot or chest in (*arms, top):
        raise InputError(
            f"{bvh.name}: arms and neck hang on {bvh.names[chest]}, as the legs do; wanted a "
            "spine between hips and chest"
        )
    chain = tree.above[chest][1 : tree.above[chest].index(foot)][::-1]
    spine1, spine2 = _two_of(chain, bvh, foot, chest)
    return {"pelvis": pelvis, "spine1": spine1, "spine2": spine2, "spine3": chest}


def _two_of(
    chain: Sequence[int], bvh: BvhMotion, foot: int, chest: int
) -> tuple[int | None, int | None]:
    """Return the joints of a spine that stand nearest to our two, as shares of its length."""
    if len(chain) < 2:
        return None, (chain[0] if chain else None)
    way = torch.tensor([float(bvh.offsets[joint].norm()) for joint in (*chain, chest)]).cumsum(0)
    shares = (way / way[-1].clamp_min(1e-9)).tolist()[:-1]
    offsets = default_skeleton().offsets
    ours = torch.stack([offsets[JOINT[name]].norm() for name in _SPINE[1:]]).cumsum(0)
    low, high = (ours / ours[-1]).tolist()[:2]
    pairs = [(a, b) for a in range(len(chain)) for b in range(a + 1, len(chain))]
    first, second = min(pairs, key=lambda p: abs(shares[p[0]] - low) + abs(shares[p[1]] - high))
    return chain[first], chain[second]


def _between(told: set[int], bvh: BvhMotion, joints: Mapping[int, int]) -> dict[int, Between]:
    """Return the joints of trunk and neck that a file leaves out but that our tree needs."""
    found: dict[int, Between] = {}
    pelvis, spine1, spine2, spine3 = (JOINT[name] for name in _SPINE)
    if spine2 not in told:
        found[spine1] = Between(pelvis, spine3, 1 / 3)
        found[spine2] = Between(pelvis, spine3, 2 / 3)
    elif spine1 not in told:
        found[spine1] = Between(pelvis, spine2, 1 / 2)
    offsets = default_skeleton().offsets
    chains = [("neck", "head"), *((f"{side}_collar", f"{side}_shoulder") for side in SIDES)]
    for lower, upper in chains:
        if JOINT[lower] not in told and JOINT[upper] in told:
            near, far = (float(offsets[JOINT[name]].norm()) for name in (lower, upper))
            found[JOINT[lower]] = Between(spine3, JOINT[upper], near / (near + far))
    return found


def _length(bvh: BvhMotion, joints: Mapping[int, int], chain: Sequence[str]) -> float:
    """Return how long a limb is in the pose without turns, file units."""
    rest = [torch.zeros(3)]
    for joint, parent in enumerate(bvh.parents[1:], start=1):
        rest.append(rest[parent] + bvh.offsets[joint])
    places = [rest[joints[JOINT[name]]] for name in chain]
    return sum(float((b - a).norm()) for a, b in pairwise(places))
