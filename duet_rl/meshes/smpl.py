"""The licensed SMPL body, as far as dances need it: where the 24 joints of its mean shape lie.

A joint of SMPL moves with the bones alone, so its surface and its pose corrections play no part.
The model files are not ours to give; `meshes/stand_in_smpl.py` writes one of the same layout that
is.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import (
    JOINT,
    NUM_JOINTS,
    NUM_SMPL_JOINTS,
    PARENTS,
    WRISTS,
    Skeleton,
    default_skeleton,
)
from duet_rl.errors import InputError
from duet_rl.mocap.npz import load_arrays
from duet_rl.pickles import load_pickle

BODY_JOINTS = 22  # the first of them are ours; the last two are hands
SMPL_PARENTS = (*PARENTS[:BODY_JOINTS], *WRISTS)
HANDS = (JOINT["left_middle1"], JOINT["right_middle1"])  # ours where SMPL has its hands
SMPL_VERTICES = 6890

_NAMES = (  # of the male body in a folder, newest first
    "SMPL_MALE",
    "basicmodel_m_lbs_10_207_0_v1.1.0",
    "basicModel_m_lbs_10_207_0_v1.0.0",
)
_FOLDERS = (".", "smpl", "models/smpl", "models")
_SOURCE = (
    "register at https://smpl.is.tue.mpg.de for the licensed file, or make a stand-in with "
    "`duet-rl prepare body --smpl --out FOLDER`"
)
_KNUCKLES = tuple(f"{finger}1" for finger in ("index", "middle", "pinky", "ring", "thumb"))


class SmplBody:
    """The bones of SMPL's mean male body.

    Args:
        rest: its 24 joints at rest, metres, in the axes of the model: y up, facing +Z.
    """

    def __init__(self, rest: Float[Tensor, "24 3"]) -> None:
        self.rest = rest
        self.skeleton = Skeleton(_offsets(rest), "SMPL male")

    @classmethod
    def load(cls, path: Path | str) -> "SmplBody":
        """Read a model file. Nothing in it is run, for a pickle can be any program.

        Args:
            path: `SMPL_MALE.pkl` or `.npz` (or the name it is given out by), or its folder.

        Raises:
            InputError: no such file; another kind of file; damaged; no SMPL.
        """
        return cls(_rest_joints(_find(Path(path))))

    def motion(
        self, poses: Float[Tensor, "T 24 3"], transl: Float[Tensor, "T 3"], fps: float
    ) -> Motion:
        """Return the motion of the body; its first 22 joints and `HANDS` are those of SMPL.

        Fingers and face are at rest, where SMPL has none; the turn of SMPL's hands, which moves
        nothing of its skeleton, is left out.

        Args:
            poses: each joint's rotation relative to its parent as an axis-angle, radians.
            transl: translation of the model, metres: the pelvis less where it is at rest.
            fps: frames per second.
        """
        rotations = torch.eye(3, dtype=torch.float64).repeat(len(poses), NUM_JOINTS, 1, 1)
        rotations[:, :BODY_JOINTS] = axis_angle_to_matrix(poses[:, :BODY_JOINTS].double())
        root = transl.double() + self.rest[0]
        return Motion.from_rotations(root.float(), rotations.float(), self.skeleton, fps)


def _offsets(rest: Float[Tensor, "24 3"]) -> Float[Tensor, "55 3"]:
    """Return SMPL's bones, with the hands and the face of our own body put on them."""
    offsets = default_skeleton().offsets.clone()
    offsets[1:BODY_JOINTS] = (rest[1:BODY_JOINTS] - rest[list(SMPL_PARENTS[1:BODY_JOINTS])]).float()
    for side, wrist, hand in zip(("left", "right"), WRISTS, (22, 23), strict=True):
        shift = (rest[hand] - rest[wrist]).float() - offsets[JOINT[f"{side}_middle1"]]
        for knuckle in _KNUCKLES:
            offsets[JOINT[f"{side}_{knuckle}"]] += shift
    return offsets


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist; wanted SMPL_MALE.pkl or its folder: {_SOURCE}")
    for name in _NAMES:
        for folder in _FOLDERS:
            for suffix in (".npz", ".pkl"):
                if (found := path / folder / f"{name}{suffix}").is_file():
                    return found
    raise InputError(f"{path} holds no SMPL_MALE.pkl or .npz; {_SOURCE}")


def _rest_joints(path: Path) -> Float[Tensor, "24 3"]:
    """Return the joints of the mean body: the regressor's mixture of its vertices."""
    wanted = {
        "v_template": (SMPL_VERTICES, 3),
        "J_regressor": (NUM_SMPL_JOINTS, SMPL_VERTICES),
        "kintree_table": (2, NUM_SMPL_JOINTS),
    }
    arrays: dict[str, Any]
    if path.suffix.lower() == ".pkl":
        arrays = load_pickle(path, "an SMPL body model")
    else:
        arrays = load_arrays(path, lambda name: name in wanted)
    for name, shape in wanted.items():
        array: Any = arrays.get(name)
        numbers = isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.number)
        if not numbers or array.shape != shape or not np.isfinite(array).all():
            found = "not there" if name not in arrays else f"of shape {np.shape(array)}"
            raise InputError(
                f"{path}: {name} is {found}; wanted {shape} finite numbers as in SMPL: {_SOURCE}"
            )
    if tuple(arrays["kintree_table"][0, 1:]) != SMPL_PARENTS[1:]:
        raise InputError(f"{path}: the joint tree is not that of SMPL; {_SOURCE}")
    rest = arrays["J_regressor"].astype(np.float64) @ arrays["v_template"].astype(np.float64)
    return torch.from_numpy(rest)
