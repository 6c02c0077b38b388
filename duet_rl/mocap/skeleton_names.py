"""What the joints of other skeletons are called: a table by family, and who a file's joints are.

The table names limbs, neck and head. Pelvis, chest and spine follow from the tree: the legs meet
at the pelvis, arms and neck at the chest, and the spine is what lies between.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SIDES = ("left", "right")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_LEG, _ARM = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
_CMU_UNIT = 0.0254 / 0.45  # m; the database counts in units of an inch over 0.45
_CMU_RESCALED = 1.5  # m; so about was its 3dsmax release once rescaled by a publisher

# A name as it is compared: lower case, without what programs put before or between its words.
_PREFIX = re.compile(
    r"^(.*[:|]|mixamorig\d*_?|j_bip_(c_)?|bip0*\d*_?(?=.)|character\d*_|model_|def-|jnt_|joint_)"
)
_SUFFIX = re.compile(r"[\s_.]+(jnt|joint|bone)$")
_SEPARATORS = re.compile(r"[\s_.\-]+")


@dataclass(frozen=True)
class Family:
    """The names of one family of skeletons.

    In every name `{s}` stands for the side. Names are lower case, without separators and prefixes.

    Args:
        name: what to call it in messages.
        sides: how left and right are written.
        leg: hip, knee and ankle.
        arm: shoulder, elbow and wrist.
        toe, collar, neck, head: their names, the likeliest first.
        fingers: our finger -> the names of its three knuckles.
        units: metres per unit that files of the family are known to come in, beside the usual.
        marks: names that only this family has; a file with all of them is of it.
    """

    name: str
    sides: tuple[str, str]
    leg: tuple[str, str, str]
    arm: tuple[str, str, str]
    collar: tuple[str, ...]
    toe: tuple[str, ...] = ("{s}toe", "{s}toebase", "{s}toes")
    neck: tuple[str, ...] = ("neck", "neck1")
    head: tuple[str, ...] = ("head",)
    fingers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: tuple[float, ...] = ()
    marks: frozenset[str] = frozenset()

    def joints(self) -> dict[str, tuple[str, ...]]:
        """Return our joint -> the names that it may have."""
        found: dict[str, tuple[str, ...]] = {"neck": self.neck, "head": self.head}
        for side, theirs in zip(SIDES, self.sides, strict=True):
            limbs = {
                **{our: (name,) for our, name in zip(_LEG, self.leg, strict=True)},
                **{our: (name,) for our, name in zip(_ARM, self.arm, strict=True)},
                "foot": self.toe,
                "collar": self.collar,
                **{
                    f"{finger}{knuckle}": (name,)
                    for finger, names in self.fingers.items()
                    for knuckle, name in enumerate(names, start=1)
                },
            }
            found |= {
                f"{side}_{our}": tuple(name.format(s=theirs) for name in names)
                for our, names in limbs.items()
            }
        return found


@dataclass(frozen=True)
class Rig:
    """Which joints of a file are which of ours.

    Args:
        family: what kind of skeleton it is taken for.
        joints: our joint -> the name in the file, without pelvis and spine.
        units: metres per unit that such files are known to come in.
    """

    family: str
    joints: Mapping[str, str]
    units: tuple[float, ...] = ()


def _knuckles(
    pattern: str, names: Sequence[str], counts: Sequence[object]
) -> dict[str, tuple[str, ...]]:
    return {
        finger: tuple(pattern.format(s="{s}", f=name, k=count) for count in counts)
        for finger, name in zip(_FINGERS, names, strict=True)
    }


_LEFT_RIGHT = ("left", "right")
_L_R = ("l", "r")
# Mixamo, MotionBuilder, LAFAN1, Perception Neuron and the first CMU conversions share their names.
_HUMAN_IK = Family(
    "Mixamo / MotionBuilder / LAFAN1",
    _LEFT_RIGHT,
    leg=("{s}upleg", "{s}leg", "{s}foot"),
    arm=("{s}arm", "{s}forearm", "{s}hand"),
    collar=("{s}shoulder",),
    toe=("{s}toebase", "{s}toe"),
    fingers=_knuckles("{s}hand{f}{k}", _FINGERS, (1, 2, 3)),
)
_ROKOKO = Family(
    "Rokoko",
    _LEFT_RIGHT,
    leg=("{s}thigh", "{s}shin", "{s}foot"),
    arm=("{s}arm", "{s}forearm", "{s}hand"),
    collar=("{s}shoulder",),
    fingers={
        "thumb": ("{s}finger1metacarpal", "{s}finger1proximal", "{s}finger1distal"),
        **{
            finger: tuple(f"{{s}}finger{k}{part}" for part in ("proximal", "medial", "distal"))
            for k, finger in enumerate(_FINGERS[1:], start=2)
        },
    },
)
FAMILIES: tuple[Family, ...] = (
    Family(
        "CMU, cgspeed",  # the MotionBuilder-friendly release: as above, with joints of its own
        _LEFT_RIGHT,
        leg=_HUMAN_IK.leg,
        arm=_HUMAN_IK.arm,
        collar=_HUMAN_IK.collar,
        toe=("{s}toebase",),
        units=(_CMU_UNIT,),
        marks=frozenset({"lhipjoint", "rhipjoint", "lowerback"}),
    ),
    _HUMAN_IK,
    _ROKOKO,
    Family(
        "CMU, 3dsmax / Poser",
        _L_R,
        leg=("{s}thigh", "{s}shin", "{s}foot"),
        arm=("{s}shldr", "{s}forearm", "{s}hand"),
        collar=("{s}collar",),
        toe=("{s}toe", "{s}toes"),
        fingers=_knuckles("{s}{f}{k}", ("thumb", "index", "mid", "ring", "pinky"), (1, 2, 3)),
        units=(_CMU_UNIT, _CMU_RESCALED),
    ),
    Family(
        "CMU, ASF",
        _L_R,
        leg=("{s}femur", "{s}tibia", "{s}foot"),
        arm=("{s}humerus", "{s}radius", "{s}hand"),
        collar=("{s}clavicle",),
        toe=("{s}toes",),
        neck=("lowerneck", "neck"),
        units=(_CMU_UNIT,),
    ),
    Family(
        "SMPL",
        _LEFT_RIGHT,
        leg=("{s}hip", "{s}knee", "{s}ankle"),
        arm=("{s}shoulder", "{s}elbow", "{s}wrist"),
        collar=("{s}collar",),
        toe=("{s}foot",),
        fingers=_knuckles("{s}{f}{k}", _FINGERS, (1, 2, 3)),
    ),
    Family(
        "SMPL, L and R",
        _L_R,
        leg=("{s}hip", "{s}knee", "{s}ankle"),
        arm=("{s}shoulder", "{s}elbow", "{s}wrist"),
        collar=("{s}collar",),
        toe=("{s}foot", "{s}toe"),
    ),
    Family(
        "Truebones / Xsens",
        _LEFT_RIGHT,
        leg=("{s}hip", "{s}knee", "{s}ankle"),
        arm=("{s}shoulder", "{s}elbow", "{s}wrist"),
        collar=("{s}collar",),
        fingers=_knuckles("{s}finger{f}{k}", tuple("01234"), ("", 1, 2)),
    ),
    Family(
        "BVH of old",  # Biovision's own: UpLeg, LowLeg, UpArm, LowArm
        _LEFT_RIGHT,
        leg=("{s}upleg", "{s}lowleg", "{s}foot"),
        arm=("{s}uparm", "{s}lowarm", "{s}hand"),
        collar=("{s}collar",),
    ),
    Family(
        "Unity / VRM",
        _LEFT_RIGHT,
        leg=("{s}upperleg", "{s}lowerleg", "{s}foot"),
        arm=("{s}upperarm", "{s}lowerarm", "{s}hand"),
        collar=("{s}shoulder",),
        fingers={
            finger: tuple(f"{{s}}{theirs}{part}" for part in parts)
            for finger, theirs, parts in (
                ("thumb", "thumb", ("metacarpal", "proximal", "distal")),
                ("index", "index", ("proximal", "intermediate", "distal")),
                ("middle", "middle", ("proximal", "intermediate", "distal")),
                ("ring", "ring", ("proximal", "intermediate", "distal")),
                ("pinky", "little", ("proximal", "intermediate", "distal")),
            )
        },
    ),
    Family(
        "VRoid",
        _L_R,
        leg=("{s}upperleg", "{s}lowerleg", "{s}foot"),
        arm=("{s}upperarm", "{s}lowerarm", "{s}hand"),
        collar=("{s}shoulder",),
        toe=("{s}toebase", "{s}toes"),
    ),
    Family(
        "Kinect",
        _LEFT_RIGHT,
        leg=("hip{s}", "knee{s}", "ankle{s}"),
        arm=("shoulder{s}", "elbow{s}", "wrist{s}"),
        collar=("clavicle{s}",),
        toe=("foot{s}",),
    ),
    Family(
        "Bandai Namco",
        _L_R,
        leg=("upperleg{s}", "lowerleg{s}", "foot{s}"),
        arm=("upperarm{s}", "lowerarm{s}", "hand{s}"),
        collar=("shoulder{s}",),
        toe=("toes{s}", "toe{s}"),
    ),
    Family(
        "Unreal",
        _L_R,
        leg=("thigh{s}", "calf{s}", "foot{s}"),
        arm=("upperarm{s}", "lowerarm{s}", "hand{s}"),
        collar=("clavicle{s}",),
        toe=("ball{s}",),
        neck=("neck01", "neck"),
        fingers=_knuckles("{f}0{k}{s}", _FINGERS, (1, 2, 3)),
    ),
    Family(
        "Blender, Rigify",
        _L_R,
        leg=("thigh{s}", "shin{s}", "foot{s}"),
        arm=("upperarm{s}", "forearm{s}", "hand{s}"),
        collar=("shoulder{s}",),
        toe=("toe{s}",),
        neck=("neck", "spine004"),
        head=("head", "spine006"),
    ),
    Family(
        "3ds Max Biped",
        _L_R,
        leg=("{s}thigh", "{s}calf", "{s}foot"),
        arm=("{s}upperarm", "{s}forearm", "{s}hand"),
        collar=("{s}clavicle",),
        toe=("{s}toe0", "{s}toe"),
        fingers=_knuckles("{s}finger{f}{k}", tuple("01234"), ("", 1, 2)),
    ),
)
_NEEDED = tuple(f"{side}_{joint}" for side in SIDES for joint in (*_LEG, *_ARM))


def plain(name: str) -> str:
    """Return a name as the table has it: lower case, without prefix, separators and "joint"."""
    lower = name.strip().lower()
    cut = _SUFFIX.sub("", _PREFIX.sub("", lower))
    return _SEPARATORS.sub("", cut) or _SEPARATORS.sub("", lower)


def by_name(names: Sequence[str]) -> Rig | None:
    """Return who is who in a skeleton of a known family, or None if it is of none.

    Of several families whose limbs the file has, it is the one with most names in common.
    """
    theirs = {plain(name): name for name in reversed(names)}
    rigs = []
    for family in FAMILIES:
        found = _found(family, theirs)
        if all(joint in found for joint in _NEEDED) and ("neck" in found or "head" in found):
            marked = bool(family.marks) and family.marks <= set(theirs)
            if marked or not family.marks:
                rigs.append((marked, len(found), Rig(family.name, found, family.units)))
    return max(rigs, key=lambda rig: rig[:2], default=(False, 0, None))[2]


def by_some_names(names: Sequence[str], known: Rig) -> Rig:
    """Return who is who with what a family's names add to a rig that was found in another way.

    They count if the family and the rig agree about most limbs.
    """
    theirs = {plain(name): name for name in reversed(names)}
    found = _found(_likeliest(theirs), theirs)
    agreed = sum(found.get(joint) == known.joints[joint] for joint in _NEEDED)
    if 2 * agreed <= len(_NEEDED):
        return known
    taken = set(known.joints.values())
    more = {ours: name for ours, name in found.items() if name not in taken}
    return Rig(known.family, {**more, **known.joints}, known.units)


def nearest(names: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Return the family that has most of some names, which of its limbs are there, which not."""
    theirs = {plain(name): name for name in names}
    family = _likeliest(theirs)
    found, wanted = _found(family, theirs), family.joints()
    there = [found[joint] for joint in _NEEDED if joint in found]
    return family.name, there, [wanted[joint][0] for joint in _NEEDED if joint not in found]


def _likeliest(theirs: Mapping[str, str]) -> Family:
    """Return the family with most of its limbs among some names, and then most of its joints."""

    def shared(family: Family) -> tuple[int, int]:
        found = _found(family, theirs)
        return len(set(found) & set(_NEEDED)), len(found)

    return max(FAMILIES, key=shared)


def _found(family: Family, theirs: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for ours, synonyms in family.joints().items():
        name = next((name for name in synonyms if name in theirs), None)
        if name is not None:
            found[ours] = theirs[name]
    return found
