"""The rows under the dance: beats, holds, feet and tokens about the moment, as a picture."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from duet_rl.datasets.clip import FPS
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from duet_rl.viewer.figures import HELD, MISSED, SLIDING, STILL, UNDUE
from duet_rl.viewer.takes import Couple
from duet_rl.viewer.tokens import colours_of

WINDOW = 6.0  # s that are seen at once, the moment in the middle
FRAME_WIDTH = 3  # pixels
ROW_HEIGHT = 14  # pixels
_LETTERS, _LEAST_NAMES, _MOST_NAMES = 11, 140, 260  # pixels; of names: height, width
_MARGIN = 4  # pixels
_FLOOR, _OUTSIDE, _BEAT = (244, 244, 246), (214, 214, 218), (40, 40, 48)
_INK, _NOW = (50, 50, 58), (20, 20, 24)
_BEAT_FRAMES = 2  # how wide a beat is drawn


@dataclass(frozen=True, eq=False)
class Rows:
    """Named rows of colours, one a frame."""

    names: tuple[str, ...]
    colours: UInt8[np.ndarray, "R T 3"]
    repeats: tuple[bool, ...]  # whether a row is of tokens, whose borders are drawn


def rows_to_draw(couple: Couple, beats: Bool[Tensor, "T"]) -> Rows:
    """Return what is drawn of a couple: beats, hands, feet, and a row for each stream of tokens."""
    frames = len(beats)
    rows: dict[str, np.ndarray] = {"beats": _beats(beats)} if bool(beats.any()) else {}
    if couple.leader is not None and couple.follower is not None:
        for hand, side in enumerate(("left", "right")):
            due, held = couple.due[:, hand].numpy(), couple.held[:, hand].numpy()
            rows[f"{side} hand holds"] = _painted(
                frames, {HELD: due & held, MISSED: due & ~held, UNDUE: held & ~due}
            )
    for role, first in (("leader", 0), ("follower", 2)):
        if role in couple.dancers:
            for foot, side in enumerate(("left", "right")):
                planted = couple.planted[:, first + foot].numpy()
                slides = couple.slides[:, first + foot].numpy()
                whose = "" if couple.leader is None else f"{role}: "
                rows[f"{whose}{side} foot"] = _painted(
                    frames, {STILL: planted & ~slides, SLIDING: slides}
                )
    streams: dict[str, np.ndarray] = {}
    if couple.tokens is not None:
        colours = np.repeat(colours_of(couple.tokens), FRAMES_PER_TOKEN, axis=0)[:frames]
        rest = np.full((frames - len(colours), *colours.shape[1:]), _FLOOR, dtype=np.uint8)
        columns = np.concatenate([colours, rest]).swapaxes(0, 1)
        streams = dict(zip(couple.tokens.spec.names, columns, strict=True))
    repeats = (False,) * len(rows) + (True,) * len(streams)
    return Rows((*rows, *streams), np.stack([*rows.values(), *streams.values()]), repeats)


def picture_of(rows: Rows, frame: int) -> UInt8[np.ndarray, "H W 3"]:
    """Return the rows about a frame, with their names at the left and a line at the moment."""
    half = round(WINDOW * FPS / 2)
    frames = rows.colours.shape[1]
    start, stop = frame - half, frame + half
    shown = np.full((len(rows.names), 2 * half, 3), _OUTSIDE, dtype=np.uint8)
    inside = rows.colours[:, max(start, 0) : stop]
    shown[:, max(-start, 0) : max(-start, 0) + inside.shape[1]] = inside
    tokens = np.array(rows.repeats)[:, None] & _token_starts(start, stop, frames)
    wide = np.repeat(np.repeat(shown, FRAME_WIDTH, axis=1), ROW_HEIGHT, axis=0)
    borders = np.repeat(np.repeat(tokens, ROW_HEIGHT, axis=0), FRAME_WIDTH, axis=1)
    borders[:, 1:] &= ~borders[:, :-1]  # one pixel wide
    wide[borders] = wide[borders] // 2 + 110
    wide[::ROW_HEIGHT] = 255
    middle = half * FRAME_WIDTH
    wide[:, middle : middle + 2] = _NOW
    return np.concatenate([_names(rows.names), wide], axis=1)


def _token_starts(start: int, stop: int, frames: int) -> Bool[np.ndarray, "W"]:
    frame = np.arange(start, stop)
    return (frame % FRAMES_PER_TOKEN == 0) & (frame > 0) & (frame < frames)


def _beats(beats: Bool[Tensor, "T"]) -> UInt8[np.ndarray, "T 3"]:
    wide = beats.numpy().copy()
    for late in range(1, _BEAT_FRAMES):
        wide[late:] |= beats.numpy()[:-late]
    return _painted(len(beats), {_BEAT: wide})


def _painted(
    frames: int, where: "dict[tuple[int, int, int], np.ndarray]"
) -> UInt8[np.ndarray, "T 3"]:
    row = np.full((frames, 3), _FLOOR, dtype=np.uint8)
    for colour, mask in where.items():
        row[mask] = colour
    return row


@lru_cache(maxsize=8)
def _names(names: tuple[str, ...]) -> UInt8[np.ndarray, "H W 3"]:
    """Return the column of names."""
    font = ImageFont.load_default(_LETTERS)
    width = round(max(font.getlength(name) for name in names)) + 2 * _MARGIN
    width = min(max(width, _LEAST_NAMES), _MOST_NAMES)
    column = Image.new("RGB", (width, ROW_HEIGHT * len(names)), (255, 255, 255))
    draw = ImageDraw.Draw(column)
    for row, name in enumerate(names):
        draw.text((_MARGIN, row * ROW_HEIGHT), name, fill=_INK, font=font)
    return np.asarray(column)
