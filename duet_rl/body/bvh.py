"""BVH files: any hierarchy in, our 55 joints out. Rotations are copied, never solved for."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import unwrap
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import euler_to_matrix, matrix_to_euler
from duet_rl.body.skeleton import CHILDREN, JOINT_NAMES, Skeleton
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_file

logger = logging.getLogger(__name__)

_ORDER = "ZXY"  # rotation channels that we write
_END_SITE = 0.7  # length of an end site we write, as a share of the bone before it
_RATES = (23.976, 24, 25, 29.97, 30, 48, 50, 59.94, 60, 90, 100, 120, 240)  # fps that files mean
_RATE_SLACK = 2e-3  # share by which a rounded frame time may miss its rate
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
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[Tensor, "J 3"]
    end_sites: dict[str, Float[Tensor, "3"]]
    rotations: Float[Tensor, "T J 3 3"]
    root: Float[Tensor, "T 3"]
    fps: float

    def pose(self) -> tuple[Float[Tensor, "T J 3"], Float[Tensor, "T J 3 3"]]:
        """Return world positions (metres) and global rotations of the file's own joints."""
        places, turns = [self.root], [self.rotations[:, 0]]
        for joint, parent in enumerate(self.parents[1:], start=1):
            places.append(places[parent] + turns[parent] @ self.offsets[joint])
            turns.append(turns[parent] @ self.rotations[:, joint])
        return torch.stack(places, dim=1), torch.stack(turns, dim=1)


def read_bvh(path: Path | str, fps: float | None = None, scale: float = 1.0) -> BvhMotion:
    """Return the motion in a BVH file.

    The root's position channels are taken as its place in the world, without its offset, as
    animation programs do.

    Args:
        path: the file.
        fps: true frames per second, where the header's frame time is wrong.
        scale: metres per unit of the file; 0.01 for centimetres.

    Raises:
        InputError: no such file, a damaged or truncated one, NaN, or channels that we cannot read.
    """
    path = require_file(path, "a BVH motion")
    for name, value in (("fps", fps), ("scale", scale)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value} for {path.name}; wanted a number above 0")
    head, mark, tail = path.read_text(encoding="utf-8", errors="replace").partition("MOTION")
    if not head.lstrip("\ufeff \t\r\n").startswith("HIERARCHY"):
        raise InputError(f"{path}: does not begin with HIERARCHY; wanted a BVH text file")
    if not mark:
        raise InputError(f"{path}: has no MOTION section; the file is truncated, fetch it again")
    nodes = _read_hierarchy(path, head)
    joints = [node for node in nodes if not node.is_end]
    values, header_fps = _read_frames(path, tail, sum(len(node.channels) for node in joints))
    root, rotations = _read_channels(path, joints, values)
    index = {id(node): number for number, node in enumerate(joints)}
    offsets = torch.tensor([node.offset for node in joints], dtype=torch.float64) * scale
    offsets[0] = 0
    return BvhMotion(
        name=path.stem,
        names=tuple(node.name for node in joints),
        parents=tuple(-1 if node.parent is None else index[id(node.parent)] for node in joints),
        offsets=offsets.float(),
        end_sites={
            node.parent.name: torch.tensor(node.offset) * scale
            for node in nodes
            if node.is_end and node.parent is not None
        },
        rotations=rotations.float(),
        root=(root * scale).float(),
        fps=float(fps or header_fps),
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
    angles = matrix_to_euler(motion.rotations[:, order].double(), _ORDER)
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


@dataclass(eq=False)
class _Node:
    name: str
    parent: "_Node | None"
    is_end: bool = False
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    channels: tuple[str, ...] = ()


def _read_hierarchy(path: Path, text: str) -> list[_Node]:
    words = iter(text.split()[1:])
    nodes: list[_Node] = []
    open_nodes: list[_Node] = []
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            if (word == "ROOT") == bool(nodes) or bool(nodes) != bool(open_nodes):
                _damaged(path, f"{word} out of place (one ROOT, and all else within its braces)")
            parent = open_nodes[-1] if open_nodes else None
            nodes.append(_Node(_next(path, words), parent, is_end=word == "End"))
            open_nodes.append(nodes[-1])
            if _next(path, words) != "{":
                _damaged(path, f"no brace after {nodes[-1].name} (a name must be one word)")
        elif not open_nodes:
            _damaged(path, f"{word!r} in the hierarchy")
        elif word == "}":
            open_nodes.pop()
        else:
            _read_property(path, open_nodes[-1], word, words)
    if open_nodes or not nodes:
        _damaged(path, "a hierarchy whose braces do not close")
    names = [node.name for node in nodes if not node.is_end]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: the joint name {twice[0]} appears twice; rename one of them")
    return nodes


def _read_property(path: Path, node: _Node, word: str, words: Iterator[str]) -> None:
    if word == "OFFSET":
        node.offset = tuple(_number(path, _next(path, words)) for _ in range(3))
    elif word == "CHANNELS":
        count = int(_number(path, _next(path, words)))
        node.channels = tuple(_next(path, words) for _ in range(count))
    else:
        _damaged(path, f"{word!r} in the hierarchy")


def _read_frames(path: Path, text: str, channels: int) -> tuple[np.ndarray, float]:
    header, _, body = text.partition("Frame Time:")
    count = header.split()
    if len(count) != 2 or count[0] != "Frames:" or not count[1].isdigit():
        _damaged(path, "no line 'Frames: <count>' after MOTION")
    words = body.split()
    frame_time = _number(path, words[0]) if words else 0.0
    if frame_time <= 0:
        _damaged(path, f"a frame time of {frame_time} s")
    try:
        values = np.array(words[1:], dtype=np.float64)
    except ValueError:
        _damaged(path, f"{next(w for w in words[1:] if not _is_number(w))!r} among the numbers")
    frames = int(count[1])
    if frames == 0 or len(values) != frames * channels:
        raise InputError(
            f"{path}: the header promises {frames} frames of {channels} numbers, found "
            f"{len(values) / max(channels, 1):.1f} frames; the file is damaged or truncated, "
            "fetch it again"
        )
    if not np.isfinite(values).all():
        frame = int(np.flatnonzero(~np.isfinite(values))[0]) // channels
        raise InputError(f"{path}: NaN or infinity in frame {frame}; repair or cut the take")
    return values.reshape(frames, channels), _rate(1 / frame_time)


def _read_channels(path: Path, joints: list[_Node], values: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return root positions `(T, 3)` in file units and local rotations `(T, J, 3, 3)`."""
    root = torch.zeros(len(values), 3, dtype=torch.float64)
    angles, orders = [], []
    first = 0
    for node in joints:
        columns = torch.from_numpy(values[:, first : first + len(node.channels)])
        first += len(node.channels)
        order = "".join(name[0] for name in node.channels if name.endswith("rotation"))
        places = {name: k for k, name in enumerate(node.channels) if name.endswith("position")}
        if sorted(order) != ["X", "Y", "Z"] or len(places) not in (0, 3):
            raise InputError(
                f"{path}: {node.name} has the channels {' '.join(node.channels) or 'none'}; wanted "
                "X, Y and Z rotation, with or without X, Y and Z position"
            )
        orders.append(order)
        angles.append(
            columns[:, [k for k in range(len(node.channels)) if k not in places.values()]]
        )
        if not places:
            continue
        place = columns[:, [places[f"{axis}position"] for axis in "XYZ"]]
        if node.parent is None:
            root = place
        elif (place - torch.tensor(node.offset, dtype=place.dtype)).abs().max() > _FIXED:
            raise InputError(
                f"{path}: the bone to {node.name} changes its length; wanted rotations only, "
                "export the take with fixed bones"
            )
    radians = torch.stack(angles, dim=1).deg2rad()  # (T, J, 3)
    rotations = torch.empty(*radians.shape, 3, dtype=radians.dtype)
    for order in set(orders):
        turned_so = [joint for joint, theirs in enumerate(orders) if theirs == order]
        rotations[:, turned_so] = euler_to_matrix(radians[:, turned_so], order)
    return root, rotations


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


def _rate(fps: float) -> float:
    nearest = min(_RATES, key=lambda rate: abs(rate - fps))
    return float(nearest) if abs(nearest - fps) < _RATE_SLACK * fps else fps


def _next(path: Path, words: Iterator[str]) -> str:
    word = next(words, None)
    if word is None:
        _damaged(path, "a hierarchy that breaks off")
    return word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _number(path: Path, word: str) -> float:
    if not _is_number(word) or not np.isfinite(float(word)):
        _damaged(path, f"{word!r} where a number was due")
    return float(word)


def _damaged(path: Path, found: str) -> NoReturn:
    raise InputError(f"{path}: found {found}; wanted a whole BVH file, fetch or export it again")
