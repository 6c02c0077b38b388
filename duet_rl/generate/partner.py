"""Whom a dancer dances with, and the pose that it begins with, as files give them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.roles import Part, partner_of
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.generate.start import ChosenStart, Start
from duet_rl.mocap.couple_file import holds_couple
from duet_rl.mocap.motion_file import Found, log, read_motion

FOUND = "found"  # in place of a start's file: the dancer begins as it has learned to
_COUPLE = 2


@dataclass(frozen=True, eq=False)
class Partner:
    """Who is danced with.

    Args:
        path: of the file.
        motion: 30 fps.
        part: what the partner dances; the dancer dances the other part.
        person: which person of the file; None: nobody said.
        reading: how the file is read, see `read_motion`.
        found: what the file was taken for.
    """

    path: Path
    motion: Motion
    part: Part
    person: int | str | None
    reading: Mapping[str, Any]
    found: Found


def read_partner(
    path: Path,
    part: Part = "leader",
    person: int | str | None = None,
    reading: Mapping[str, Any] | None = None,
) -> Partner:
    """Return who is in a file.

    Args:
        path: of any motion file.
        part: what they dance. In a clip of a store it also says who is meant, unless `person` does.
        person: of a file with several, one by number from 1 or by name.
        reading: `fps`, `scale` and `up`, where they are not to be found out.

    Raises:
        InputError: no such file or person, or a file that cannot be read.
    """
    path, reading = require_file(path, f"the {part}'s motion"), dict(reading or {})
    if person is None and holds_couple(path):
        person = part
    read = read_motion(path, person=person, **reading)
    log(read)
    return Partner(path, read.motion.resample(FPS), part, person, reading, read.found)


def read_start(
    text: str, partner: Partner, place: tuple[float, float] | None = None
) -> Start | None:
    """Return the start that an option names; None: none is chosen.

    Arguments and errors are those of `choose_start`.
    """
    chosen = choose_start(text, place, partner)
    return None if chosen is None else chosen.beside(partner.motion)


def choose_start(
    text: str,
    place: tuple[float, float] | None = None,
    partner: Partner | None = None,
    part: Part = "leader",
    reading: Mapping[str, Any] | None = None,
) -> ChosenStart | None:
    """Return the start that an option names, beside a partner who may come later.

    Args:
        text: `found`, or `FILE`, or `FILE:SECONDS`. Of the partner's own file with two persons it
            is the other one; of a file of the same kind, the unit and the axis that is up are
            those found for the partner, for they were captured together.
        place: metres from the partner and degrees from straight ahead; None: where the file has it.
        partner: who is danced with, if a file has shown it.
        part: what the partner dances, if not.
        reading: how the file is read then, see `read_motion`.

    Returns:
        The start; None: none is chosen.

    Raises:
        InputError: no such file, a time that it does not have, or a place without a file, or where
            nobody stands.
    """
    if text == FOUND:
        if place is not None:
            raise InputError(
                "a place is given for a start that is found; give --start FILE[:SECONDS], too, or "
                "leave out --start-at"
            )
        return None
    path, seconds = _named(text)
    path = require_file(path, "the start pose")
    asked = dict(reading or {}) if partner is None else _as_read(partner, path)
    if "person" not in asked and holds_couple(path):
        asked["person"] = partner_of(part if partner is None else partner.part)
    read = read_motion(path, **asked)
    log(read)
    return ChosenStart(Start.of(read.motion.resample(FPS), seconds), place)


def place_of(text: str) -> tuple[float, float]:
    """Return metres from the partner and degrees from straight ahead, as `METRES[,DEGREES]` say.

    Raises:
        InputError: no such two numbers.
    """
    metres, _, degrees = text.partition(",")
    try:
        place = float(metres), float(degrees or 0)
    except ValueError:
        place = math.nan, math.nan
    if not all(map(math.isfinite, place)):
        raise InputError(f"--start-at {text}; give METRES[,DEGREES], such as 0.8 or 0.8,30")
    return place


def start_file(text: str) -> Path | None:
    """Return the file that an option for the start names, if it names one."""
    return None if text == FOUND else _named(text)[0]


def _named(text: str) -> tuple[Path, float]:
    """Return file and time of `FILE` or `FILE:SECONDS`."""
    name, _, tail = text.rpartition(":")
    try:
        seconds = float(tail)
    except ValueError:
        return Path(text), 0.0
    return (Path(text), 0.0) if not name or Path(text).is_file() else (Path(name), seconds)


def _as_read(partner: Partner, path: Path) -> dict[str, Any]:
    """Return how a start's file is read beside the partner's."""
    reading: dict[str, Any] = {}
    if path.suffix.lower() == partner.path.suffix.lower():
        found = partner.found
        reading = {"fps": partner.reading.get("fps"), "scale": found.scale, "up": found.up}
    if path.resolve() == partner.path.resolve():
        reading["person"] = _other_person(partner)
    return reading


def _other_person(partner: Partner) -> str | None:
    """Return who else is in the partner's file; with one person, or many, nobody can tell."""
    persons = partner.found.persons
    if len(persons) != _COUPLE:
        return None
    first = {None, 1, "1", persons[0]}
    return "2" if partner.person in first else "1"
