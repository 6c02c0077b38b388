"""What people wrote about a clip: texts and the frames that they are of."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from duet_rl.errors import InputError

VERSION = 1  # of how captions are stored; raised when an older reader could misread them
CAPTIONS = "captions"  # name of the array that holds them

_AGAINST = ("counterclockwise", "counter-clockwise", "anticlockwise", "anti-clockwise")
_OTHER_SIDE = {"clockwise": _AGAINST[0], **dict.fromkeys(_AGAINST, "clockwise")}
for _left in ("left", "lefts", "leftward", "leftwards", "lefty", "lefthanded"):
    _right = _left.replace("left", "right")
    _OTHER_SIDE |= {_left: _right, _right: _left}
_LONGEST_FIRST = sorted(_OTHER_SIDE, key=len, reverse=True)
_SIDED = re.compile(rf"\b({'|'.join(_LONGEST_FIRST)})\b", re.IGNORECASE)


class ClipCaption(NamedTuple):
    """A text of somebody, and of which frames of the clip it tells."""

    text: str
    start: int
    stop: int  # the first frame after them

    def moved(self, first: int, frames: int) -> "ClipCaption | None":
        """Return the caption as it is of `frames` frames from `first` on; None if of none."""
        start, stop = max(0, self.start - first), min(frames, self.stop - first)
        return ClipCaption(self.text, start, stop) if start < stop else None


Captions = tuple[ClipCaption, ...]


def cut_captions(captions: Sequence[ClipCaption], first: int, frames: int) -> Captions:
    """Return the captions of a clip's `frames` frames from `first` on, of what is left of them."""
    moved = (caption.moved(first, frames) for caption in captions)
    return tuple(caption for caption in moved if caption is not None)


def mirrored_captions(captions: Sequence[ClipCaption]) -> Captions:
    """Return the captions of the mirror image."""
    return tuple(caption._replace(text=mirrored_text(caption.text)) for caption in captions)


def mirrored_text(text: str) -> str:
    """Return a text with its sides exchanged, left and right, clockwise and counterclockwise.

    Example:
        >>> mirrored_text("Left foot first, then turns clockwise")
        'Right foot first, then turns counterclockwise'
    """

    def other(match: re.Match[str]) -> str:
        word = match[0]
        swapped = _OTHER_SIDE[word.lower()]
        if word.isupper():
            return swapped.upper()
        return swapped.capitalize() if word[0].isupper() else swapped

    return _SIDED.sub(other, text)


def require_captions_fit(name: str, captions: Sequence[ClipCaption], frames: int) -> None:
    """Raise `InputError` if a caption of clip `name` is empty or of frames that are not there."""
    for text, start, stop in captions:
        if not text.strip() or not 0 <= start < stop <= frames:
            raise InputError(
                f"clip {name} has {frames} frames and a caption {text!r} of the frames {start} to "
                f"{stop}; wanted words about frames that it has"
            )


def captions_to_array(captions: Sequence[ClipCaption]) -> np.ndarray:
    """Return captions as bytes; `captions_from_array` is the way back."""
    told = {"version": VERSION, CAPTIONS: [list(caption) for caption in captions]}
    return np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)


def captions_of_arrays(arrays: Mapping[str, np.ndarray], name: str) -> Captions:
    """Return the captions among the arrays of clip `name`; none if there are none.

    Raises:
        InputError: they are of another version, or damaged.
    """
    if CAPTIONS not in arrays:
        return ()
    damaged = f"the captions of clip {name} are damaged; prepare it again"
    try:
        told = json.loads(arrays[CAPTIONS].tobytes().decode())
        version = told["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(damaged) from error
    if version != VERSION:
        raise InputError(
            f"clip {name} has captions of version {version}; this version reads {VERSION}: "
            "prepare the store again"
        )
    try:
        return tuple(ClipCaption(str(t), int(a), int(b)) for t, a, b in told[CAPTIONS])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(damaged) from error
