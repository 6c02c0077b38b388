"""BVH files: any hierarchy in, our 55 joints out. Rotations are copied, never solved for."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import unwrap
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import euler_to_matrix, matrix_to_euler, wrap_angle
from duet_rl.body.skeleton import CHILDREN, JOINT_NAMES, Skeleton
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.mocap.bvh_file import BvhFile, BvhJoint, open_bvh

_ORDER = "ZXY"  # rotation channels that we write
_END_SITE = 0.7  # length of an end site we write, as a share of the bone before it
_FIXED = 1e-3  # file units; a position channel that strays less from its offset says nothing new


@dataclass(frozen=True, eq=False)
class BvhMotion:
    """A BVH file in metres and matrices, with the joints of the file in the order of the file.

    Args:
        name: the file's stem, for messages.
        names: joint names, `J` of them; the root is the first.
        parents: index of each joint's parent, -1 for the root; parents come first.
        offsets: joint minus its parent in the file's rest pose, `(J, 3)`, metres; zero for the
            root, whose place is in `root`.
        end_sites: the end site of each leaf, seen from the leaf, metres.
        rotations: each joint relative to its parent, `(T, J, 3, 3)`.
        root: world position of the root, `(T, 3)`, metres.
        fps: frames per second.
        moves: `offsets` frame by frame, `(T, J, 3)`, metres, where bones change; else None.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[Tensor, "J 3"]
    end_sites: dict[str, Float[Tensor, "3"]]
    rotations: Float[Tensor, "T J 3 3"]
    root: Float[Tensor, "T 3"]
    fps: float
    moves: Float[Tensor, "T J 3"] | None = None

    def pose(self) -> tuple[Float[Tensor, "T J 3"], Float[Tensor, "T J 3 3"]]:
        """Return world positions (metres) and global rotations of the file's own joints."""
        places, turns = [self.root], [self.rotations[:, 0]]
        for joint, parent in enumerate(self.parents[1:], start=1):
            bone = self.offsets[joint] if self.moves is None else self.moves[:, joint, :, None]
            turned = turns[parent] @ bone
            places.append(places[parent] + (turned if self.moves is None else turned.squeeze(-1)))
            turns.append(turns[parent] @ self.rotations[:, joint])
        return torch.stack(places, dim=1), torch.stack(turns, dim=1)


def read_bvh(
    path: Path | str,
    fps: float | None = None,
    scale: float = 1.0,
    person: int | str | None = None,
) -> BvhMotion:
    """Return the motion in a BVH file.

    The root's position channels are taken as its place in the world, without its offset, as
    animation programs do.

    Args:
        path: the file.
        fps: true frames per second, where the header's frame time is wrong.
        scale: metres per unit of the file; 0.01 for centimetres.
        person: of a file with several, one by number (from 1) or by the name of the root.

    Raises:
        InputError: no such file, a damaged or truncated one, NaN, or channels that we cannot read.
    """
    for name, value in (("fps", fps), ("scale", scale)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value} for {Path(path).name}; wanted a number above 0")
    return BvhReader(open_bvh(path), person, fps, scale).frames()


class BvhReader:
    """One person of a BVH file, whose frames are made into matrices as they are asked for."""

    def __init__(
        self,
        file: BvhFile,
        person: int | str | None = None,
        fps: float | None = None,
        scale: float = 1.0,
    ) -> None:
        self.fps = float(fps or file.fps)
        self.count = len(file.values)
        self._file, self._scale = file, scale
        self._joints = file.person(person)
        self._offsets, self._movers = _bones(file, self._joints)

    @property
    def has_places(self) -> bool:
        """Whether the file says where the root is."""
        return bool(_columns(self._joints[0], "position"))

    def scaled(self, scale: float) -> "BvhReader":
        """Return the reader of the same person with other units; metres per unit of the file."""
        other = copy(self)
        other._scale = scale
        return other

    def frames(self, which: slice | Sequence[int] = slice(None)) -> BvhMotion:
        """Return some frames, all by default."""
        values = self._file.values[which if isinstance(which, slice) else list(which)]
        joints, scale = self._joints, self._scale
        places = _columns(joints[0], "position")
        root = torch.zeros(len(values), 3, dtype=torch.float64)
        if places:
            root = torch.from_numpy(values[:, places])
        moves = None
        if self._movers:
            moves = (self._offsets * scale).float().repeat(len(values), 1, 1)
            for joint, added in self._movers.items():
                place = torch.from_numpy(values[:, _columns(joints[joint], "position")])
                place = place + self._offsets[joint] if added else place
                moves[:, joint] = (place * scale).float()
        return BvhMotion(
            name=self._file.path.stem,
            names=tuple(joint.name for joint in joints),
            parents=tuple(joint.parent for joint in joints),
            offsets=(self._offsets * scale).float(),
            end_sites={
                joint.name: torch.tensor(joint.end_site) * scale
                for joint in joints
                if joint.end_site is not None
            },
            rotations=_rotations(values, joints).float(),
            root=(root * scale).float(),
            fps=self.fps,
            moves=moves,
        )


def write_bvh(path: Path | str, motion: Motion, scale: float = 1.0) -> None:
    """Write a motion as BVH: 55 joints, six channels for the pelvis and three (ZXY) for the rest.

    Args:
        path: the file; it appears whole or not at all.
        motion: what to write.
        scale: metres per unit of the file; 0.01 writes centimetres. Read it back with the same.
    """
    lines = ["HIERARCHY"]
    order: list[int] = []
    _write_joint(lines, order, motion.skeleton.offsets.double() / scale, joint=0, depth=0)
    lines += ["MOTION", f"Frames: {motion.frames}", f"Frame Time: {1 / motion.fps:.10f}"]
    angles = _without_flips(matrix_to_euler(motion.rotations[:, order].double(), _ORDER))
    angles = unwrap(angles.movedim(0, -1)).movedim(-1, 0).rad2deg()  # no jumps of 360 degrees
    values = torch.cat([motion.root.double() / scale, angles.flatten(1)], dim=1)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write("\n".join(lines) + "\n")
        np.savetxt(file, values.cpu().numpy(), fmt="%.6f")


def has_our_joints(bvh: BvhMotion) -> bool:
    """Return whether the file names exactly our 55 joints."""
    return len(bvh.names) == len(JOINT_NAMES) and set(bvh.names) == set(JOINT_NAMES)


def bvh_to_motion(bvh: BvhMotion) -> Motion:
    """Return the motion in a file of our own 55 joints.

    Raises:
        InputError: a joint hangs from another parent than ours does.
    """
    order = [bvh.names.index(name) for name in JOINT_NAMES]
    for joint, children in enumerate(CHILDREN):
        for child in children:
            found = bvh.names[bvh.parents[order[child]]]
            if found != JOINT_NAMES[joint]:
                raise InputError(
                    f"{bvh.name}: {JOINT_NAMES[child]} hangs from {found}, wanted "
                    f"{JOINT_NAMES[joint]}; keep the hierarchy that was exported"
                )
    skeleton = Skeleton(bvh.offsets[order], name=bvh.name)
    return Motion.from_rotations(bvh.root, bvh.rotations[:, order], skeleton, bvh.fps)


def _without_flips(angles: Float[Tensor, "T J 3"]) -> Float[Tensor, "T J 3"]:
    """Return the same turns by the angles nearest to those of the frame before, up to whole turns.

    Every turn is told in two ways, (a, b, c) and (a + pi, pi - b, c + pi). Where a limb passes the
    pole at b = pi / 2, who stays with small b jumps by half a turn in a and c, and programs that
    draw more pictures than there are frames show a limb that whirls round.
    """
    first, middle, last = angles.unbind(-1)
    other = torch.stack([first + math.pi, math.pi - middle, last + math.pi], dim=-1)
    stays = wrap_angle(angles[1:] - angles[:-1]).abs().sum(-1)
    flips = wrap_angle(other[1:] - angles[:-1]).abs().sum(-1)
    odd = torch.nn.functional.pad((flips < stays).cumsum(0) % 2, (0, 0, 1, 0)).bool()
    return torch.where(odd[..., None], other, angles)


def _bones(file: BvhFile, joints: Sequence[BvhJoint]) -> tuple[Tensor, dict[int, bool]]:
    """Return the bone to each joint, `(J, 3)` file units, and which joints move along theirs.

    A joint may have position channels that repeat its offset, that are added to it, or that move
    it; of the movers it is told whether their channels are added.
    """
    offsets = torch.tensor([joint.offset for joint in joints], dtype=torch.float64)
    offsets[0] = 0
    movers: dict[int, bool] = {}
    for number, joint in enumerate(joints[1:], start=1):
        columns = _columns(joint, "position")
        if not columns:
            continue
        places = torch.from_numpy(file.values[:, columns])
        middle = places.mean(0)
        # Some programs write the place itself, some what is added to the offset.
        added = bool(middle.norm() < (middle - offsets[number]).norm())
        if (places - middle).abs().max() > _FIXED:
            movers[number] = added
        else:
            offsets[number] = middle + offsets[number] if added else middle
    return offsets, movers


def _columns(joint: BvhJoint, kind: str) -> list[int]:
    """Return where X, Y and Z of a kind stand in a frame; of rotations, in the file's order."""
    order = "XYZ" if kind == "position" else [c[0] for c in joint.channels if c.endswith(kind)]
    names = [f"{axis}{kind}" for axis in order]
    return [joint.column + joint.channels.index(n) for n in names if n in joint.channels]


def _rotations(values: np.ndarray, joints: Sequence[BvhJoint]) -> Float[Tensor, "T J 3 3"]:
    """Return local rotations; an axis without a channel does not turn."""
    radians = torch.zeros(len(values), len(joints), 3, dtype=torch.float64)
    orders = []
    for number, joint in enumerate(joints):
        columns = _columns(joint, "rotation")
        radians[:, number, : len(columns)] = torch.from_numpy(values[:, columns]).deg2rad()
        order = "".join(name[0] for name in joint.channels if name.endswith("rotation"))
        orders.append(order + "".join(axis for axis in "XYZ" if axis not in order))
    rotations = torch.empty(*radians.shape, 3, dtype=radians.dtype)
    for order in set(orders):
        turned_so = [joint for joint, theirs in enumerate(orders) if theirs == order]
        rotations[:, turned_so] = euler_to_matrix(radians[:, turned_so], order)
    return rotations


def _write_joint(
    lines: list[str], order: list[int], offsets: Tensor, joint: int, depth: int
) -> None:
    order.append(joint)
    indent = "\t" * depth
    rotation = " ".join(f"{axis}rotation" for axis in _ORDER)
    channels = f"6 Xposition Yposition Zposition {rotation}" if joint == 0 else f"3 {rotation}"
    lines += [f"{indent}{'JOINT' if depth else 'ROOT'} {JOINT_NAMES[joint]}", indent + "{"]
    lines += [f"{indent}\tOFFSET {_xyz(offsets[joint])}", f"{indent}\tCHANNELS {channels}"]
    for child in CHILDREN[joint]:
        _write_joint(lines, order, offsets, child, depth + 1)
    if not CHILDREN[joint]:
        lines += [f"{indent}\tEnd Site", f"{indent}\t" + "{"]
        lines += [f"{indent}\t\tOFFSET {_xyz(offsets[joint] * _END_SITE)}", f"{indent}\t" + "}"]
    lines.append(indent + "}")


def _xyz(vector: Tensor) -> str:
    return " ".join(f"{value:.8f}" for value in vector.tolist())
