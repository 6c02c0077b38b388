"""Curves as text: one line of blocks, or a chart of dots."""

import sys
from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.-=+*#"  # for terminals that know nothing else
_BRAILLE = 0x2800  # the character without a dot
# Bits of a braille character's dots, two columns of four, from the top.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_WIDE, _HIGH = len(_DOTS), len(_DOTS[0])


def knows_blocks(stream: object = None) -> bool:
    """Return whether what is written to `stream` (standard output) may hold blocks and dots."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "ascii"
    try:
        (_BLOCKS + chr(_BRAILLE)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def sparkline(values: Sequence[float], width: int, blocks: bool = True) -> str:
    """Return values as one line, the lowest as the lowest character.

    Args:
        values: finite ones, oldest first.
        width: characters, at most.
        blocks: whether block characters may be used.

    Example:
        >>> sparkline([0, 1, 2, 3], 4), sparkline([2, 2], 4), sparkline([0, 0, 3, 3], 2, False)
        ('▁▃▆█', '▁▁', '_#')
    """
    steps = _BLOCKS if blocks else _PLAIN
    return "".join(steps[level] for level in _levels(_binned(values, width), len(steps)))


def chart(values: Sequence[float], width: int, height: int) -> list[str]:
    """Return values as lines of braille, top first; neighbours are joined.

    Args:
        values: finite ones, oldest first.
        width: characters, at most.
        height: lines.
    """
    binned = _binned(values, width * _WIDE)
    levels = _levels(binned, height * _HIGH)
    cells = [[0] * -(-len(levels) // _WIDE) for _ in range(height)]
    for column, level in enumerate(levels):
        before = levels[column - 1] if column else level
        for dot in range(min(before, level), max(before, level) + 1):
            if dot == before and dot != level:
                continue  # which the column before has
            row = height * _HIGH - 1 - dot  # from the top
            cells[row // _HIGH][column // _WIDE] |= _DOTS[column % _WIDE][row % _HIGH]
    return ["".join(chr(_BRAILLE + bits) for bits in line) for line in cells]


def _binned(values: Sequence[float], width: int) -> list[float]:
    """Return at most `width` means of neighbours."""
    count = min(len(values), width)
    edges = [round(index * len(values) / count) for index in range(count + 1)] if count else [0]
    pieces = [values[first:last] for first, last in pairwise(edges)]
    return [sum(piece) / len(piece) for piece in pieces]


def _levels(values: Sequence[float], count: int) -> list[int]:
    """Return on which of `count` levels each value lies, the lowest at 0."""
    if not values:
        return []
    low, high = min(values), max(values)
    span = high - low or 1.0
    return [round((value - low) / span * (count - 1)) for value in values]
