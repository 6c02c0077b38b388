"""Motions as numpy archives: our own files, and AMASS or SMPL-X parameters of others."""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.axes import UP_AXES, turn_to_y_up
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from duet_rl.body.skeleton import NUM_JOINTS, Skeleton, default_skeleton
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_file

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
_SMPLH_WIDTH = 156  # SMPL-H: 22 body joints and two hands, without jaw and eyes
_BODY_JOINTS = 22
_BETAS = 16
# The models turn a body about its pelvis and keep that apart from the origin: at zero translation
# the mean body has it about here, metres, in the axes of the file. A body's own shape moves it by a
# centimetre or two, which only the licensed models can tell.
SMPLX_PELVIS = (0.0, -0.35, 0.01)
_SMPLH_PELVIS = (0.0, -0.22, 0.03)


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
    arrays = load_arrays(path, _wanted)
    poses = _poses(path, arrays)
    trans = _first(path, arrays, _TRANSLATIONS)
    frames = len(poses)
    if poses.shape != (frames, _POSE_WIDTH) or trans.shape != (frames, 3):
        raise InputError(
            f"{path}: poses of shape {poses.shape} and translations of shape {trans.shape}; wanted "
            f"(T, {_POSE_WIDTH}) or (T, {_SMPLH_WIDTH}) and (T, 3) for the same T frames"
        )
    for name, array in (("poses", poses), ("translations", trans)):
        if not np.isfinite(array).all():
            frame = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise InputError(f"{path}: NaN or infinity in the {name} of frame {frame}; repair it")
    rotations = axis_angle_to_matrix(torch.from_numpy(poses).view(frames, NUM_JOINTS, 3))
    pelvis = _SMPLH_PELVIS if _is_smplh(arrays) else SMPLX_PELVIS
    root = torch.from_numpy(trans) * scale + torch.tensor(pelvis, dtype=torch.float64)
    turn = turn_to_y_up(root, "z" if (up or str(arrays.get("up_axis", "z"))) == "z" else "y")
    root = root @ turn.mT
    rotations[:, 0] = turn @ rotations[:, 0]
    skeleton = _skeleton(path, arrays)
    rate = fps if fps is not None else _frame_rate(path, arrays)
    return Motion.from_rotations(root.float(), rotations.float(), skeleton, rate)


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


def _wanted(name: str) -> bool:
    parts = [part for names, _ in _POSE_PARTS for part in names]
    known = (*parts, *_EYES, *_HANDS, *_TRANSLATIONS, *_RATES)
    return name in (*known, "poses", "offsets", "skeleton", "up_axis")


def _poses(path: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return `(T, 165)` axis-angles; parts that the file leaves out are at rest."""
    if "poses" in arrays:
        poses = _numbers(path, "poses", arrays["poses"])
        if _is_smplh(arrays):
            face = np.zeros((len(poses), _POSE_WIDTH - _SMPLH_WIDTH))
            poses = np.concatenate([poses[:, : 3 * _BODY_JOINTS], face, poses[:, 66:]], axis=1)
        return poses
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


def _is_smplh(arrays: Mapping[str, np.ndarray]) -> bool:
    return "poses" in arrays and arrays["poses"].shape[1:] == (_SMPLH_WIDTH,)


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
    if not np.issubdtype(array.dtype, np.number) or array.ndim == 0:
        raise InputError(f"{path}: {name} holds {array.dtype} values; wanted a table of numbers")
    return array.astype(np.float64)


def _frame_rate(path: Path, arrays: Mapping[str, np.ndarray]) -> float:
    for name in _RATES:
        if name in arrays:
            rate = arrays[name]
            if rate.size == 1 and np.issubdtype(rate.dtype, np.number) and rate.item() > 0:
                return float(rate.item())
            raise InputError(f"{path}: {name} is {rate}; wanted frames per second, give the fps")
    raise InputError(f"{path}: says no frame rate ({', '.join(_RATES)}); give the fps")


def _skeleton(path: Path, arrays: Mapping[str, np.ndarray]) -> Skeleton:
    if "offsets" not in arrays:
        return default_skeleton()
    offsets = torch.from_numpy(_numbers(path, "offsets", arrays["offsets"])).float()
    return Skeleton(offsets, name=str(arrays.get("skeleton", path.stem)))


def _numpy(tensor: Float[Tensor, "..."]) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
