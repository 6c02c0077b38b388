"""A body of our own in the files of SMPL-X, for everybody who has no licensed model.

Nothing in it is taken from SMPL-X but the layout: the arrays, their shapes and the joint tree. The
surface grows round the joints of our default skeleton, and the ten shapes are chosen by hand.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from duet_rl.body.skeleton import JOINT, NUM_JOINTS, PARENTS, UP, default_skeleton
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.meshes.stand_in_mesh import VERTICES, Skin, skin, smooth_step
from duet_rl.mocap.npz import load_arrays

SHAPES = (  # what one unit of each beta adds
    "height",
    "girth",
    "leg_length",
    "arm_length",
    "trunk_length",
    "shoulder_width",
    "hip_width",
    "belly",
    "head_size",
    "foot_length",
)
EXPRESSIONS = 10  # in the files, all zero: the face does not move
FORMAT = "SMPLX_{}.npz"

_GENDERS: dict[str, dict[str, float]] = {  # betas of the mean body of each file
    "NEUTRAL": {},
    "MALE": {"height": 1.0, "shoulder_width": 1.2, "hip_width": -0.6, "foot_length": 0.8},
    "FEMALE": {"height": -1.2, "girth": -0.2, "shoulder_width": -1.0, "hip_width": 0.8},
}
ORIGIN = "made by duet_rl; holds no part of the licensed model"
# The origin of a body model lies above the pelvis; this is where mocap/npz.py takes it to be.
_PELVIS = (0.0, -0.35, 0.01)
_GIRTH = {  # m per unit of girth, along the normal
    **dict.fromkeys(("pelvis", "spine1", "spine2"), 0.014),
    **dict.fromkeys(("spine3", "left_hip", "right_hip"), 0.010),
    **dict.fromkeys(("left_collar", "right_collar", "left_knee", "right_knee"), 0.006),
    **dict.fromkeys(("left_shoulder", "right_shoulder"), 0.006),
    **dict.fromkeys(("left_elbow", "right_elbow", "neck", "jaw"), 0.003),
}
_RELAXED_CURL = 0.2  # rad; how far each knuckle of a hand at rest is bent
_LANDMARKS = 51  # fixed ones, on the face
_CONTOUR_ANGLES, _CONTOUR_LANDMARKS = 79, 17  # landmarks along the jaw for each turn of the head


def write_stand_in(folder: Path | str) -> Path:
    """Write `SMPLX_NEUTRAL.npz`, `SMPLX_MALE.npz` and `SMPLX_FEMALE.npz`; return the folder.

    The same files come out every time. Stand-ins that are there already are written anew.

    Raises:
        InputError: a file of one of these names is no stand-in; it is left as it is.
    """
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{folder} is a file; give a folder for the body models")
    paths = {gender: folder / FORMAT.format(gender) for gender in _GENDERS}
    for path in paths.values():
        if path.exists() and not is_stand_in(path):
            raise InputError(
                f"{path} is there and is no stand-in of ours; it stays, give another folder"
            )
    for gender, path in paths.items():
        arrays = stand_in_arrays(gender)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return folder


def is_stand_in(path: Path | str) -> bool:
    """Return whether a file is one that `write_stand_in` wrote."""
    try:
        arrays = load_arrays(Path(path), lambda name: name == "origin")
    except InputError:
        return False
    return str(arrays.get("origin", "")) == ORIGIN


def stand_in_arrays(gender: str) -> dict[str, np.ndarray]:
    """Return the arrays of one file, under the names that SMPL-X gives them.

    Args:
        gender: "NEUTRAL", "MALE" or "FEMALE".
    """
    body, directions, regressor, landmarks = _common()
    betas = np.array([_GENDERS[gender].get(name, 0.0) for name in SHAPES])
    curl = np.zeros((15, 3))
    curl[:12, 2] = -_RELAXED_CURL  # all fingers but the thumb, towards the palm
    return {
        "v_template": _single(_moved(body) + directions @ betas),
        "f": body.faces.astype(np.uint32),
        "weights": _single(body.weights),
        "J_regressor": _single(regressor),
        "shapedirs": _single(np.pad(directions, ((0, 0), (0, 0), (0, EXPRESSIONS)))),
        "posedirs": np.zeros((VERTICES, 3, 9 * (NUM_JOINTS - 1)), np.float32),
        "kintree_table": np.array([PARENTS, range(NUM_JOINTS)]).astype(np.uint32),
        "hands_componentsl": np.eye(45, dtype=np.float32),
        "hands_componentsr": np.eye(45, dtype=np.float32),
        "hands_meanl": _single(curl.ravel()),
        "hands_meanr": _single(-curl.ravel()),
        **landmarks,
        "origin": np.array(ORIGIN),
    }


@lru_cache(maxsize=1)
def _common() -> tuple[Skin, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return what all three files share."""
    rest = default_skeleton().rest_joints().double().numpy()
    body = skin(rest)
    return body, _directions(body, rest), _regressor(body, rest), _landmarks(body, rest)


def _moved(body: Skin) -> Float[np.ndarray, "V 3"]:
    pelvis = default_skeleton().rest_joints().double().numpy()[0]
    return body.vertices - pelvis + _PELVIS


def _directions(body: Skin, rest: np.ndarray) -> Float[np.ndarray, "V 3 10"]:
    """Return how far one unit of each of `SHAPES` moves each vertex, metres."""
    x, y, z = body.vertices.T
    right = np.abs(x)
    hip, shoulder, neck = (rest[JOINT[name]] for name in ("left_hip", "left_shoulder", "neck"))
    arm = smooth_step(right, shoulder[0], shoulder[0] + 0.06)
    head = smooth_step(y, neck[UP], neck[UP] + 0.1) * (1 - arm)
    zero = np.zeros_like(x)

    def outwards(amount: np.ndarray) -> np.ndarray:  # left to +x, right to -x
        return np.stack([np.sign(x) * amount, zero, zero], axis=1)

    def up(amount: np.ndarray) -> np.ndarray:
        return np.stack([zero, amount, zero], axis=1)

    girth = body.weights @ np.array([_GIRTH.get(name, 0.0) for name in JOINT])
    chest = smooth_step(y, 1.15, shoulder[UP]) * smooth_step(right, 0.0, shoulder[0])
    hips = (1 - smooth_step(y, hip[UP] + 0.05, hip[UP] + 0.25)) * smooth_step(right, 0.0, hip[0])
    belly = np.exp(-(((y - rest[JOINT["spine1"], UP]) / 0.09) ** 2)) * smooth_step(z, 0.0, 0.1)
    ankle = rest[JOINT["left_ankle"]]
    foot = 1 - smooth_step(y, ankle[UP], ankle[UP] + 0.08)
    by_name = {
        "height": 0.035 * (body.vertices - rest[0]),
        "girth": girth[:, None] * body.outwards,
        "leg_length": up(0.05 * (np.minimum(y, hip[UP]) - hip[UP])),
        "arm_length": outwards(0.05 * np.maximum(right - shoulder[0], 0)),
        "trunk_length": up(0.05 * (y.clip(hip[UP], neck[UP]) - hip[UP])),
        "shoulder_width": outwards(0.012 * np.maximum(chest, arm)),
        "hip_width": outwards(0.010 * hips * (1 - arm)),
        "belly": np.stack([zero, zero, 0.015 * belly * (1 - arm)], axis=1),
        "head_size": 0.04 * head[:, None] * (body.vertices - rest[JOINT["head"]]),
        "foot_length": np.stack([zero, zero, 0.05 * foot * (z - ankle[2])], axis=1),
    }
    return np.stack([by_name[name] for name in SHAPES], axis=-1)


def _regressor(body: Skin, rest: np.ndarray) -> Float[np.ndarray, "55 V"]:
    """Return weights of the vertices round each joint whose sum is the joint itself."""
    regressor = np.zeros((NUM_JOINTS, VERTICES))
    for joint, place in enumerate(rest):
        distance = np.linalg.norm(body.vertices - place, axis=1)
        owners = [joint, max(PARENTS[joint], 0)]
        distance[body.weights[:, owners].sum(axis=1) < 0.3] = np.inf
        reach = 0.3 * distance.min() + 0.004
        while (weights := _means(body.vertices, place, distance, reach)) is None:
            reach *= 1.3
        regressor[joint] = weights
    return regressor


def _means(
    vertices: np.ndarray, place: np.ndarray, distance: np.ndarray, reach: float
) -> np.ndarray | None:
    """Return weights >= 0 of the nearest vertices with sum 1 and mean `place`, or None.

    Least squares over the weights, divided by a Gaussian over how much farther a vertex is than
    the nearest: many vertices share in each joint, so it moves smoothly with the shape.
    """
    assert reach < 1, f"no vertices surround the joint at {place}"
    share = np.exp(-(((distance - distance.min()) / reach) ** 2))
    chosen = np.flatnonzero(share > 1e-3)
    while len(chosen) >= 4:
        conditions = np.vstack([(vertices[chosen] - place).T / reach, np.ones(len(chosen))])
        scaled = conditions * share[chosen]
        weights = share[chosen] * (
            conditions.T @ np.linalg.lstsq(scaled @ conditions.T, np.eye(4)[3], rcond=None)[0]
        )
        if np.abs(conditions @ weights - np.eye(4)[3]).max() > 1e-9:
            return None
        if (weights >= 0).all():
            full = np.zeros(len(vertices))
            full[chosen] = weights
            return full
        chosen = chosen[weights > 0]
    return None


def _landmarks(body: Skin, rest: np.ndarray) -> dict[str, np.ndarray]:
    """Return the points on the face that SMPL-X has; ours lie on a grid and along the jaw."""
    centres = KDTree(body.vertices[body.faces].mean(axis=1))
    head = rest[JOINT["head"]]

    def nearest(points: np.ndarray) -> Int[np.ndarray, "P"]:
        return centres.query(points)[1]

    across, above = np.meshgrid(np.linspace(-0.04, 0.04, 3), np.linspace(-0.03, 0.09, 17))
    face = nearest(head + np.stack([across.ravel(), above.ravel(), 0.1 + 0 * across.ravel()], 1))
    assert len(face) == _LANDMARKS
    turns = np.radians(np.arange(_CONTOUR_ANGLES))
    # Entries 0 to 39 are turns to one side in degrees, the rest turns to the other.
    turns = np.where(turns > np.radians(39), np.radians(39) - turns, turns)
    along = np.linspace(-np.pi / 2, np.pi / 2, _CONTOUR_LANDMARKS)
    angles = turns[:, None] + along
    jaw = np.stack([np.sin(angles), np.broadcast_to(-0.1 * np.cos(along), angles.shape)], axis=-1)
    jaw = np.concatenate([jaw, np.cos(angles)[..., None]], axis=-1)
    contour = nearest((head + 0.09 * jaw).reshape(-1, 3)).reshape(angles.shape)
    return {
        "lmk_faces_idx": face,
        "lmk_bary_coords": np.full((_LANDMARKS, 3), 1 / 3, np.float32),
        "dynamic_lmk_faces_idx": contour,
        "dynamic_lmk_bary_coords": np.full((*contour.shape, 3), 1 / 3, np.float32),
    }


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)
