"""Who is in a dance that goes to other programs: names, colours, and notes for whoever opens it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from duet_rl.body.motion import Duet, Motion
from duet_rl.drawing.draw import FOLLOWER_COLOUR, LEADER_COLOUR, Colour

GENERATOR = "duet_rl"
_KNEE, _SLOPE, _OFFSET, _POWER = 0.04045, 12.92, 0.055, 2.4  # IEC 61966-2-1 (sRGB)


class Dancer(NamedTuple):
    """One of those who dance."""

    name: str
    colour: Colour
    motion: Motion


def cast_of(dance: Motion | Duet) -> list[Dancer]:
    """Return the leader and the follower of a couple, or the one dancer."""
    if isinstance(dance, Motion):
        return [Dancer("dancer", LEADER_COLOUR, dance)]
    return [
        Dancer("leader", LEADER_COLOUR, dance.leader),
        Dancer("follower", FOLLOWER_COLOUR, dance.follower),
    ]


def notes_of(dance: Motion | Duet, audio: Path | None = None) -> dict[str, str | float]:
    """Return what the format does not say: rate, length, and the music it was danced to."""
    notes: dict[str, str | float] = {
        "frames_per_second": dance.fps,
        "seconds": round(dance.seconds, 3),
    }
    if audio is not None:
        notes["music"] = f"{Path(audio).name} (not in this file; begins with the first frame)"
    return notes


def linear(colour: Colour) -> tuple[float, float, float]:
    """Return the light of an sRGB colour, 0 to 1 each, as renderers count it."""
    share = np.array(colour, dtype=np.float64) / np.iinfo(np.uint8).max
    light = np.where(share <= _KNEE, share / _SLOPE, ((share + _OFFSET) / (1 + _OFFSET)) ** _POWER)
    red, green, blue = light.round(6).tolist()
    return red, green, blue
