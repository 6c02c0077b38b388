"""The windows that an audit looks at, and the strangers that dance in them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from duet_rl.audit.settings import AuditConfig
from duet_rl.datasets.clip import FPS, FRAME_MULTIPLE, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import ClipRecord
from duet_rl.errors import InputError


class Window(NamedTuple):
    """Where a window is cut from, and what its windows are counted as."""

    clip: str
    start: int  # frame
    style: str
    take: int  # number of its choreography: windows of one are alike, and are drawn together
    judged: bool  # whether sets are made of it; else it is the reference that they are held to


class Pair(NamedTuple):
    """A window, and another couple's of the same length, if there is one."""

    clip: DuetClip
    other: DuetClip | None


def cut_windows(records: Sequence[ClipRecord], config: AuditConfig) -> list[Window]:
    """Return the windows of all clips, spread evenly where there are more than wanted.

    Every other choreography, by name, is a reference for sets of dances.

    Args:
        records: of the clips.
        config: length and number of the windows.

    Raises:
        InputError: no clip lasts a window.
    """
    frames = frames_of(config)
    long_enough = [record for record in records if record.frames >= frames]
    if not long_enough:
        longest = max((record.frames for record in records), default=0) / FPS
        raise InputError(
            f"the longest of {len(records)} clips lasts {longest:.1f} s, and a window "
            f"{frames / FPS:g} s; set audit.seconds lower, or audit.split to another split"
        )
    cuts = [
        (record, start)
        for record in long_enough
        for start in range(0, record.frames - frames + 1, frames)
    ]
    spread = np.linspace(0, len(cuts) - 1, min(config.max_windows, len(cuts)))
    chosen = [cuts[place] for place in spread.round().astype(int)]
    # Of the chosen ones: where every other take is left out, both sides still have some.
    takes = sorted({record.choreography for record, _ in chosen})
    found = []
    for record, start in chosen:
        take = takes.index(record.choreography)
        found.append(Window(record.name, start, record.style, take, judged=take % 2 == 0))
    return found


def stranger_of(row: int, windows: Sequence[Window]) -> int | None:
    """Return the row of a window of another choreography, or None if there is none.

    Of the same style and the same half if possible, the next one in the list.
    """
    here = windows[row]
    order = [*range(row + 1, len(windows)), *range(row)]
    others = [other for other in order if windows[other].take != here.take]

    def likeness(other: int) -> tuple[bool, bool]:
        return windows[other].judged == here.judged, windows[other].style == here.style

    return max(others, key=likeness, default=None)


def load_pairs(
    store: DuetStore, windows: Sequence[Window], rows: Sequence[int], frames: int
) -> list[Pair]:
    """Return the windows of these rows, each with its stranger.

    Raises:
        InputError: a clip's file is damaged.
    """
    strangers = [stranger_of(row, windows) for row in rows]
    wanted = {windows[row].clip for row in [*rows, *(s for s in strangers if s is not None)]}
    clips = {name: store.clip(name) for name in sorted(wanted)}

    def cut(row: int) -> DuetClip:
        window = windows[row]
        return clips[window.clip].slice(window.start, window.start + frames)

    return [
        Pair(cut(row), None if stranger is None else cut(stranger))
        for row, stranger in zip(rows, strangers, strict=True)
    ]


def frames_of(config: AuditConfig) -> int:
    """Return the length of a window, in whole tokens."""
    return max(1, round(config.seconds * FPS / FRAME_MULTIPLE)) * FRAME_MULTIPLE
