"""The shape of the stand-in body: cones round the joints of our default skeleton."""

import numpy as np
from jaxtyping import Float

from duet_rl.body.skeleton import JOINT, MIRROR
from duet_rl.meshes.blobs import Cone, Group

Point = tuple[str, float, float, float]  # a joint, and xyz from there, metres
Blob = tuple[str, Point, Point, float, float]  # owner, start, end, radius at start and end, metres

_FINGER_RADII = {  # m, at the knuckle and at the tip
    "index": (0.0090, 0.0072),
    "middle": (0.0090, 0.0074),
    "ring": (0.0087, 0.0070),
    "pinky": (0.0078, 0.0062),
    "thumb": (0.0125, 0.0090),
}
_TIPS = {  # m, from the last knuckle to the middle of the fingertip
    "index": (0.016, 0.0, 0.001),
    "middle": (0.018, 0.0, 0.0),
    "ring": (0.017, 0.0, -0.001),
    "pinky": (0.012, 0.0, -0.002),
    "thumb": (0.018, -0.001, 0.013),
}


def _at(joint: str, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Point:
    return (joint, x, y, z)


_TRUNK: tuple[Blob, ...] = (  # left half
    ("spine3", _at("spine3", 0.052, 0.11, 0.02), _at("spine2", 0.052, 0.04, 0.028), 0.094, 0.091),
    ("spine2", _at("spine2", 0.052, 0.04, 0.028), _at("spine2", 0.046, -0.04, 0.026), 0.091, 0.083),
    ("spine1", _at("spine2", 0.046, -0.04, 0.026), _at("spine1", 0.048, 0.02, 0.025), 0.083, 0.082),
    ("pelvis", _at("spine1", 0.048, 0.02, 0.025), _at("spine1", 0.060, -0.05, 0.02), 0.082, 0.088),
    ("pelvis", _at("spine1", 0.060, -0.05, 0.02), _at("pelvis", 0.074, -0.045, 0.0), 0.088, 0.091),
    (
        "pelvis",
        _at("pelvis", 0.07, -0.055, -0.035),
        _at("pelvis", 0.07, -0.055, -0.035),
        0.09,
        0.09,
    ),
    ("left_collar", _at("left_collar", 0.0, 0.01, 0.0), _at("left_shoulder"), 0.056, 0.056),
    ("left_collar", _at("neck", 0.02, -0.01, -0.005), _at("left_shoulder", -0.03), 0.045, 0.048),
)
_LEG: tuple[Blob, ...] = (
    ("left_hip", _at("left_hip", 0.003, -0.03, 0.0), _at("left_knee", 0.0, 0.04), 0.083, 0.058),
    ("left_hip", _at("left_knee", 0.0, 0.04), _at("left_knee"), 0.058, 0.052),
    ("left_knee", _at("left_knee"), _at("left_ankle", 0.0, 0.03), 0.052, 0.036),
    (
        "left_knee",
        _at("left_knee", 0.0, -0.07, -0.018),
        _at("left_knee", 0.0, -0.19, -0.016),
        0.050,
        0.040,
    ),
)
_FOOT: tuple[Blob, ...] = (
    ("left_ankle", _at("left_ankle", 0.0, 0.03), _at("left_ankle", 0.0, -0.02, 0.0), 0.036, 0.036),
    (
        "left_ankle",
        _at("left_ankle", 0.0, -0.02),
        _at("left_ankle", 0.0, -0.048, -0.03),
        0.036,
        0.033,
    ),
    (
        "left_ankle",
        _at("left_ankle", 0.0, -0.03, 0.01),
        _at("left_foot", -0.010, 0.014, 0.0),
        0.040,
        0.030,
    ),
    (
        "left_foot",
        _at("left_foot", -0.010, 0.014, 0.0),
        _at("left_foot", -0.012, 0.003, 0.045),
        0.030,
        0.022,
    ),
    (
        "left_ankle",
        _at("left_ankle", 0.0, -0.03, 0.01),
        _at("left_foot", 0.017, 0.012, 0.0),
        0.040,
        0.028,
    ),
    (
        "left_foot",
        _at("left_foot", 0.017, 0.012, 0.0),
        _at("left_foot", 0.017, 0.001, 0.034),
        0.028,
        0.020,
    ),
)
_ARM: tuple[Blob, ...] = (
    ("left_shoulder", _at("left_shoulder", -0.01), _at("left_shoulder", 0.06), 0.057, 0.047),
    ("left_shoulder", _at("left_shoulder", 0.06), _at("left_elbow"), 0.047, 0.038),
    ("left_elbow", _at("left_elbow"), _at("left_elbow", 0.08), 0.038, 0.039),
    ("left_elbow", _at("left_elbow", 0.08), _at("left_wrist", -0.02, 0.0, 0.006), 0.038, 0.021),
    ("left_elbow", _at("left_elbow", 0.08), _at("left_wrist", -0.02, 0.0, -0.006), 0.038, 0.021),
    (
        "left_wrist",
        _at("left_wrist", -0.02, 0.0, 0.008),
        _at("left_wrist", 0.02, 0.0, 0.010),
        0.020,
        0.018,
    ),
    (
        "left_wrist",
        _at("left_wrist", -0.02, 0.0, -0.008),
        _at("left_wrist", 0.02, 0.0, -0.012),
        0.020,
        0.018,
    ),
)
_HEAD: tuple[Blob, ...] = (  # left half
    ("neck", _at("neck", 0.0, -0.04, -0.005), _at("head", 0.0, 0.03, -0.012), 0.060, 0.053),
    ("head", _at("head", 0.0, 0.045, -0.02), _at("head", 0.0, 0.090, -0.024), 0.066, 0.079),
    ("head", _at("head", 0.0, 0.090, -0.024), _at("head", 0.0, 0.088, 0.006), 0.079, 0.078),
    ("head", _at("head", 0.0, 0.088, 0.006), _at("head", 0.0, 0.020, 0.030), 0.078, 0.056),
    ("jaw", _at("head", 0.022, 0.006, 0.034), _at("head", 0.013, -0.036, 0.064), 0.040, 0.025),
)
_FACE: tuple[Blob, ...] = (
    ("head", _at("head", 0.0, 0.062, 0.080), _at("head", 0.0, 0.034, 0.090), 0.009, 0.012),
    (
        "left_eye",
        _at("left_eye", 0.0, 0.0, -0.003),
        _at("left_eye", 0.0, 0.0, -0.003),
        0.0125,
        0.0125,
    ),
    (
        "head",
        _at("left_eye", 0.044, -0.015, -0.085),
        _at("left_eye", 0.045, 0.015, -0.09),
        0.010,
        0.014,
    ),
)


def _fingers() -> dict[str, tuple[Blob, ...]]:
    fingers = {}
    for finger, (base, tip) in _FINGER_RADII.items():
        radii = np.linspace(base, tip, 4)
        joints = [f"left_{finger}{knuckle}" for knuckle in (1, 2, 3)]
        points = [*map(_at, joints), _at(joints[2], *_TIPS[finger])]
        fingers[finger] = tuple(
            (joints[k], points[k], points[k + 1], float(radii[k]), float(radii[k + 1]))
            for k in range(3)
        )
    return fingers


def _palm() -> tuple[Blob, ...]:
    starts = {"index": 0.010, "middle": 0.003, "ring": -0.005, "pinky": -0.012}
    bones: list[Blob] = [
        ("left_wrist", _at("left_wrist", 0.015, -0.001, z), _at(f"left_{finger}1"), 0.0145, 0.0105)
        for finger, z in starts.items()
    ]
    ball = _at("left_thumb1")
    bones.append(("left_wrist", _at("left_wrist", 0.01, -0.002, 0.008), ball, 0.016, 0.0135))
    bones.append(("left_wrist", ball, _at("left_index1", -0.025, -0.006, -0.006), 0.013, 0.011))
    return tuple(bones)


_RIGHT_OF = {name: list(JOINT)[other] for name, other in zip(JOINT, MIRROR, strict=True)}


def _mirrored(blob: Blob) -> Blob:
    owner, start, end, *radii = blob
    ends = [(_RIGHT_OF[joint], -x, y, z) for joint, x, y, z in (start, end)]
    return (_RIGHT_OF[owner], ends[0], ends[1], radii[0], radii[1])


def stand_in_groups(rest: Float[np.ndarray, "55 3"]) -> tuple[Group, ...]:
    """Return the cones of the body whose joints rest at `rest`, metres, in a T-pose."""

    def cone(blob: Blob) -> Cone:
        owner, start, end, start_radius, end_radius = blob
        places = [tuple((rest[JOINT[joint]] + offset).tolist()) for joint, *offset in (start, end)]
        return Cone(JOINT[owner], places[0], places[1], start_radius, end_radius)

    def group(blobs: tuple[Blob, ...], blend: float, join: float) -> Group:
        return Group(tuple(map(cone, blobs)), blend, join)

    def both(blobs: tuple[Blob, ...], blend: float, join: float) -> tuple[Group, Group]:
        return group(blobs, blend, join), group(tuple(map(_mirrored, blobs)), blend, join)

    trunk = _TRUNK + tuple(map(_mirrored, _TRUNK))
    head = _HEAD + tuple(map(_mirrored, _HEAD[-1:]))
    face = _FACE + tuple(map(_mirrored, _FACE[1:]))
    fingers = [both(blobs, 0.002, 0.004) for blobs in _fingers().values()]
    return (
        group(trunk, 0.045, 0.0),
        *both(_LEG, 0.015, 0.030),
        *both(_FOOT, 0.030, 0.012),
        *both(_ARM, 0.012, 0.035),
        *both(_palm(), 0.010, 0.012),
        *(side for pair in fingers for side in pair),
        group(head, 0.020, 0.030),
        group(face, 0.0, 0.012),
    )
