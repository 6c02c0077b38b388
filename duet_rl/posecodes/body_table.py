"""The rows of one body: 70 groups of 392 codes as published, and two more of our own.

The measurements and thresholds are facts of the published codes (PGR2M, after CoMo); the words are
ours. A code's number is its place in these rows.
"""

from duet_rl.posecodes.table import Row, Scale, rows, shared, steps

_DEGREES, _BENT_TO = steps(10, 170, 10, "degrees")
_METRES, _APART = steps(0.1, 0.9, 0.1, "m", " from")
_SIDE = (-0.15, 0.15)  # m
_TILT = (10, 80)  # deg from the vertical
_ANGLE_JITTER = 5.0  # deg
_LENGTH_JITTER = 0.05  # m

BEND = Scale(
    _DEGREES,
    _BENT_TO,
    shared(
        ("folded", 4),
        ("sharply bent", 4),
        ("bent at a right angle", 2),
        ("bent", 4),
        ("slightly bent", 2),
        ("straight", 2),
    ),
    _ANGLE_JITTER,
)
APART = Scale(
    _METRES,
    _APART,
    shared(
        ("touching", 1),
        ("close to", 2),
        ("a little away from", 3),
        ("away from", 3),
        ("far from", 1),
    ),
    _LENGTH_JITTER,
)
LEFT = Scale(_SIDE, ("right of", "in line with", "left of"), jitter=_LENGTH_JITTER)
UP = Scale(_SIDE, ("below", "level with", "above"), jitter=_LENGTH_JITTER)
FORWARD = Scale(_SIDE, ("behind", "beside", "in front of"), jitter=_LENGTH_JITTER)
TILT = Scale(_TILT, ("vertical", "slanted", "horizontal"), jitter=_ANGLE_JITTER)
GROUND = Scale((0.1,), ("on the ground", "off the ground"), jitter=_LENGTH_JITTER)

PUBLISHED_ROWS: tuple[Row, ...] = (
    *rows(
        *("angle", BEND),
        "left_hip left_knee left_ankle",
        "right_hip right_knee right_ankle",
        "left_shoulder left_elbow left_wrist",
        "right_shoulder right_elbow right_wrist",
    ),
    *rows(
        *("distance", APART),
        "left_elbow right_elbow",
        "left_hand right_hand",
        "left_knee right_knee",
        "left_foot right_foot",
        "left_hand left_shoulder",
        "left_hand right_shoulder",
        "right_hand right_shoulder",
        "right_hand left_shoulder",
        "left_hand right_elbow",
        "right_hand left_elbow",
        "left_hand left_knee",
        "left_hand right_knee",
        "right_hand right_knee",
        "right_hand left_knee",
        "left_hand left_foot",
        "left_hand right_foot",
        "right_hand right_foot",
        "right_hand left_foot",
    ),
    *rows(
        *("left", LEFT),
        "left_hand right_hand",
        "neck pelvis",
        "left_hand left_shoulder",
        "right_hand right_shoulder",
        "left_foot left_hip",
        "right_foot right_hip",
    ),
    *rows(
        *("up", UP),
        "left_shoulder right_shoulder",
        "left_elbow right_elbow",
        "left_hand right_hand",
        "left_knee right_knee",
        "left_ankle neck",
        "right_ankle neck",
        "left_hip left_knee",
        "right_hip right_knee",
        "left_hand left_shoulder",
        "right_hand right_shoulder",
        "left_foot left_hip",
        "right_foot right_hip",
        "left_wrist neck",
        "right_wrist neck",
        "left_hand left_hip",
        "right_hand right_hip",
    ),
    *rows(
        *("forward", FORWARD),
        "left_shoulder right_shoulder",
        "left_elbow right_elbow",
        "left_hand right_hand",
        "left_knee right_knee",
        "neck pelvis",
        "left_hand torso",
        "right_hand torso",
        "left_foot torso",
        "right_foot torso",
    ),
    *rows(
        *("tilt", TILT),
        "left_hip left_knee = left thigh",
        "right_hip right_knee = right thigh",
        "left_knee left_ankle = left calf",
        "right_knee right_ankle = right calf",
        "left_shoulder left_elbow = left upper arm",
        "right_shoulder right_elbow = right upper arm",
        "left_elbow left_wrist = left forearm",
        "right_elbow right_wrist = right forearm",
        "pelvis left_shoulder = line from pelvis to left shoulder",
        "pelvis right_shoulder = line from pelvis to right shoulder",
        "pelvis neck = trunk",
        "left_hand right_hand = line between the hands",
        "left_foot right_foot = line between the feet",
        object="",
    ),
    *rows(
        *("up", GROUND),
        "left_knee lowest",
        "right_knee lowest",
        "left_foot lowest",
        "right_foot lowest",
        object="",
    ),
)

# The published codes look no higher than the shoulders: they cannot tell a hand over the head.
BODY_ROWS: tuple[Row, ...] = (
    *PUBLISHED_ROWS,
    *rows("up", UP, "left_hand head", "right_hand head"),
)
