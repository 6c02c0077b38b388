"""A dance as pictures: a camera that goes lazily with the dancers, and a legend."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from duet_rl.body.motion import Duet, Motion
from duet_rl.drawing.camera import following
from duet_rl.drawing.draw import COLOURS, Body, Colour, draw_bodies

_INK: Colour = (40, 48, 62)
_TEXT_HEIGHT = 1 / 30  # of the picture
_TEXT_MARGIN = 1 / 22  # of the picture
_FINENESS = 4  # the legend is drawn so much larger, then shrunk


def pictures_of(
    dance: Motion | Duet | Sequence[Motion],
    width: int = 960,
    height: int = 540,
    names: Sequence[str] = (),
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Yield one picture a frame of a dancer, a couple, or any number of dancers.

    The camera goes lazily with the dancers and has all of them in every picture; see
    `duet_rl.drawing.camera.following`.

    Args:
        dance: who dances; of several the first has the leader's colour, the second the follower's.
        width: pixels.
        height: pixels.
        names: of the dancers, for a legend; none is drawn without names.
    """
    motions = _motions(dance)
    joints = [motion.joints.detach().cpu().numpy() for motion in motions]
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(motions))]
    legend = _legend(names, colours, width, height)
    for frame, camera in enumerate(following(joints, motions[0].fps, width, height)):
        bodies = [Body(body[frame], colour) for body, colour in zip(joints, colours, strict=True)]
        yield _with_legend(draw_bodies(bodies, width, height, camera), legend)


def _motions(dance: Motion | Duet | Sequence[Motion]) -> Sequence[Motion]:
    if isinstance(dance, Motion):
        return [dance]
    return [dance.leader, dance.follower] if isinstance(dance, Duet) else dance


def _legend(
    names: Sequence[str], colours: Sequence[Colour], width: int, height: int
) -> Image.Image | None:
    """Return dots and names on a clear ground, as wide as the picture."""
    if not names:
        return None
    size = max(round(height * _TEXT_HEIGHT), 9) * _FINENESS
    margin = round(height * _TEXT_MARGIN) * _FINENESS
    font = ImageFont.load_default(size)
    strip = Image.new("RGBA", (width * _FINENESS, margin + 2 * size), (*_INK, 0))
    pen = ImageDraw.Draw(strip)
    x = float(margin)
    for name, colour in zip(names, colours, strict=False):
        middle, radius = margin + size / 2, size * 0.36
        pen.ellipse((x, middle - radius, x + 2 * radius, middle + radius), fill=(*colour, 255))
        x += 2 * radius + size * 0.4
        pen.text((x, middle), name, fill=(*_INK, 255), font=font, anchor="lm")
        x += pen.textlength(name, font=font) + size * 1.4
    return strip.reduce(_FINENESS)


def _with_legend(picture: np.ndarray, legend: Image.Image | None) -> np.ndarray:
    if legend is None:
        return picture
    image = Image.fromarray(picture)
    image.paste(legend, (0, 0), mask=legend)
    return np.asarray(image)
