"""Joints and rotations in `.npy` files: HumanML3D, DD100, and tables of joints of SMPL bodies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import (
    CHILDREN,
    JOINT,
    LEFT_HAND,
    NUM_JOINTS,
    PARENTS,
    RIGHT_HAND,
    SMPL_JOINTS,
    Skeleton,
    default_skeleton,
)
from duet_rl.errors import InputError
from duet_rl.mocap.humanml3d import FEATURES, joints_of
from duet_rl.mocap.humanml3d import FPS as HUMANML3D_FPS
from duet_rl.mocap.npz import SMPLX_PELVIS, PoseTable, is_wanted, pose_table
from duet_rl.mocap.smpl_fit import fit_known
from duet_rl.pickles import load_object_npy

DD100_FPS = 30.0
_ROTMAT = 3 + 9 * NUM_JOINTS  # columns of a translation and rotation matrices
_ROTATION_SLACK = 1e-2  # of R R^T from the identity
_RIGID = 0.1  # share of its mean by which the length of a leg may change; more is no person's
_ROUNDS = 3  # of fitting rotations to bones, and bones to rotations
_MOST_PERSONS = 8  # in one file
_NUMBERS = "iuf"  # kinds of numpy's numbers: whole and real
_LAYOUTS: dict[int, tuple[str, tuple[int, ...]]] = {  # joints -> whose they are, which of ours
    22: ("HumanML3D joints", tuple(range(22))),
    24: ("SMPL joints", SMPL_JOINTS),
    52: ("SMPL-H joints", (*range(22), *LEFT_HAND, *RIGHT_HAND)),
    NUM_JOINTS: ("SMPL-X joints", tuple(range(NUM_JOINTS))),
}
_FIVE = "(T, 22, 3), (T, 24, 3), (T, 52, 3) or (T, 55, 3) joints"


@dataclass(frozen=True, eq=False)
class JointTable:
    """Places of joints over a take, in the units and axes of the file.

    Args:
        kind: whose joints, for messages.
        places: of our 55; those that are not known are zero.
        known: which of ours the file has.
        fps: what the format says; None if it says nothing.
        persons: how many the file holds.
    """

    kind: str
    places: Float[Tensor, "T 55 3"]
    known: tuple[int, ...]
    fps: float | None
    persons: int = 1


@dataclass(frozen=True, eq=False)
class RotationTable:
    """Rotation matrices and translations as DD100 is given out preprocessed."""

    rotations: Float[Tensor, "T 55 3 3"]
    trans: Float[Tensor, "T 3"]
    kind: str = "DD100 rotations"
    fps: float = DD100_FPS

    def motion(self, fps: float, scale: float, start: int, stop: int | None) -> Motion:
        """Return frames of the take, in the axes of the file, on the default skeleton."""
        root = self.trans[start:stop] * scale + torch.tensor(SMPLX_PELVIS)
        return Motion.from_rotations(root, self.rotations[start:stop], default_skeleton(), fps)


class JointFit:
    """A skeleton whose bones are those of a table of joints, and the rotations that go with it."""

    def __init__(self, sample: Float[Tensor, "N 55 3"], known: tuple[int, ...], name: str) -> None:
        self.known = frozenset(known)
        self.offsets = self._bones(sample)
        self._skeleton = Skeleton(self.offsets, name)

    def motion(self, places: Float[Tensor, "T 55 3"], fps: float) -> Motion:
        """Return the motion whose joints are as near to some places as rigid bones can be."""
        rotations = fit_known(places, self.known, self.offsets)
        return Motion.from_rotations(places[:, 0], rotations, self._skeleton, fps)

    def _bones(self, places: Float[Tensor, "N 55 3"]) -> Float[Tensor, "55 3"]:
        ideal = default_skeleton()
        ratio = _leg(places).mean() / _leg(ideal.rest_joints()[None]).mean()
        offsets = ideal.offsets * ratio
        bones = {
            joint: places[:, joint] - places[:, PARENTS[joint]]
            for joint in self.known
            if joint and PARENTS[joint] in self.known
        }
        for joint, bone in bones.items():
            way = torch.nn.functional.normalize(ideal.offsets[joint], dim=0)
            offsets[joint] = way * bone.norm(dim=-1).mean()
        for _ in range(_ROUNDS):  # where several bones meet, the angles between them are the body's
            rotations = fit_known(places, self.known, offsets)
            turned = forward_kinematics(rotations, places[:, 0], offsets).global_rotations
            for joint, bone in bones.items():
                parent = PARENTS[joint]
                if sum(child in self.known for child in CHILDREN[parent]) > 1:
                    rest = (turned[:, parent].mT @ bone[..., None]).squeeze(-1).mean(0)
                    length = bone.norm(dim=-1).mean()
                    offsets[joint] = torch.nn.functional.normalize(rest, dim=0) * length
        return offsets


def open_npy(
    path: Path | str, person: int | str | None = None
) -> JointTable | RotationTable | PoseTable:
    """Return what a `.npy` file says of a dancer.

    Args:
        path: joints (T, 22 | 24 | 52 | 55, 3) or flat, of one person or several; HumanML3D features
            (T, 263); SMPL-X parameters, tables of joints or of rotations of DD100.
        person: of a file with several, which one, from 1; the first by default.

    Raises:
        InputError: no such file, another kind of array, NaN, or places that are no person's.
    """
    path = Path(path)
    value = load_object_npy(path)
    if isinstance(value, Mapping):
        return _parameters(path, value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in _NUMBERS or not value.ndim:
        raise InputError(f"{path}: holds no table of numbers; wanted {_FIVE}")
    one_frame = value.ndim == 3 and value.shape[1] in _LAYOUTS
    table = value[0] if value.ndim in (3, 4) and len(value) == 1 and not one_frame else value
    table, persons = _of_person(path, table, person)
    frames = len(table)
    if frames == 0 or not np.isfinite(table).all():
        raise InputError(f"{path}: holds NaN or infinity, or no frame; repair or cut the take")
    flat = torch.from_numpy(table.reshape(frames, -1).astype(np.float32))
    if table.ndim == 2 and flat.shape[1] == FEATURES:
        return _table(path, "HumanML3D features", joints_of(flat), HUMANML3D_FPS)
    if table.ndim == 2 and flat.shape[1] == _ROTMAT:
        return _rotations(path, flat)
    joints, left_over = divmod(flat.shape[1], 3)
    if left_over or joints not in _LAYOUTS or table.ndim not in (2, 3):
        raise InputError(
            f"{path}: an array of shape {value.shape}; wanted {_FIVE}, HumanML3D features "
            f"(T, {FEATURES}), or tables of DD100 (T, 165) and (T, {_ROTMAT})"
        )
    kind = _LAYOUTS[joints][0]
    fps = HUMANML3D_FPS if joints == 22 else None
    if table.ndim == 2 and joints == NUM_JOINTS:
        kind, fps = "DD100 joints", DD100_FPS
    return _table(path, kind, flat.unflatten(1, (joints, 3)), fps, persons)


def _of_person(path: Path, table: np.ndarray, person: int | str | None) -> tuple[np.ndarray, int]:
    """Return the table of one person, and how many there are."""
    persons = 1
    if table.ndim == 4:
        if table.shape[1] <= _MOST_PERSONS < table.shape[0]:
            table = table.swapaxes(0, 1)
        persons = len(table)
    number = 1 if person is None else int(person) if str(person).isdecimal() else 0
    if not 1 <= number <= persons:
        numbers = ", ".join(map(str, range(1, persons + 1)))
        raise InputError(f"{path}: no person {person!r}; it has {persons}: {numbers}")
    return (table[number - 1] if table.ndim == 4 else table), persons


def _table(
    path: Path, kind: str, joints: Tensor, fps: float | None, persons: int = 1
) -> JointTable:
    known = _LAYOUTS[joints.shape[1]][1]
    places = torch.zeros(len(joints), NUM_JOINTS, 3)
    places[:, list(known)] = joints.float()
    legs = _leg(places)
    if legs.mean() <= 0 or legs.std(unbiased=False) > _RIGID * legs.mean():
        raise InputError(
            f"{path}: legs that change their length, so these numbers are no places of joints; "
            "give places in metres (rotations come with translations, as npz), not normalised"
        )
    return JointTable(kind, places, known, fps, persons)


def _parameters(path: Path, values: Mapping[str, Any]) -> PoseTable:
    """Return SMPL-X parameters by name, as DD100 has them."""
    arrays = {}
    for name, value in values.items():
        if is_wanted(name) and isinstance(value, np.ndarray) and value.ndim:
            arrays[name] = value.reshape(len(value), -1)
    return pose_table(path, arrays)


def _rotations(path: Path, columns: Tensor) -> RotationTable:
    rotations = columns[:, 3:].unflatten(1, (NUM_JOINTS, 3, 3))
    skewed = float((rotations @ rotations.mT - torch.eye(3)).abs().amax())
    if skewed > _ROTATION_SLACK:
        raise InputError(
            f"{path}: matrices that are no rotations (off by {skewed:.2g}); wanted a translation "
            f"and {NUM_JOINTS} rotations, row by row"
        )
    return RotationTable(rotations, columns[:, :3])


def _leg(places: Float[Tensor, "T 55 3"]) -> Float[Tensor, "T"]:
    hip, knee, ankle = (places[:, JOINT[f"left_{name}"]] for name in ("hip", "knee", "ankle"))
    return (knee - hip).norm(dim=-1) + (ankle - knee).norm(dim=-1)
