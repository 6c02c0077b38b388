"""What a mirror makes of codes: whose code each group takes, and in which order of classes."""

from collections.abc import Sequence
from typing import NamedTuple

from duet_rl.errors import InputError
from duet_rl.posecodes.table import Row


class Mirror(NamedTuple):
    """For each group: the one whose code it takes, and whether its value is then negated."""

    groups: tuple[int, ...]
    negated: tuple[bool, ...]
    last: tuple[int, ...]  # the class that class 0 becomes where the value is negated


def mirror_of(rows: Sequence[Row]) -> Mirror:
    """Return what a mirror makes of the groups of a table.

    Raises:
        InputError: a row has no counterpart, or its classes are not those of the negated value.
    """
    pairs = [_counterpart(row, rows) for row in rows]
    for row, (_, negated) in zip(rows, pairs, strict=True):
        ends = row.scale.thresholds
        if negated and [-end for end in reversed(ends)] != list(ends):
            raise InputError(
                f"group {row.name} has no mirror image: its thresholds {ends} are not those of "
                "the other side; make them symmetrical"
            )
    return Mirror(
        tuple(group for group, _ in pairs),
        tuple(negated for _, negated in pairs),
        # Classes that come round begin with the one around 180 degrees, which stays.
        tuple(row.scale.classes - (not row.scale.cyclic) for row in rows),
    )


def _counterpart(row: Row, rows: Sequence[Row]) -> tuple[int, bool]:
    """Return the group of the same points of the other side, and whether its value is negated."""
    wanted = tuple(map(_other_side, row.points))
    backwards = wanted[::-1]
    for group, other in enumerate(rows):
        if (other.operator, other.scale) != (row.operator, row.scale):
            continue
        if other.points == wanted:
            return group, row.measures.sides
        if other.points == backwards and row.operator != "turn":
            return group, row.measures.sides != row.measures.ordered
        if row.operator == "gap" and other.points == (wanted[0], *wanted[:0:-1]):
            return group, False
    raise InputError(f"group {row.name} has no counterpart {wanted} for the mirror; add its row")


def _other_side(point: str) -> str:
    """Return the point on the other side of the same dancer."""
    swapped = {"left": "right", "right": "left"}
    return "_".join(swapped.get(word, word) for word in point.split("_"))
