"""Skeletons of other programs: whatever the rest pose, the dance stays where it is."""

import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import matrix_to_axis_angle, wrap_angle
from duet_rl.body.skeleton import JOINT
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import read_bvh
from duet_rl.mocap.motion_file import MotionFile, read_motion
from duet_rl.mocap.skeleton_match import by_structure
from tests.mocap.rigs import SIDES, Bone, Made, chain, figure, person, write_rig

NEAR = 0.01  # m
COLLARS = ("left_collar", "right_collar")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
NECK_HEAD = [("Neck", "neck"), ("Head", "head")]


def three(*names: str) -> list[Bone]:
    """A root at the hips and a spine of three joints where ours are."""
    return chain(None, *zip(names, ("pelvis", "spine1", "spine2", "spine3"), strict=True))


def named(prefix: str, bones: list[Bone]) -> list[Bone]:
    return [
        Bone(prefix + b.name, b.parent and prefix + b.parent, b.at, b.to, b.share, b.turns)
        for b in bones
    ]


HUMAN_IK = {
    "leg": ("{s}UpLeg", "{s}Leg", "{s}Foot", "{s}ToeBase"),
    "arm": ("{s}Shoulder", "{s}Arm", "{s}ForeArm", "{s}Hand"),
    "head": NECK_HEAD,
}
MIXAMO = person(
    three("Hips", "Spine", "Spine1", "Spine2"),
    **HUMAN_IK,
    fingers={f: [f"{{s}}Hand{f.title()}{k}" for k in (1, 2, 3)] for f in FINGERS},
)
LAFAN = person(
    three("Hips", "Spine", "Spine1", "Spine2"),
    **{**HUMAN_IK, "leg": ("{s}UpLeg", "{s}Leg", "{s}Foot", "{s}Toe")},
)
FIVE_SPINES = [
    Bone("Root", None, "pelvis", "left_hip", 1e-3, "pelvis"),
    Bone("Hips", "Root", "pelvis"),
    Bone("Spine1", "Hips", "pelvis", "spine1", 0.5, "pelvis"),
    *chain("Spine1", ("Spine2", "spine1"), ("Spine3", "spine2"), ("Spine4", "spine3")),
]
ROKOKO = person(
    FIVE_SPINES,
    leg=("{s}Thigh", "{s}Shin", "{s}Foot", "{s}Toe"),
    arm=("{s}Shoulder", "{s}Arm", "{s}ForeArm", "{s}Hand"),
    head=NECK_HEAD,
    fingers={
        "thumb": ("{s}Finger1Metacarpal", "{s}Finger1Proximal", "{s}Finger1Distal"),
        **{
            f: [f"{{s}}Finger{k}{part}" for part in ("Proximal", "Medial", "Distal")]
            for k, f in enumerate(FINGERS[1:], start=2)
        },
    },
)
CGSPEED = [
    *person(
        three("Hips", "LowerBack", "Spine", "Spine1"),
        **{**HUMAN_IK, "leg": (), "head": [("Neck", "neck"), ("Neck1", "head")]},
    ),
    *chain("Neck1", ("Head", "jaw")),
    *(
        bone
        for side, letter in zip(("Left", "Right"), "LR", strict=True)
        for bone in (
            Bone(f"{letter}HipJoint", "Hips", "pelvis"),
            *chain(
                f"{letter}HipJoint",
                *zip(
                    (f"{side}UpLeg", f"{side}Leg", f"{side}Foot", f"{side}ToeBase"),
                    (f"{side.lower()}_{j}" for j in ("hip", "knee", "ankle", "foot")),
                    strict=True,
                ),
            ),
            Bone(f"{letter}Thumb", f"{side}Hand", f"{side.lower()}_thumb1"),
        )
    ),
]
ASF = person(
    three("root", "lowerback", "upperback", "thorax"),
    leg=("{s}femur", "{s}tibia", "{s}foot", "{s}toes"),
    arm=("{s}clavicle", "{s}humerus", "{s}radius", "{s}hand"),
    head=[("lowerneck", "neck"), ("head", "head")],
    sides="lr",
)
XSENS = person(
    [
        Bone("Hips", None, "pelvis"),
        Bone("Chest", "Hips", "pelvis", "spine1", 0.4, "pelvis"),
        *chain("Chest", ("Chest2", "spine1"), ("Chest3", "spine2"), ("Chest4", "spine3")),
    ],
    leg=("{s}Hip", "{s}Knee", "{s}Ankle", "{s}Toe"),
    arm=("{s}Collar", "{s}Shoulder", "{s}Elbow", "{s}Wrist"),
    head=NECK_HEAD,
)
SMPL = person(
    three("Pelvis", "Spine1", "Spine2", "Spine3"),
    leg=("{s}_Hip", "{s}_Knee", "{s}_Ankle", "{s}_Foot"),
    arm=("{s}_Collar", "{s}_Shoulder", "{s}_Elbow", "{s}_Wrist"),
    head=NECK_HEAD,
    sides="LR",
)
UNREAL = person(
    [
        Bone("root", None, "pelvis", "left_hip", 1e-3, "pelvis"),
        *chain("root", ("pelvis", "pelvis"), ("spine_01", "spine1"), ("spine_02", "spine2")),
        *chain("spine_02", ("spine_03", "spine3")),
    ],
    leg=("thigh_{s}", "calf_{s}", "foot_{s}", "ball_{s}"),
    arm=("clavicle_{s}", "upperarm_{s}", "lowerarm_{s}", "hand_{s}"),
    head=[("neck_01", "neck"), ("head", "head")],
    sides="lr",
    fingers={f: [f"{f}_0{k}_{{s}}" for k in (1, 2, 3)] for f in FINGERS},
)
BIPED = [
    *person(
        three("Bip01", "Bip01 Spine", "Bip01 Spine1", "Bip01 Spine2"),
        leg=("Bip01 {s} Thigh", "Bip01 {s} Calf", "Bip01 {s} Foot", "Bip01 {s} Toe0"),
        arm=("Bip01 {s} Clavicle", "Bip01 {s} UpperArm", "Bip01 {s} Forearm", "Bip01 {s} Hand"),
        head=[("Bip01 Neck", "neck"), ("Bip01 Head", "head")],
        sides="LR",
    ),
    *(  # a twist joint half way down each forearm, which turns with the hand
        Bone(
            f"Bip01 {s} ForeTwist",
            f"Bip01 {s} Forearm",
            f"{side}_elbow",
            f"{side}_wrist",
            0.5,
            f"{side}_wrist",
        )
        for s, side in zip("LR", SIDES, strict=True)
    ),
]
NAMELESS = [
    Bone(
        f"joint{list(dict.fromkeys(b.name for b in LAFAN)).index(b.name):02d}x",
        b.parent and f"joint{[c.name for c in LAFAN].index(b.parent):02d}x",
        b.at,
    )
    for b in LAFAN
]
NO_COLLAR_NO_TOES = person(
    chain(None, ("Hips", "pelvis"), ("Spine", "spine1"), ("Chest", "spine2"), ("Top", "spine3")),
    leg=("{s}UpperLeg", "{s}LowerLeg", "{s}Foot"),
    arm=("", "{s}UpperArm", "{s}LowerArm", "{s}Hand"),
    head=NECK_HEAD,
)

RIGS: dict[str, tuple[Made, str, tuple[str, ...]]] = {
    # what is written, the family it is taken for, our joints that the file does not tell
    "Mixamo": (
        Made(named("mixamorig:", MIXAMO), "T", order="XYZ", places="offsets"),
        "Mixamo",
        (),
    ),
    "Mixamo without prefix": (Made(MIXAMO, "A"), "Mixamo", ()),
    "LAFAN1": (Made(LAFAN, "along x", order="ZYX", fps=30), "LAFAN1", ()),
    "Rokoko": (Made(ROKOKO, "T", unit=0.01, order="YXZ", fps=100), "Rokoko", ()),
    "CMU, cgspeed": (Made(CGSPEED, "T", unit=0.0254 / 0.45, fps=120), "cgspeed", ("head",)),
    "CMU, ASF": (Made(ASF, "down", unit=0.0254 / 0.45, fps=120), "ASF", ()),
    "Xsens": (Made(XSENS, "T", unit=0.01, order="YXZ", fps=240), "Xsens", ()),
    "SMPL": (Made(SMPL, "down", unit=1.0, up="z", fps=30), "SMPL, L", ()),
    "Unreal": (Made(UNREAL, "A", up="z", places="moving"), "Unreal", ()),
    "Biped": (Made(BIPED, "T, facing back", unit=0.0254, up="z", places="zeros"), "Biped", ()),
    "nameless": (Made(NAMELESS, "down", unit=1.0), "by structure", ()),
    "no collars, no toes": (
        Made(
            NO_COLLAR_NO_TOES,
            "T",
            unit=0.001,
            ends={f"{s}Foot": f"{s.lower()}_foot" for s in ("Left", "Right")},
        ),
        "Unity",
        (),
    ),
}
ORIENTED = ("pelvis", "spine3", "head", "left_elbow", "right_wrist", "left_ankle")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What each rig's file was taken for, and the figure that it shows, at the file's rate."""
    folder = tmp_path_factory.mktemp("rigs")
    known = {}

    def of(name: str, **settings) -> tuple[MotionFile, object]:
        made = RIGS[name][0]
        key = (name, *settings.items())
        if key not in known:
            collars = () if any("collar" in b.at for b in made.bones) else COLLARS
            seconds = 8 if made.rest == "along x" else 1.5
            motion = figure(frames=int(seconds * made.fps), fps=made.fps, still=collars)
            path = folder / f"{name}.bvh"
            write_rig(path, motion, made)
            known[key] = read_motion(path, rate=None, **settings), motion
        return known[key]

    return of


def angle(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return matrix_to_axis_angle(one.mT @ other).norm(dim=-1).rad2deg()


@pytest.mark.parametrize("name", RIGS)
def test_every_joint_that_a_file_tells_of_stays_where_it_is(read, name):
    made, family, untold = RIGS[name]
    taken, motion = read(name)
    assert family in taken.found.family and not taken.warnings[1:]
    assert taken.found.scale == pytest.approx(made.unit) and taken.found.up == made.up
    assert taken.found.fps == made.fps and taken.motion.frames == motion.frames
    told = {bone.at for bone in made.bones if not bone.to} | set(made.ends.values())
    for joint in sorted(told - set(untold) - {"jaw"}):
        off = (taken.motion.joints - motion.joints)[:, JOINT[joint]].norm(dim=-1).max()
        assert off < NEAR, f"{joint} is {100 * off:.1f} cm off"


@pytest.mark.parametrize("name", RIGS)
def test_a_body_turns_as_the_figure_does(read, name):
    taken, motion = read(name)
    turned, true = (
        forward_kinematics(m.rotations, m.root, m.skeleton.offsets).global_rotations
        for m in (taken.motion, motion)
    )
    # Where the file's own pose is no person's, the dance itself has to tell what is straight.
    limit = 12 if RIGS[name][0].rest == "along x" else 1
    for joint in sorted({*ORIENTED} - {*RIGS[name][2]}):
        off = angle(turned[:, JOINT[joint]], true[:, JOINT[joint]]).mean()
        assert off < limit, f"{joint} is turned by {off:.0f} degrees"
    facing = wrap_angle(facing_angle(taken.motion.joints) - facing_angle(motion.joints))
    assert facing.abs().max() < 0.02
    assert abs(taken.found.facing) > 120, "it faces away"


@pytest.mark.parametrize("name", RIGS)
def test_structure_finds_the_limbs_that_names_find(tmp_path, name):
    made = RIGS[name][0]
    write_rig(tmp_path / "take.bvh", figure(frames=30, still=COLLARS), made)
    sample = read_bvh(tmp_path / "take.bvh")
    found = by_structure(sample)
    at = {bone.name: bone.at for bone in made.bones if not bone.to}
    assert found is not None and len(found.joints) >= 14
    told = {joint: theirs for joint, theirs in found.joints.items() if joint != "head"}
    assert {joint: at[theirs] for joint, theirs in told.items()} == {joint: joint for joint in told}


def test_bones_that_stretch_are_told_and_the_joints_stay_near(tmp_path):
    motion = figure()
    made = Made(NO_COLLAR_NO_TOES, "T", unit=1.0, places="moving")  # the collars sway unseen
    write_rig(tmp_path / "stretch.bvh", motion, made)
    taken = read_motion(tmp_path / "stretch.bvh", rate=None)
    off = (taken.motion.joints - motion.joints)[:, JOINT["left_wrist"]].norm(dim=-1)
    assert 0.02 < off.max() < 0.1 and any("joints are up to" in w for w in taken.warnings)


def test_sides_that_are_exchanged_are_told(tmp_path):
    swap = {"Left": "Right", "Right": "Left"}

    def other(name: str | None) -> str | None:
        side = next((side for side in swap if name and name.startswith(side)), None)
        return name if side is None or name is None else swap[side] + name.removeprefix(side)

    bones = [Bone(other(b.name) or "", other(b.parent), b.at) for b in LAFAN]
    write_rig(tmp_path / "swapped.bvh", figure(), Made(bones))
    assert any("exchanged" in w for w in read_motion(tmp_path / "swapped.bvh").warnings)
    write_rig(tmp_path / "right.bvh", figure(), Made(LAFAN))
    assert not read_motion(tmp_path / "right.bvh").warnings


def test_a_skeleton_of_no_person_is_refused_with_what_was_recognised(tmp_path):
    bones = [b for b in LAFAN if not b.name.startswith("Right") or "Leg" in b.name]
    write_rig(tmp_path / "half.bvh", figure(frames=4), Made(bones))
    with pytest.raises(InputError, match="half: no person is recognised") as caught:
        read_motion(tmp_path / "half.bvh")
    message = str(caught.value)
    assert "recognised LeftUpLeg, LeftLeg, LeftFoot" in message and "\n" not in message
    assert "missing rightfoot, rightarm, rightforearm, righthand" in message


def test_one_foreign_name_costs_no_fingers(tmp_path):
    motion = figure(frames=40)
    odd = {"LeftLeg": "LinkesKnie"}
    bones = [
        Bone(odd.get(b.name, b.name), b.parent and odd.get(b.parent, b.parent), b.at)
        for b in MIXAMO
    ]
    write_rig(tmp_path / "odd.bvh", motion, Made(bones))
    taken = read_motion(tmp_path / "odd.bvh", rate=None)
    assert taken.found.joints["left_knee"] == "LinkesKnie" and not taken.found.left_out
    assert (taken.motion.joints - motion.joints)[:, 25:].norm(dim=-1).max() < NEAR
    assert any("left_knee: LinkesKnie" in warning for warning in taken.warnings)


def test_limbs_that_hang_together_otherwise_are_refused(tmp_path):
    moved = {"LeftLeg": "Hips"}
    bones = [Bone(b.name, moved.get(b.name, b.parent), b.at) for b in LAFAN]
    write_rig(tmp_path / "odd.bvh", figure(frames=4), Made(bones, places="moving"))
    with pytest.raises(InputError, match="LeftLeg does not hang on LeftUpLeg"):
        read_motion(tmp_path / "odd.bvh")
