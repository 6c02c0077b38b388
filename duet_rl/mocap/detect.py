"""What a motion file does not say: its unit, which way is up, where the floor is, how fast it is.

All of it is told by the body: people have legs of about one length, stand upright most of the
time, have their feet on the floor, and cannot move at any speed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import FEET, JOINT, SOLE_DEPTH, UP
from duet_rl.mocap.axes import UpAxis

UNITS: dict[str, float] = {  # metres per unit
    "m": 1.0,
    "cm": 0.01,
    "mm": 0.001,
    "inch": 0.0254,
    "dm": 0.1,
    "foot": 0.3048,
}
LEG = 0.83  # m; hip to ankle of an adult, along the bones
LEG_RANGE = (0.68, 1.05)  # m; of children of ten to very tall people
PERSON_RANGE = (0.3, 2.0)  # m; legs beyond it are no person's, whatever the person
FLOOR_SLACK = 0.05  # m; a floor that is nearer to y = 0 is left there
SOLE_LIMIT = 0.1  # m; the most that a sole may add under the foot of a skeleton without shoes
FAST_FEET = 4.2  # m/s; a dancer's ankles are slower for all but a twentieth of the time

_STANDING = 0.1  # share of the frames in which the lower foot is taken to stand on the floor
_MOST = 0.95  # of the time
_CLEAR = 1.5  # an axis along which the body lies so much more than along the next is up


class Scale(NamedTuple):
    metres: float  # per unit of the file
    reason: str
    certain: bool


class UpFound(NamedTuple):
    axis: UpAxis
    certain: bool


def scale_of(leg: float, known: Sequence[float] = ()) -> Scale:
    """Return the unit in which a leg is as long as a person's.

    Args:
        leg: thigh and shin together, in units of the file.
        known: metres per unit that files of this family come in, beside the usual units.
    """
    units = {**{f"{unit:.4g} m": unit for unit in known}, **UNITS}
    fitting = {
        name: metres
        for name, metres in units.items()
        if LEG_RANGE[0] <= leg * metres <= LEG_RANGE[1]
    }
    if not fitting:
        return Scale(LEG / leg, f"no known unit: legs made {LEG} m", certain=False)
    name = min(fitting, key=lambda one: abs(torch.tensor(leg * fitting[one] / LEG).log().item()))
    return Scale(fitting[name], f"{name}: legs of {leg * fitting[name]:.2f} m", certain=True)


def up_of(places: Float[Tensor, "T 55 3"]) -> UpFound:
    """Return the axis along which a body is long over a take: from the ankles to the neck."""
    ankles = (places[:, JOINT["left_ankle"]] + places[:, JOINT["right_ankle"]]) / 2
    body = torch.nn.functional.normalize(places[:, JOINT["neck"]] - ankles, dim=-1).mean(0)
    y, z = float(body[1]), float(body[2])
    axis: UpAxis = "z" if z > y else "y"
    clear = max(y, z) > _CLEAR * max(min(y, z), abs(float(body[0])))
    return UpFound(axis, certain=clear)


def standing_height(places: Float[Tensor, "T 55 3"]) -> float:
    """Return how high the lower foot is above where it should be, metres, while it stands."""
    return float(places[:, FEET, UP].amin(-1).quantile(_STANDING)) - SOLE_DEPTH


def foot_speed(places: Float[Tensor, "T 55 3"], fps: float) -> float:
    """Return the speed, m/s, that the ankles exceed in a twentieth of the frames.

    Args:
        places: consecutive frames.
        fps: of them.
    """
    if len(places) < 2:
        return 0.0
    ankles = places[:, [JOINT["left_ankle"], JOINT["right_ankle"]]]
    speed = ankles.diff(dim=0).norm(dim=-1) * fps
    return float(speed.flatten().quantile(_MOST))
