"""Motions as numpy archives: our own files, and AMASS or SMPL-X parameters of others."""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from duet_rl.body.skeleton import (
    LEFT_HAND,
    NUM_JOINTS,
    RIGHT_HAND,
    Skeleton,
    default_skeleton,
)
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_file
from duet_rl.mocap.axes import UP_AXES, to_y_up

_POSE_PARTS = (  # the columns of `poses` in order, the names they go by, and their width
    (("root_orient", "global_orient"), 3),
    (("pose_body", "body_pose"), 63),
    (("pose_jaw", "jaw_pose"), 3),
    (("pose_eye",), 6),
    (("pose_hand",), 90),
)
_EYES = ("leye_pose", "reye_pose")
_HANDS = ("left_hand_pose", "right_hand_pose")
_TRANSLATIONS = ("trans", "transl", "translation")
_RATES = ("mocap_frame_rate", "mocap_framerate", "fps")
_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
_POSE_WIDTH = 3 * NUM_JOINTS
_BETAS = 16
# The models turn a body about its pelvis and keep that apart from the origin: at zero translation
# the mean body has it about here, metres, in the axes of the file. A body's own shape moves it by a
# centimetre or two, which only the licensed models can tell.
SMPLX_PELVIS = (0.0, -0.35, 0.01)
_SMPLH_PELVIS = (0.0, -0.22, 0.03)
OURS = "our own npz"


class _Body(NamedTuple):
    """One of the body models: what the columns of its poses turn."""

    name: str
    pelvis: tuple[float, float, float]
    columns: tuple[int, ...]  # of our joints, those that are turned, in the order of the model


_BODY = tuple(range(22))
_HAND_JOINTS = (*LEFT_HAND, *RIGHT_HAND)
_SMPLX = _Body("SMPL-X", SMPLX_PELVIS, tuple(range(NUM_JOINTS)))
_BODIES: dict[int, _Body] = {  # by the width of `poses`
    _POSE_WIDTH: _SMPLX,
    3 * 52: _Body("SMPL-H", _SMPLH_PELVIS, (*_BODY, *_HAND_JOINTS)),  # no jaw, no eyes
    3 * 24: _Body("SMPL", _SMPLH_PELVIS, _BODY),  # the turns of its two hands move no joint
    3 * 22: _Body("SMPL-H without hands", _SMPLH_PELVIS, _BODY),
}


def write_npz(path: Path | str, motion: Motion) -> None:
    """Write a motion under the names of AMASS / SMPL-X, plus its joints and skeleton.

    `poses` (T, 165) axis-angles in radians, `trans` (T, 3) metres, `betas`, `gender`,
    `mocap_frame_rate`; `joints` (T, 55, 3) and `offsets` (55, 3) in metres; `up_axis` "y".
    `trans` is the pelvis less where SMPL-X has it in its mean body, so that the model puts it back.
    """
    poses = matrix_to_axis_angle(motion.rotations.double()).flatten(1)
    arrays: dict[str, Any] = {
        "poses": _numpy(poses),
        "trans": _numpy(motion.root.double() - torch.tensor(SMPLX_PELVIS, dtype=torch.float64)),
        "betas": np.zeros(_BETAS, np.float32),
        "gender": np.array("neutral"),
        "mocap_frame_rate": np.array(motion.fps),
        "joints": _numpy(motion.joints),
        "offsets": _numpy(motion.skeleton.offsets),
        "skeleton": np.array(motion.skeleton.name),
        "up_axis": np.array("y"),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_npz(
    path: Path | str, fps: float | None = None, up: str | None = None, scale: float = 1.0
) -> Motion:
    """Return the motion in an npz file of ours, of AMASS (SMPL-X or SMPL-H) or of SMPL-X fits.

    Args:
        path: the file. Poses are `poses`, or their parts under the names of AMASS or `smplx`;
            translations `trans` or `transl`; offsets, where missing, are the default skeleton's.
        fps: true frames per second, where the file is silent or wrong.
        up: "y" or "z", the axis that points up in the file; what the file says if left out, and
            "z", as in AMASS, if it says nothing.
        scale: metres per unit of the translations.

    Raises:
        InputError: no such file, not an npz, missing or misshapen arrays, NaN, or no frame rate.
    """
    path = require_file(path, "an npz motion")
    if up is not None and up not in UP_AXES:
        raise InputError(f"up axis {up!r} for {path.name}; wanted 'y' or 'z'")
    table = open_npz(path)
    rate = fps if fps is not None else table.fps
    if rate is None:
        raise InputError(f"{path}: says no frame rate ({', '.join(_RATES)}); give the fps")
    return to_y_up(table.motion(rate, scale), "z" if (up or table.up or "z") == "z" else "y")


@dataclass(frozen=True, eq=False)
class PoseTable:
    """SMPL-X parameters of a take, in the axes of the file.

    Args:
        kind: which body the parameters are of, for messages.
        poses: axis-angles of our 55 joints, radians.
        trans: translation of the model, units of the file.
        pelvis: where the model has its pelvis at zero translation, metres.
        skeleton: the bones; the default ones if the file has none.
        fps: None if the file does not say.
        up: None if the file does not say.
        joints: those of the file's own that the poses turn, as indices of ours.
    """

    path: Path
    kind: str
    poses: Float[np.ndarray, "T 165"]
    trans: Float[np.ndarray, "T 3"]
    pelvis: tuple[float, float, float]
    skeleton: Skeleton
    fps: float | None
    up: str | None
    joints: tuple[int, ...]

    @property
    def has_bones(self) -> bool:
        """Whether the file brings bones of its own, as ours do."""
        return self.kind == OURS

    def motion(
        self, fps: float, scale: float = 1.0, start: int = 0, stop: int | None = None
    ) -> Motion:
        """Return frames of the take in the axes of the file; `scale` is metres per unit."""
        poses = torch.from_numpy(self.poses[start:stop])
        rotations = axis_angle_to_matrix(poses.unflatten(1, (NUM_JOINTS, 3)))
        pelvis = torch.tensor(self.pelvis, dtype=torch.float64)
        root = torch.from_numpy(self.trans[start:stop]) * scale + pelvis
        return Motion.from_rotations(root.float(), rotations.float(), self.skeleton, fps)


def open_npz(path: Path | str) -> PoseTable:
    """Return the parameters in an npz file; see `read_npz`."""
    path = require_file(path, "an npz motion")
    return pose_table(path, load_arrays(path, is_wanted))


def pose_table(path: Path, arrays: Mapping[str, np.ndarray]) -> PoseTable:
    """Return the parameters in arrays that go by the names of AMASS or SMPL-X.

    Raises:
        InputError: missing or misshapen arrays, NaN, or a frame rate that is none.
    """
    width = arrays["poses"].shape[-1] if "poses" in arrays and arrays["poses"].ndim == 2 else None
    body = _BODIES.get(width or _POSE_WIDTH, _SMPLX)
    poses = _poses(path, arrays, body)
    trans = _first(path, arrays, _TRANSLATIONS)
    frames = len(poses)
    if poses.shape != (frames, _POSE_WIDTH) or trans.shape != (frames, 3):
        raise InputError(
            f"{path}: poses of shape {poses.shape} and translations of shape {trans.shape}; wanted "
            f"(T, {' or '.join(map(str, _BODIES))}) and (T, 3) for the same T frames"
        )
    for name, array in (("poses", poses), ("translations", trans)):
        if not np.isfinite(array).all():
            frame = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise InputError(f"{path}: NaN or infinity in the {name} of frame {frame}; repair it")
    return PoseTable(
        path=path,
        kind=OURS if "offsets" in arrays else body.name,
        poses=poses,
        trans=trans,
        pelvis=body.pelvis,
        skeleton=_skeleton(path, arrays),
        fps=_frame_rate(path, arrays),
        up=_up_axis(path, arrays),
        joints=tuple(body.columns) if "poses" in arrays else tuple(range(NUM_JOINTS)),
    )


def load_arrays(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file whose names are wanted, and never unpickle one.

    Raises:
        InputError: not an npz, damaged, or a wanted array holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as whole:
            damaged = whole.testzip()  # numpy would parse a damaged header before it checks it
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if wanted(name)}
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: not a whole npz file of plain arrays ({error}); fetch or export it again"
        ) from error


def is_wanted(name: str) -> bool:
    """Return whether an array of this name says something of a motion."""
    parts = [part for names, _ in _POSE_PARTS for part in names]
    known = (*parts, *_EYES, *_HANDS, *_TRANSLATIONS, *_RATES)
    return name in (*known, "poses", "offsets", "skeleton", "up_axis")


def _poses(path: Path, arrays: Mapping[str, np.ndarray], body: "_Body") -> np.ndarray:
    """Return `(T, 165)` axis-angles; parts that the file leaves out are at rest."""
    if "poses" in arrays:
        return _spread(_numbers(path, "poses", arrays["poses"]), body)
    arrays = _join(_join(arrays, "pose_eye", _EYES), "pose_hand", _HANDS)
    frames = len(_first(path, arrays, _POSE_PARTS[1][0]))
    columns = []
    for names, width in _POSE_PARTS:
        found = next((name for name in names if name in arrays), None)
        part = np.zeros((frames, width)) if found is None else _numbers(path, found, arrays[found])
        part = part.reshape(len(part), -1)
        if part.shape != (frames, width):
            raise InputError(
                f"{path}: {found} of shape {part.shape}, wanted ({frames}, {width}) axis-angles; "
                "expand hand PCA coefficients before export"
            )
        columns.append(part)
    return np.concatenate(columns, axis=1)


def _spread(theirs: np.ndarray, body: "_Body") -> np.ndarray:
    """Return poses of a body model as those of our joints; misshapen ones come back as they are."""
    if theirs.ndim != 2 or theirs.shape[1] not in _BODIES:
        return theirs
    poses = np.zeros((len(theirs), NUM_JOINTS, 3))
    count = len(body.columns)
    poses[:, list(body.columns)] = theirs[:, : 3 * count].reshape(len(theirs), count, 3)
    return poses.reshape(len(theirs), _POSE_WIDTH)


def _join(
    arrays: Mapping[str, np.ndarray], whole: str, halves: tuple[str, str]
) -> Mapping[str, np.ndarray]:
    if whole in arrays or not all(half in arrays for half in halves):
        return arrays
    parts = [arrays[half].reshape(len(arrays[half]), -1) for half in halves]
    return {**arrays, whole: np.concatenate(parts, axis=1)}


def _first(path: Path, arrays: Mapping[str, np.ndarray], names: Iterable[str]) -> np.ndarray:
    for name in names:
        if name in arrays:
            return _numbers(path, name, arrays[name])
    raise InputError(
        f"{path}: holds {', '.join(sorted(arrays)) or 'nothing we know'}; wanted "
        f"{' or '.join(names)}, as AMASS and SMPL-X name it"
    )


def _numbers(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if not _is_real(array) or array.ndim == 0:
        raise InputError(f"{path}: {name} holds {array.dtype} values; wanted a table of numbers")
    return array.astype(np.float64)


def _frame_rate(path: Path, arrays: Mapping[str, np.ndarray]) -> float | None:
    for name in _RATES:
        if name in arrays:
            rate = arrays[name]
            if rate.size == 1 and _is_real(rate) and rate.item() > 0:
                return float(rate.item())
            raise InputError(f"{path}: {name} is {rate}; wanted frames per second, give the fps")
    return None


def _up_axis(path: Path, arrays: Mapping[str, np.ndarray]) -> str | None:
    if "up_axis" not in arrays:
        return None
    said = arrays["up_axis"].astype(str).reshape(-1).tolist()  # some write bytes
    axis = said[0].lower() if len(said) == 1 else ""
    if axis not in UP_AXES:
        raise InputError(f"{path}: up_axis is {arrays['up_axis']}; wanted 'y' or 'z'")
    return axis


def _is_real(array: np.ndarray) -> bool:
    return np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)


def _skeleton(path: Path, arrays: Mapping[str, np.ndarray]) -> Skeleton:
    if "offsets" not in arrays:
        return default_skeleton()
    offsets = torch.from_numpy(_numbers(path, "offsets", arrays["offsets"])).float()
    return Skeleton(offsets, name=str(arrays.get("skeleton", path.stem)))


def _numpy(tensor: Float[Tensor, "..."]) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
