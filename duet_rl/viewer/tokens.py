"""The tokens of a dance as rows to look at: a colour for each class, and words where it has any."""

import colorsys
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.stage import stage
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import DROPPED, FRAMES_PER_TOKEN, TokenSpec

GOLDEN = (5**0.5 - 1) / 2  # of a turn between neighbouring classes: near numbers look different
_LIGHT, _STRONG = (0.50, 0.64), 0.62  # lightness alternates, saturation
_ABSENT = (225, 225, 228)  # of a residual level that was left out
_TEMPERED = 16  # classes up to which order means something: pose codes go from blue to red
_COLD, _WARM = 0.62, 0.02  # hues


@dataclass(frozen=True, eq=False)
class TokenRows:
    """The tokens of one dance.

    Args:
        spec: what the columns are.
        tokens: a row for every four frames.
        words: of each class, by column; none where a class is a number and no more.
    """

    spec: TokenSpec
    tokens: Int[Tensor, "N S"]
    words: tuple[tuple[str, ...], ...] = ()

    def at(self, frame: int) -> list[int]:
        """Return the tokens that stand for a frame; those of the last one behind the end."""
        return self.tokens[min(frame // FRAMES_PER_TOKEN, len(self.tokens) - 1)].tolist()

    def told(self, frame: int) -> list[str]:
        """Return these tokens as people read them: numbers, with their words if they have any."""
        return [
            f"{token} {self.words[column][token]}"
            if column < len(self.words) and token != DROPPED
            else str(token)
            for column, token in enumerate(self.at(frame))
        ]


def rows_of(codec: AnyCodec, tokens: Int[Tensor, "N S"]) -> TokenRows:
    """Return tokens of a codec, with words where it can be read."""
    words: tuple[tuple[str, ...], ...] = ()
    if isinstance(codec, ReadableCodec):
        catalogue = codec.catalogue
        bounds = zip(catalogue.offsets, catalogue.classes, strict=True)
        words = tuple(catalogue.names[start : start + count] for start, count in bounds)
    return TokenRows(codec.spec, tokens.cpu(), words)


def encoded(codec: AnyCodec, leader: Motion | None, dancer: Motion) -> TokenRows | None:
    """Return a dancer's tokens beside a leader, or None if there are frames for none.

    Args:
        codec: of any kind.
        leader: None: the stage.
        dancer: frames beyond whole tokens have none.
    """
    whole = dancer.frames // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
    if whole == 0:
        return None
    partner = stage(dancer.frames) if leader is None else leader
    beside, body = (batch_of(one.slice(0, whole), codec) for one in (partner, dancer))
    return rows_of(codec, codec.encode(beside, body)[0])


def batch_of(motion: Motion, codec: AnyCodec) -> MotionBatch:
    """Return one motion as a batch, where the codec computes."""
    device = codec.offsets.device
    return MotionBatch(motion.joints[None].to(device), motion.rotations[None].to(device))


def colours_of(rows: TokenRows) -> UInt8[np.ndarray, "N S 3"]:
    """Return a colour for each token; one class of a stream has one colour wherever it comes."""
    columns = []
    for column, classes in enumerate(rows.spec.classes):
        table = np.array([*_palette(classes), _ABSENT], dtype=np.uint8)
        tokens = rows.tokens[:, column].numpy()
        columns.append(table[np.where(tokens == DROPPED, classes, tokens)])
    return np.stack(columns, axis=1)


def _palette(classes: int) -> list[tuple[int, int, int]]:
    return [_colour(number, classes) for number in range(classes)]


def _colour(number: int, classes: int) -> tuple[int, int, int]:
    if classes <= _TEMPERED:
        hue = _COLD + (_WARM - _COLD) * number / max(classes - 1, 1)
        parts = colorsys.hls_to_rgb(hue, _LIGHT[1], _STRONG)
    else:
        parts = colorsys.hls_to_rgb(number * GOLDEN % 1, _LIGHT[number % len(_LIGHT)], _STRONG)
    red, green, blue = (round(part * np.iinfo(np.uint8).max) for part in parts)
    return red, green, blue
