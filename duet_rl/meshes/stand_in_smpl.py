"""A body of our own in the file of SMPL, for everybody who has no licensed model.

Nothing in it is taken from SMPL but the layout of the arrays that hold its joints. It has no
surface: the vertices are clouds round the joints of our default skeleton.
"""

from pathlib import Path

import numpy as np

from duet_rl.body.skeleton import NUM_SMPL_JOINTS, default_skeleton
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.meshes.smpl import BODY_JOINTS, HANDS, SMPL_PARENTS, SMPL_VERTICES
from duet_rl.meshes.stand_in import ORIGIN, is_stand_in

NAME = "SMPL_MALE.npz"

_PELVIS = (0.0, -0.23, 0.02)  # m; about where the mean body has it from the model's origin
_CLOUD = 0.04  # m; size of the cloud of vertices round a joint


def write_smpl_stand_in(folder: Path | str) -> Path:
    """Write `SMPL_MALE.npz` and return it. The same file comes out every time.

    Raises:
        InputError: a file of this name is no stand-in; it is left as it is.
    """
    path = Path(folder) / NAME
    if path.exists() and not is_stand_in(path):
        raise InputError(
            f"{path} is there and is no stand-in of ours; it stays, give another folder"
        )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **smpl_stand_in_arrays())  # type: ignore[arg-type]
    return path


def smpl_stand_in_arrays() -> dict[str, np.ndarray]:
    """Return the arrays of the file, under the names that SMPL gives them."""
    ours = [*range(BODY_JOINTS), *HANDS]
    rest = default_skeleton().rest_joints()[ours].double().numpy()
    rest = rest - rest[0] + _PELVIS
    owner = np.arange(SMPL_VERTICES) % NUM_SMPL_JOINTS
    around = np.random.default_rng(0).normal(0, _CLOUD, (SMPL_VERTICES, 3))
    regressor = np.equal.outer(np.arange(NUM_SMPL_JOINTS), owner).astype(np.float64)
    regressor /= regressor.sum(axis=1, keepdims=True)
    around -= (regressor @ around)[owner]  # each cloud's middle is its joint
    return {
        "v_template": rest[owner] + around,
        "J_regressor": regressor,
        "kintree_table": np.array(
            [(2**32 - 1, *SMPL_PARENTS[1:]), range(NUM_SMPL_JOINTS)], np.int64
        ),
        "origin": np.array(ORIGIN),
    }
