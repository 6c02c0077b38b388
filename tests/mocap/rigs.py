"""Made-up takes in the hierarchies of other programs: one known figure behind all of them.

A rig lists the joints of a skeleton with the joint of ours at the same place. The pose in which
its file has no turns is chosen at will: the file then says the same dance by other numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from duet_rl.body.heading import unwrap
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import (
    axis_angle_to_matrix,
    matrix_to_euler,
    rotation_between,
    yaw_matrix,
)
from duet_rl.body.skeleton import CHILDREN, JOINT, default_skeleton
from duet_rl.mocap.smpl_fit import standing_height

SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_EVERY = 0.6  # s of the period of the slowest sway


@dataclass(frozen=True)
class Bone:
    """A joint of a file: at the place of ours, or between two of ours, and turning with one."""

    name: str
    parent: str | None
    at: str
    to: str = ""
    share: float = 0.0
    turns: str = ""


@dataclass(frozen=True)
class Made:
    """How a take is written."""

    bones: Sequence[Bone]
    rest: str = "T"  # a key of RESTS
    unit: float = 0.01  # m
    up: str = "y"
    order: str = "ZXY"  # of the rotation channels
    fps: float = 60.0
    places: str = "root"  # "root", "offsets", "zeros" or "moving"
    ends: dict[str, str] = field(default_factory=dict)  # joint of the file -> ours at its end site


def figure(
    frames: int = 90, fps: float = 60.0, yaw: float = 2.5, still: Sequence[str] = ()
) -> Motion:
    """A person who sways in every joint but the still ones, turns, and keeps a foot down."""
    generator = torch.Generator().manual_seed(3)
    time = torch.arange(frames) / fps
    size = torch.full((55,), 0.25)
    size[[JOINT[f"{side}_{name}"] for side in SIDES for name in ("shoulder", "hip")]] = 0.5
    size[[JOINT[name] for name in still]] = 0.0
    phase = 6.28 * torch.rand(55, 3, generator=generator)
    speed = (1 + torch.rand(55, 3, generator=generator)) / _EVERY
    angles = size[:, None] * torch.sin(speed * time[:, None, None] + phase)
    bend = torch.zeros(55, 3)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        bend[JOINT[f"{side}_knee"], 0] = 0.5
        bend[JOINT[f"{side}_hip"], 0] = -0.3
        bend[JOINT[f"{side}_elbow"], 1] = -0.9 * sign
        bend[JOINT[f"{side}_shoulder"], 2] = -0.9 * sign
    rotations = axis_angle_to_matrix(angles + bend)
    rotations[:, 0] = yaw_matrix(yaw + 0.8 * time) @ axis_angle_to_matrix(0.4 * angles[:, 0])
    skeleton = default_skeleton()
    still = Motion.from_rotations(torch.zeros(frames, 3), rotations, skeleton, fps)
    height = standing_height(still.joints, skeleton.offsets)
    root = torch.stack([0.3 * time, height, 0.5 - 0.2 * time], dim=1)
    return Motion.from_rotations(root, rotations, skeleton, fps)


def write_rig(path: Path, motion: Motion, made: Made) -> None:
    """Write the figure's dance as a BVH file of another skeleton."""
    world = _z_up() if made.up == "z" else torch.eye(3)
    pose = forward_kinematics(motion.rotations, motion.root, motion.skeleton.offsets)
    turned = world @ pose.global_rotations
    joints = pose.joints @ world.mT / made.unit
    rest = RESTS[made.rest](motion)  # what is I in the file is this in ours
    rows: dict[str, Tensor] = {}
    places: dict[str, Tensor] = {}
    for bone in made.bones:
        own = JOINT[bone.turns or bone.at]
        places[bone.name] = joints[:, JOINT[bone.at]]
        if bone.to:
            places[bone.name] = torch.lerp(places[bone.name], joints[:, JOINT[bone.to]], bone.share)
        rows[bone.name] = turned[:, own] @ (world @ rest[own]).mT
    offsets = {}
    for bone in made.bones:
        if bone.parent is None:
            offsets[bone.name] = torch.zeros(len(joints), 3)
        else:
            way = places[bone.name] - places[bone.parent]
            offsets[bone.name] = (rows[bone.parent].mT @ way[..., None]).squeeze(-1)
    lines = ["HIERARCHY"]
    order: list[Bone] = []
    ends = {
        name: (rows[name].mT @ (joints[:, JOINT[ours]] - places[name])[..., None]).squeeze(-1)[0]
        for name, ours in made.ends.items()
    }
    _write(lines, order, made, offsets, ends, made.bones[0], 0)
    columns = []
    for bone in order:
        moves = offsets[bone.name]
        if bone.parent is None:
            columns.append(places[bone.name])
        elif made.places != "root":
            columns.append(moves * 0 if made.places == "zeros" else moves)
        above = rows[bone.parent].mT if bone.parent else torch.eye(3)
        euler = matrix_to_euler((above @ rows[bone.name]).double(), made.order)
        columns.append(unwrap(euler.T).T.rad2deg())
    values = torch.cat(columns, dim=1)
    lines += ["MOTION", f"Frames: {len(values)}", f"Frame Time: {1 / made.fps:.7f}"]
    lines += [" ".join(f"{v:.6f}" for v in row) for row in values.tolist()]
    path.write_text("\n".join(lines) + "\n")


def _write(
    lines: list[str],
    order: list[Bone],
    made: Made,
    offsets: dict[str, Tensor],
    ends: dict[str, Tensor],
    bone: Bone,
    depth: int,
) -> None:
    order.append(bone)
    tabs = "\t" * depth
    rotation = " ".join(f"{axis}rotation" for axis in made.order)
    six = bone.parent is None or made.places != "root"
    channels = f"6 Xposition Yposition Zposition {rotation}" if six else f"3 {rotation}"
    lines += [f"{tabs}{'JOINT' if depth else 'ROOT'} {bone.name}", tabs + "{"]
    offset = offsets[bone.name].mean(0)
    lines += [f"{tabs}\tOFFSET {_xyz(offset)}", f"{tabs}\tCHANNELS {channels}"]
    below = [child for child in made.bones if child.parent == bone.name]
    for child in below:
        _write(lines, order, made, offsets, ends, child, depth + 1)
    if bone.name in ends or not below:
        end = ends.get(bone.name, torch.zeros(3))
        lines += [f"{tabs}\tEnd Site", f"{tabs}\t" + "{", f"{tabs}\t\tOFFSET {_xyz(end)}"]
        lines.append(f"{tabs}\t" + "}")
    lines.append(tabs + "}")


def _xyz(vector: Tensor) -> str:
    return " ".join(f"{value:.6f}" for value in vector.tolist())


def _z_up() -> Tensor:
    return torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def _arms(angle: float) -> Callable[[Motion], Tensor]:
    """A rest pose with the arms lowered by some radians, and the forearms a little forwards."""

    def rest(motion: Motion) -> Tensor:
        local = torch.zeros(55, 3)
        for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
            local[JOINT[f"{side}_shoulder"], 2] = -angle * sign
            local[JOINT[f"{side}_elbow"], 1] = -0.15 * sign
            local[JOINT[f"{side}_hip"], 2] = 0.05 * sign
        turns = axis_angle_to_matrix(local)
        pose = forward_kinematics(turns, torch.zeros(3), motion.skeleton.offsets)
        return pose.global_rotations

    return rest


def _along_x(motion: Motion) -> Tensor:
    """No pose of a person: every bone points along +X."""
    offsets = motion.skeleton.offsets
    turns = torch.eye(3).repeat(55, 1, 1)
    for joint, children in enumerate(CHILDREN):
        bone = offsets[children[-1]] if children else offsets[joint]
        turns[joint] = rotation_between(bone, torch.tensor([1.0, 0.0, 0.0]))
    return turns


def _facing(yaw: float) -> Callable[[Motion], Tensor]:
    return lambda motion: yaw_matrix(torch.tensor(yaw)) @ _arms(0.0)(motion)


RESTS: dict[str, Callable[[Motion], Tensor]] = {
    "T": _arms(0.0),
    "A": _arms(0.8),
    "down": _arms(1.5),
    "along x": _along_x,
    "T, facing back": _facing(3.1),
}


def chain(parent: str | None, *pairs: tuple[str, str]) -> list[Bone]:
    """Bones that hang on each other: (name in the file, our joint)."""
    bones = []
    for name, ours in pairs:
        bones.append(Bone(name, parent, ours))
        parent = name
    return bones


def person(
    spine: Sequence[Bone],
    leg: Sequence[str],
    arm: Sequence[str],
    head: Sequence[tuple[str, str]],
    sides: Sequence[str] = ("Left", "Right"),
    fingers: dict[str, Sequence[str]] | None = None,
) -> list[Bone]:
    """The bones of a common skeleton.

    Args:
        spine: from the root to the chest.
        leg: hip to toes, `{s}` for the side.
        arm: collar to wrist; the collar may be "".
        head: neck and above: (name in the file, our joint).
        sides: how left and right are written.
        fingers: our finger -> names of its knuckles.
    """
    pelvis = next(bone.name for bone in spine if bone.at == "pelvis" and not bone.to)
    chest = spine[-1].name
    bones = [*spine, *chain(chest, *head)]
    for side, theirs in zip(SIDES, sides, strict=True):
        legs = zip(leg, ("hip", "knee", "ankle", "foot"), strict=False)
        bones += chain(pelvis, *((name.format(s=theirs), f"{side}_{ours}") for name, ours in legs))
        arms = list(zip(arm, ("collar", "shoulder", "elbow", "wrist"), strict=True))
        named = [(name.format(s=theirs), f"{side}_{ours}") for name, ours in arms if name]
        bones += chain(chest, *named)
        for finger, names in (fingers or {}).items():
            knuckles = enumerate(names, start=1)
            pairs = [(name.format(s=theirs), f"{side}_{finger}{k}") for k, name in knuckles]
            bones += chain(named[-1][0], *pairs)
    return bones
