"""What the arms of synthetic soloists do: poses of a hand, and phrases of them, bar by bar."""

import numpy as np

from duet_rl.audio.grooves import Style
from duet_rl.datasets.synthetic_holds import HandPose, Side, Vector

Arms = tuple[str, str]  # poses of the left and of the right hand on one beat


def _pose(palm: Vector, fingers: Vector, facing: Vector, elbow: Vector, curl: float) -> HandPose:
    return HandPose("own", palm, fingers, facing, elbow, curl, "own")


# Of the left hand: palm (metres from the middle of the chest), fingers, facing, elbow; x to the
# left, z forward.
ARM_POSES: dict[str, HandPose] = {
    "low": _pose((0.30, -0.30, 0.12), (0.2, -0.9, 0.4), (-1, -0.1, 0), (0.6, -0.3, -0.7), 0.3),
    "back": _pose((0.33, -0.24, -0.12), (0.3, -0.9, 0.1), (-1, -0.1, 0.2), (0.5, -0.2, -1), 0.3),
    "waist": _pose((0.27, -0.14, 0.20), (-0.4, 0.2, 0.9), (-0.8, -0.6, 0.1), (1, -0.5, -0.6), 0.8),
    "front": _pose((0.20, 0.04, 0.44), (-0.1, 0.2, 1), (-0.3, -1, 0.1), (0.6, -0.8, -0.2), 0.25),
    "across": _pose((-0.06, 0.02, 0.32), (-0.9, 0.2, 0.4), (-0.2, -0.4, -0.9), (1, -0.7, 0), 0.3),
    "side": _pose((0.66, 0.10, 0.10), (1, 0.1, 0.2), (0.1, -1, 0.3), (0.3, -0.7, -0.6), 0.15),
    "high": _pose((0.36, 0.44, 0.16), (0.4, 0.9, 0.2), (-0.4, -0.3, 1), (0.9, -0.4, -0.2), 0.2),
}

PHRASES: dict[Style, tuple[tuple[Arms, ...], ...]] = {  # one bar each
    "waltz": (
        (("low", "low"), ("side", "front"), ("side", "side")),
        (("front", "side"), ("across", "side"), ("low", "side")),
        (("side", "low"), ("high", "low"), ("high", "side")),
        (("front", "front"), ("high", "high"), ("side", "side")),
        (("low", "side"), ("low", "high"), ("side", "high")),
    ),
    "tango": (
        (("waist", "side"), ("waist", "side"), ("side", "waist"), ("side", "waist")),
        (("low", "back"), ("front", "back"), ("back", "front"), ("back", "low")),
        (("across", "side"), ("side", "side"), ("side", "across"), ("side", "side")),
        (("high", "waist"), ("high", "waist"), ("side", "waist"), ("low", "waist")),
    ),
    "salsa": (
        (("front", "back"), ("waist", "waist"), ("back", "front"), ("waist", "waist")),
        (("waist", "waist"), ("side", "waist"), ("waist", "waist"), ("waist", "side")),
        (("across", "waist"), ("side", "waist"), ("waist", "across"), ("waist", "side")),
        (("front", "front"), ("high", "front"), ("front", "front"), ("front", "high")),
        (("low", "low"), ("waist", "waist"), ("front", "front"), ("waist", "waist")),
    ),
}


def arms_of(style: Style, beats: int, rng: np.random.Generator) -> dict[Side, list[HandPose]]:
    """Return the pose of each hand on `beats` beats: phrases, none of them twice in a row.

    A phrase is danced as it is written or with the sides exchanged.
    """
    phrases, dance, last = PHRASES[style], list[Arms](), -1
    while len(dance) < beats:
        choice = int(rng.choice([index for index in range(len(phrases)) if index != last]))
        exchanged = bool(rng.integers(2))
        dance += [(right, left) if exchanged else (left, right) for left, right in phrases[choice]]
        last = choice
    return {
        "left": [ARM_POSES[left] for left, _ in dance[:beats]],
        "right": [ARM_POSES[right].mirrored() for _, right in dance[:beats]],
    }
