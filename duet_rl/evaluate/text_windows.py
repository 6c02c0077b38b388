"""Pieces of dances with captions of their own: what texts and motions are compared on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.captions.captioner import Captioner, caption_of
from duet_rl.captions.detect import facts_of
from duet_rl.captions.facts import Caption, Stated
from duet_rl.datasets.clip import DANCERS, FPS
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore


@dataclass(frozen=True, eq=False)
class TextWindow:
    """A piece of one dancer's dance, and all that can be said of it.

    Args:
        take: the clip it was cut from, by which intervals resample.
        joints: metres, 30 fps.
        stated: facts of this piece alone, of this dancer alone.
    """

    take: str
    joints: Float[Tensor, "T 55 3"]
    stated: Sequence[Stated]

    def caption(self, generator: torch.Generator, captioner: Captioner) -> Caption:
        """Return a caption; the generator chooses facts, order and words."""
        return caption_of(self.stated, len(self.joints), generator, captioner)


def dancers_of(store: DuetStore, split: Split) -> list[tuple[str, Motion]]:
    """Return every dancer of a split with the name of the clip: both of a couple."""
    found = []
    for record in store.records(split):
        clip = store.clip(record.name)
        roles = DANCERS[1:] if clip.solo else DANCERS
        found += [(record.name, getattr(clip.duet, role)) for role in roles]
    return found


def cut_windows(
    dancers: Sequence[tuple[str, Motion]], seconds: float, step: float, mirrored: bool = False
) -> list[TextWindow]:
    """Return windows of dancers; one who dances for less than a window has none.

    Args:
        dancers: name of the clip, and the motion.
        seconds: length of a window.
        step: seconds from the start of one to that of the next.
        mirrored: also those of the mirrored dancers, with captions of their own.
    """
    frames, apart = max(1, round(seconds * FPS)), max(1, round(step * FPS))
    windows = []
    for take, motion in dancers:
        images = (motion, motion.mirrored()) if mirrored else (motion,)
        for joints in (image.joints for image in images):
            for start in range(0, len(joints) - frames + 1, apart):
                piece = joints[start : start + frames]
                windows.append(TextWindow(take, piece, facts_of(piece)))
    return windows


def fullest_caption(
    window: TextWindow, draws: int, generator: torch.Generator, captioner: Captioner
) -> Caption:
    """Return the caption of most facts out of `draws`; the first of equals."""
    drawn = [window.caption(generator, captioner) for _ in range(draws)]
    return max(drawn, key=lambda caption: len(caption.facts))


def spread_over(windows: Sequence[TextWindow], most: int) -> list[TextWindow]:
    """Return at most so many windows, evenly over all of them."""
    if len(windows) <= most:
        return list(windows)
    places = torch.linspace(0, len(windows) - 1, most).round().long().tolist()
    return [windows[place] for place in places]
