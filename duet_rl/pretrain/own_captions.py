"""Captions that people wrote: which of them a training window is told, and where it then ends."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from duet_rl.datasets.clip_captions import Captions, ClipCaption
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

# own: what people wrote, and nothing where they wrote nothing | facts: what the window shows |
# both: what people wrote in some windows, what the window shows in the others
CaptionSource = Literal["own", "facts", "both"]

_COMMON = 0.6  # of the frames that a window or a caption has, those that both have, at least


def draw_own(
    captions: Sequence[Captions],
    frames: Int[Tensor, "B"],
    room: Int[Tensor, "B"],
    generators: Sequence[torch.Generator],
    share: float,
    ends: bool,
) -> list[ClipCaption | None]:
    """Return for each window a caption of its clip that tells of about the same frames, or None.

    Args:
        captions: of each window's clip.
        frames: at which the windows begin.
        room: token steps that each has.
        generators: one a window.
        share: of the windows with such captions that are given one.
        ends: whether a window may be shorter than its room, and so end with its caption.
    """
    drawn: list[ClipCaption | None] = []
    places = zip(captions, frames.tolist(), room.tolist(), generators, strict=True)
    for told, start, steps, generator in places:
        fitting = [one for one in told if _in_common(one, start, steps, ends) >= _COMMON]
        asked = float(torch.rand((), generator=generator)) < share
        if not (fitting and asked):
            drawn.append(None)
            continue
        drawn.append(fitting[int(torch.randint(len(fitting), (), generator=generator))])
    return drawn


def steps_of(caption: ClipCaption, start: int, room: int) -> int:
    """Return how many token steps a window from `start` on has until its caption ends."""
    return min(room, max(1, -(-(caption.stop - start) // FRAMES_PER_TOKEN)))


def starts_of(captions: Captions) -> list[int]:
    """Return the frames inside a clip at which captions begin."""
    return sorted({one.start for one in captions if one.start >= FRAMES_PER_TOKEN})


def _in_common(caption: ClipCaption, start: int, room: int, ends: bool) -> float:
    """Return which share of the frames of a window or a caption both have."""
    steps = steps_of(caption, start, room) if ends else room
    stop = start + steps * FRAMES_PER_TOKEN
    common = min(stop, caption.stop) - max(start, caption.start)
    return common / (max(stop, caption.stop) - min(start, caption.start))
