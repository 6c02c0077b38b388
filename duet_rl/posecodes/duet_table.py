"""The rows of two bodies: who holds whom where, how near they are, and which way they face.

All are told of one dancer and of the partner as that dancer sees him. Lengths are true metres: a
hold is a hold between tall dancers, too.
"""

from duet_rl.posecodes.table import Row, Scale, rows

_JITTER = 0.03  # m
_TURN_JITTER = 5.0  # deg

# Up to 0.2 m between two palms a viewer takes for a hold.
HOLD = Scale(
    (0.2, 0.35, 0.7), ("holding", "close to", "within reach of", "away from"), jitter=_JITTER
)
TOUCH = Scale(
    (0.05, 0.15, 0.45), ("on", "close to", "within reach of", "away from"), jitter=_JITTER
)
STEP = Scale((0.15, 0.3, 0.6), ("touching", "beside", "a step from", "away from"), jitter=_JITTER)
DISTANCE = Scale(
    (0.35, 0.6, 1.1, 2.0),
    ("against", "near", "at arm's length from", "apart from", "far from"),
    jitter=_JITTER,
)
QUARTERS = Scale(
    (-135, -45, 45, 135),
    ("behind", "to the right of", "in front of", "to the left of"),
    jitter=_TURN_JITTER,
    cyclic=True,
)
EIGHTHS = Scale(
    (-157.5, -112.5, -67.5, -22.5, 22.5, 67.5, 112.5, 157.5),
    (
        "turned opposite to",
        "turned right by three eighths from",
        "turned right by a quarter from",
        "turned right by an eighth from",
        "turned the same way as",
        "turned left by an eighth from",
        "turned left by a quarter from",
        "turned left by three eighths from",
    ),
    jitter=_TURN_JITTER,
    cyclic=True,
)

_HELD = {"shoulders": ("left_shoulder", "right_shoulder"), "waist": ("pelvis", "spine3")}
_SIDES = ("left", "right")


def _touches(toucher: str, held: str, whose: str) -> tuple[Row, ...]:
    """Return a row for each hand of one dancer on each place of the other."""
    return tuple(
        Row(
            "gap",
            (f"{toucher}{side}_hand", *(held + end for end in ends)),
            TOUCH,
            object=f"{whose}{place}",
        )
        for side in _SIDES
        for place, ends in _HELD.items()
    )


DUET_ROWS: tuple[Row, ...] = (
    *rows(
        *("distance", HOLD),
        "left_hand partner_left_hand",
        "left_hand partner_right_hand",
        "right_hand partner_left_hand",
        "right_hand partner_right_hand",
    ),
    *_touches("", "partner_", "partner's "),
    *_touches("partner_", "", "dancer's "),
    Row("distance", ("pelvis", "partner_pelvis"), DISTANCE, "dancer", "partner"),
    Row("turn", ("pelvis", "ahead", "pelvis", "partner_pelvis"), QUARTERS, "partner", "dancer"),
    Row(
        "turn",
        ("partner_pelvis", "partner_ahead", "partner_pelvis", "pelvis"),
        QUARTERS,
        "dancer",
        "partner",
    ),
    Row(
        "turn",
        ("pelvis", "ahead", "partner_pelvis", "partner_ahead"),
        EIGHTHS,
        "partner",
        "dancer",
    ),
    *rows(
        *("distance", STEP),
        "left_foot partner_left_foot",
        "left_foot partner_right_foot",
        "right_foot partner_left_foot",
        "right_foot partner_right_foot",
    ),
)
