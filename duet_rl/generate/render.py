"""A dance as pictures: a camera that goes lazily with the couple, and a legend."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from duet_rl.body.camera import framing
from duet_rl.body.draw import FOLLOWER_COLOUR, LEADER_COLOUR, Body, Colour, draw_bodies
from duet_rl.body.heading import low_pass
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import UP

FOLLOW_SECONDS = 1.0  # how lazily the camera goes with the couple
_INK: Colour = (40, 48, 62)
_TEXT_HEIGHT = 1 / 30  # of the picture
_TEXT_MARGIN = 1 / 22  # of the picture
_FINENESS = 4  # the legend is drawn so much larger, then shrunk


def pictures_of(
    dance: Motion | Duet, width: int = 960, height: int = 540, names: Sequence[str] = ()
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Yield one picture a frame of a dancer or a couple.

    The camera keeps its direction and its distance, which is as near as the whole dance allows,
    and moves with the smoothed middle of the dancers.

    Args:
        dance: a couple (leader blue, follower coral), or one dancer.
        width: pixels.
        height: pixels.
        names: of the dancers, for a legend; none is drawn without names.
    """
    motions = [dance] if isinstance(dance, Motion) else [dance.leader, dance.follower]
    colours = (LEADER_COLOUR, FOLLOWER_COLOUR)
    joints = np.stack([motion.joints.double().cpu().numpy() for motion in motions], axis=1)
    roots = motions[0].root if len(motions) == 1 else (motions[0].root + motions[1].root) / 2
    path = low_pass(roots.double().cpu(), FOLLOW_SECONDS * dance.fps).numpy()
    path[:, UP] = 0.0  # a camera that bobs makes the viewer seasick
    camera = framing(joints - path[:, None, None], width, height)
    legend = _legend(names, colours, width, height)
    for frame, place in zip(joints, path, strict=True):
        bodies = [Body(body, colour) for body, colour in zip(frame, colours, strict=False)]
        picture = draw_bodies(bodies, width, height, camera.moved(place))
        yield _with_legend(picture, legend)


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
