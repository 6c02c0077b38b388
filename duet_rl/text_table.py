"""Tables as text."""

from collections.abc import Sequence


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of as many cells each, the cells of a column below each other.

    Example:
        >>> aligned([("loss", "KL"), ("ppo", "0.1")])
        ['loss  KL', 'ppo   0.1']
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
