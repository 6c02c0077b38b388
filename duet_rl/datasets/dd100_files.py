"""The files of DD100: SMPL-X parameters, joints with rotation matrices, and music features."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import NUM_JOINTS, PARENTS, Skeleton
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.pickles import load_object_npy

if TYPE_CHECKING:
    from duet_rl.meshes.smplx import BodyModel

Role = Literal["leader", "follower"]
Gender = Literal["female", "male", "neutral"]

SUFFIX: dict[Role, str] = {"follower": "00", "leader": "01"}  # ends the name of a dancer's file
GENDER: dict[Role, Gender] = {"follower": "female", "leader": "male"}
GENDERS: tuple[Gender, ...] = ("female", "male", "neutral")
POSES = 3 * NUM_JOINTS  # columns of axis-angles, and of joints
ROTMAT = 3 + 9 * NUM_JOINTS  # columns of a translation and rotation matrices
BETAS = 10  # numbers that shape a body

_BETAS_SLACK = 1e-3  # a body whose shape changes by more is told
_BONE_SLACK = 0.02  # m; bones that change their length by more belong to another dance
_ROTATION_SLACK = 1e-2  # of R R^T from the identity

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SmplxFile:
    """A dancer as SMPL-X parameters, which the licensed models in `models` turn into joints."""

    path: Path
    models: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)

    def read(self, role: Role) -> Motion:
        """Return the motion, in the axes of the file.

        Raises:
            InputError: another kind of file, wrong shapes, NaN, or no model of the gender.
        """
        values = _parameters(self.path)
        poses = _table(self.path, "poses", values, (NUM_JOINTS, 3))
        transl = _table(self.path, "transl", values, (3,))
        _require_equal(self.path, "poses", len(poses), "transl", len(transl))
        body = load_body(self.models, _gender(self.path, values, role))
        betas = _betas(self.path, values)
        return body.motion(torch.from_numpy(poses), torch.from_numpy(transl), betas, FPS)


@dataclass(frozen=True)
class JointFiles:
    """A dancer as the authors preprocess one: a table of joints and one of rotations."""

    pos3d: Path
    rotmat: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.pos3d, self.rotmat)

    def read(self, role: Role) -> Motion:
        """Return the motion, in the axes of the files; its bones are those of the joints.

        Raises:
            InputError: another kind of file, wrong shapes, NaN, or joints and rotations that
                cannot be of one dance.
        """
        joints = torch.from_numpy(read_table(self.pos3d, POSES)).unflatten(1, (NUM_JOINTS, 3))
        columns = torch.from_numpy(read_table(self.rotmat, ROTMAT))
        _require_equal(self.pos3d, "frames", len(joints), str(self.rotmat), len(columns))
        rotations = columns[:, 3:].unflatten(1, (NUM_JOINTS, 3, 3))
        skewed = (rotations @ rotations.mT - torch.eye(3)).abs().amax()
        if skewed > _ROTATION_SLACK:
            raise InputError(
                f"{self.rotmat} holds matrices that are no rotations (off by {skewed:.2g}); wanted "
                f"a translation and {NUM_JOINTS} rotations, row by row"
            )
        offsets = self._bones(joints, rotations)
        return Motion.from_rotations(joints[:, 0], rotations, Skeleton(offsets, role), FPS)

    def _bones(
        self, joints: Float[Tensor, "T 55 3"], rotations: Float[Tensor, "T 55 3 3"]
    ) -> Float[Tensor, "55 3"]:
        """Return the bones that the rotations turn into the joints."""
        parents = list(PARENTS[1:])
        still = torch.zeros(NUM_JOINTS, 3)
        turned = forward_kinematics(rotations, joints[:, 0], still).global_rotations
        bones = joints[:, 1:] - joints[:, parents]  # (T, 54, 3), in world axes
        rest = (turned[:, parents].mT @ bones[..., None]).squeeze(-1)
        offsets = rest.double().mean(0).float()
        off = (rest - offsets).norm(dim=-1).amax()
        if off > _BONE_SLACK:
            raise InputError(
                f"{self.pos3d} and {self.rotmat} are not of one dance: the rotations put joints "
                f"{off:.2f} m away from where they are; pair files of one name and data set"
            )
        return torch.cat([torch.zeros(1, 3), offsets])


def read_music_table(path: Path) -> Float[Tensor, "T 54"]:
    """Return the music features that the authors computed.

    Raises:
        InputError: another kind of file, wrong shape, no frame, or NaN.
    """
    return torch.from_numpy(read_table(path, MUSIC_DIMS))


def read_table(path: Path, width: int) -> Float[np.ndarray, "T width"]:
    """Return a table of numbers, one row a frame; a leading axis of one is dropped.

    Raises:
        InputError: another kind of file, another width, no frame, or NaN.
    """
    table = load_object_npy(path)
    if isinstance(table, np.ndarray) and table.ndim == 3 and table.shape[0] == 1:
        table = table[0]
    return _numbers(path, "its table", table, (width,))


@lru_cache(maxsize=len(GENDERS))
def load_body(models: Path, gender: Gender) -> "BodyModel":
    """Return a body model; a process that reads many takes loads it once."""
    from duet_rl.meshes.smplx import BodyModel  # its package is only for who has the models

    return BodyModel.load(models, gender)


def _parameters(path: Path) -> Mapping[str, Any]:
    values = load_object_npy(path)
    if not isinstance(values, Mapping):
        raise InputError(
            f"{path} holds {_kind(values)}; wanted SMPL-X parameters by name (poses, transl, "
            "betas, meta): for tables of joints and rotations use --features"
        )
    return values


def _table(
    path: Path, name: str, values: Mapping[str, Any], shape: tuple[int, ...]
) -> Float[np.ndarray, "T *shape"]:
    """Return one of the parameters as (frames, *shape)."""
    if name not in values:
        raise InputError(f"{path} has no {name}; it has {', '.join(map(str, values))}")
    array = values[name]
    if isinstance(array, np.ndarray) and array.ndim >= 1 and len(array):
        flat = array.reshape(len(array), -1)
        if flat.shape[1] == int(np.prod(shape)):
            array = flat.reshape(-1, *shape)
    return _numbers(path, name, array, shape)


def _numbers(
    path: Path, name: str, array: Any, shape: tuple[int, ...]
) -> Float[np.ndarray, "T *shape"]:
    """Return `array` as float32 if it is a table of finite numbers with frames of `shape`."""
    wanted = f"(frames, {', '.join(map(str, shape))})"
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.number):
        raise InputError(f"{path}: {name} is {_kind(array)}; wanted numbers, {wanted}")
    if array.shape[1:] != shape or len(array) == 0:
        raise InputError(f"{path}: {name} has the shape {array.shape}; wanted {wanted}")
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{path}: {name} holds NaN or infinity in {int((~finite).sum())} frames, first in "
            f"frame {int(finite.argmin())}; repair the take, or leave it out"
        )
    return array.astype(np.float32)


def _betas(path: Path, values: Mapping[str, Any]) -> Float[Tensor, "K"]:
    """Return the shape of the body; that of the mean body, where the file has none."""
    if "betas" not in values:
        return torch.zeros(BETAS)
    betas = np.atleast_2d(np.asarray(values["betas"]))
    if betas.ndim != 2 or betas.shape[1] < BETAS or not np.isfinite(betas).all():
        raise InputError(
            f"{path}: betas of shape {betas.shape}; wanted (frames, {BETAS}) finite numbers"
        )
    betas = betas[:, :BETAS].astype(np.float64)
    change = float(np.ptp(betas, axis=0).max())
    if change > _BETAS_SLACK:
        logger.warning("%s: betas change by %.2g during the take; their mean is used", path, change)
    return torch.from_numpy(betas.mean(axis=0)).float()


def _gender(path: Path, values: Mapping[str, Any], role: Role) -> Gender:
    """Return the gender that the file states, or else that of all dancers of the role."""
    meta = values.get("meta")
    stated = meta.get("gender") if isinstance(meta, Mapping) else None
    if stated is None:
        return GENDER[role]
    word = (stated.decode(errors="replace") if isinstance(stated, bytes) else str(stated)).lower()
    for gender in GENDERS:
        if gender == word:
            return gender
    raise InputError(f"{path}: the gender {word!r}; wanted one of {', '.join(GENDERS)}")


def _require_equal(path: Path, one: str, found: int, other: str, there: int) -> None:
    if found != there:
        raise InputError(
            f"{path} has {found} frames of {one} and {there} of {other}; both must be of one take"
        )


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, {value.shape}"
    return f"a {type(value).__name__}"
