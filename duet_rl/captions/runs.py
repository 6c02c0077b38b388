"""When a signal stays within bounds, and when it swings: neither is shaken by noise."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

Stretch = tuple[int, int]  # first frame, and the frame after the last

_MIDDLE = 0.1  # of a swing at either end that is left out of its time: it rests there


def runs(mask: Bool[np.ndarray, "T"]) -> list[Stretch]:
    """Return the stretches in which a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def steady_runs(
    weak: Bool[np.ndarray, "T"], strong: Bool[np.ndarray, "T"], shortest: int
) -> list[Stretch]:
    """Return the stretches of `weak`, long enough, in which `strong` is true at least once.

    A value that trembles on a threshold is never strong, and makes no stretch (hysteresis).
    """
    found = runs(weak)
    return [
        (start, stop)
        for start, stop in found
        if stop - start >= shortest and strong[start:stop].any()
    ]


def swings(signal: Float[np.ndarray, "T"], least: float) -> list[tuple[int, int, float]]:
    """Return the swings of a signal from one turning point to the next, as a zigzag.

    A way back of less than `least` is part of the swing, so that noise below it turns nothing.

    Args:
        signal: one value a frame.
        least: the smallest swing, in the unit of the signal.

    Returns:
        First frame and the frame after the last, without the first and last tenth of the way, and
        the height of each swing, negative for those that go down.
    """
    turns = _turning_points(signal, least)
    found = []
    for first, last in pairwise(turns):
        height = float(signal[last] - signal[first])
        if abs(height) >= least:
            way = (signal[first : last + 1] - signal[first]) / height
            start = first + int(np.flatnonzero(way <= _MIDDLE)[-1])
            after = np.flatnonzero(way[start - first :] >= 1 - _MIDDLE)
            found.append((start, start + int(after[0]) + 1, height))
    return found


def _turning_points(signal: np.ndarray, least: float) -> list[int]:
    """Return the frames at which a signal turns back by `least` or more, and both ends of it."""
    low = high = 0
    rising: bool | None = None
    turns: list[int] = []
    values = signal.tolist()
    for frame, value in enumerate(values):
        if rising is not True and value < values[low]:
            low = frame
        if rising is not False and value > values[high]:
            high = frame
        if rising is not True and value - values[low] >= least:
            turns.append(low)
            rising, high = True, frame
        elif rising is not False and values[high] - value >= least:
            turns.append(high)
            rising, low = False, frame
    if rising is not None:
        turns.append(high if rising else low)
    return turns
