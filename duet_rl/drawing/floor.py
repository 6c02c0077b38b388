"""Where dancers dance in pictures: sky, a floor of tiles, and the shadows on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from duet_rl.body.skeleton import UP
from duet_rl.drawing.camera import NEAREST, Camera
from duet_rl.drawing.figure import LIMB_ENDS, LIMBS

SUN = np.array([0.35, 1.0, 0.28]) / np.linalg.norm([0.35, 1.0, 0.28])  # towards the light

_SKY_TOP = np.array([206, 215, 230], np.float32)
_HORIZON = np.array([238, 240, 244], np.float32)
_FLOOR = np.array([228, 229, 233], np.float32)
_LINE_DARKNESS = 20.0  # levels that a seam takes from the floor
_TILE_DARKNESS = 4.0  # levels that tiles are lighter or darker than the floor
_LINE_WIDTH = 0.010  # m
_TILE = 0.5  # m
_LEVEL = 1e-4  # a ray that falls by less never meets the floor
_FADE = 1.05  # of the camera's distance: so far from the middle the floor melts into the horizon
_POOL, _POOL_LIGHT = 0.42, 9.0  # of the same distance; levels that the lit middle is lighter
_ROWS = 24  # of the floor that are worked out at once: they fit into a processor's cache

_SHRINK = 2  # shadows are drawn at a part of the picture's resolution
_SHADOW_DARKNESS = 0.34  # share of light taken where the shadow is full
# Limbs up to such a height cast a shadow that is so soft (m): the sun is no point.
_SOFTNESS = ((0.35, 0.012), (0.9, 0.035), (np.inf, 0.070))
_CONTACT_DARKNESS = 0.38  # share of light that a foot on the floor keeps from below itself
_CONTACT_REACH = 0.30  # m; limbs with the middle below this do
_CONTACT_DECAY = 0.05  # m above the floor at which 1/e of it is left
_CONTACT_SOFTNESS = 0.022  # m

Points = Float[np.ndarray, "P 3"]


def empty_scene(camera: Camera, width: int, height: int) -> Float[np.ndarray, "H W 3"]:
    """Return sky and floor as float32 levels: tiles that melt into the horizon."""
    # A camera that keeps its direction only moves and scales the tiles: the rest is kept.
    rays = _rays(tuple(camera.axes.ravel().round(9).tolist()), camera.field_of_view, width, height)
    picture = rays.picture.copy()
    eye_height = np.float32(camera.eye[UP])
    if eye_height <= 0 or not len(rays.x):
        return picture
    ground = picture[height - len(rays.x) :]
    for first in range(0, len(ground), _ROWS):
        rows = slice(first, first + _ROWS)
        x = rays.x[rows] * eye_height + np.float32(camera.eye[0])
        z = rays.z[rows] * eye_height + np.float32(camera.eye[2])
        x_width, z_width = rays.x_width[rows] * eye_height, rays.z_width[rows] * eye_height
        shade = _tile(x, x_width) * _tile(z, z_width) * np.float32(_TILE_DARKNESS)
        seams = np.maximum(_line(x, x_width), _line(z, z_width))
        shade -= seams * np.float32(_LINE_DARKNESS)
        shade *= rays.share[rows]
        ground[rows] += shade[..., None]
    return picture


def cast_shadows(
    picture: Float[np.ndarray, "H W 3"], bodies: Sequence[Points], camera: Camera
) -> None:
    """Darken the floor where bodies keep the light away: sharp near the feet, soft farther off."""
    height, width = picture.shape[0] // _SHRINK, picture.shape[1] // _SHRINK
    if not bodies or height < 1 or width < 1:
        return
    focal = camera.focal(width, height)
    distance = float(np.linalg.norm(np.subtract(camera.eye, camera.target)))
    pixels = focal / distance  # per metre
    masks = [Image.new("L", (width, height)) for _ in _SOFTNESS]
    contact = Image.new("L", (width, height))
    for body in bodies:
        _draw_shadow([ImageDraw.Draw(mask) for mask in masks], body, camera, focal)
        _draw_contact(ImageDraw.Draw(contact), body, camera, focal)
    shadow = Image.new("L", (width, height))
    for mask, (_, softness) in zip(masks, _SOFTNESS, strict=True):
        shadow = ImageChops.lighter(shadow, _blurred(mask, softness * pixels))
    _darken(picture, shadow, _SHADOW_DARKNESS)
    _darken(picture, _blurred(contact, _CONTACT_SOFTNESS * pixels), _CONTACT_DARKNESS)


def _blurred(mask: Image.Image, radius: float) -> Image.Image:
    """Return a mask made soft; only what is not empty is worked on."""
    if (box := mask.getbbox()) is None:
        return mask
    margin = int(3 * radius) + 2
    left, top = max(box[0] - margin, 0), max(box[1] - margin, 0)
    right, bottom = min(box[2] + margin, mask.width), min(box[3] + margin, mask.height)
    soft = mask.crop((left, top, right, bottom)).filter(ImageFilter.GaussianBlur(radius))
    mask.paste(soft, (left, top))
    return mask


@dataclass(frozen=True, eq=False)
class _Rays:
    """Where rays meet the floor, for an eye at a height of 1: the lowest `R` rows do."""

    picture: np.ndarray  # (height, width, 3), without tiles
    x: np.ndarray  # (R, width) from the eye, metres
    z: np.ndarray
    x_width: np.ndarray  # (R, width) what a pixel covers of the floor
    z_width: np.ndarray
    share: np.ndarray  # (R, width) of the floor, less than 1 where it melts into the horizon


@lru_cache(maxsize=4)
def _rays(axes: tuple[float, ...], field_of_view: float, width: int, height: int) -> _Rays:
    right, up, away = np.array(axes, np.float32).reshape(3, 3)
    focal = Camera((0, 0, 0), (0, 0, 1), field_of_view).focal(width, height)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / np.float32(focal)
    y = (np.float32(height / 2 - 0.5) - np.arange(height, dtype=np.float32)) / np.float32(focal)
    fraction = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    picture = (_SKY_TOP + (_HORIZON - _SKY_TOP) * fraction).repeat(width, axis=1)
    slope = up[UP] * y + away[UP]  # a ray of this row rises by so much per metre of depth
    seen = int((slope < -_LEVEL).sum())
    slope, y = slope[height - seen :, None], y[height - seen :, None]
    depth = -1 / slope  # at which the floor is met
    floor_x, floor_z = (depth * (away[axis] + right[axis] * x + up[axis] * y) for axis in (0, 2))
    across = depth / np.float32(focal)  # what a pixel covers of the floor, and into the picture
    into = across / -slope
    x_width, z_width = (across * abs(right[i]) + into * abs(away[i]) for i in (0, 2))
    if seen and away[UP] < -_LEVEL:  # the floor lies round where the middle of the picture meets it
        middle = away / -away[UP]
        distance = np.linalg.norm(middle)
        off = np.hypot(floor_x - middle[0], floor_z - middle[2]) / distance
    else:
        off = depth * np.float32(-away[UP] + 1)
    share = np.exp(-((off / np.float32(_FADE)) ** 2))
    pool = np.exp(-((off / np.float32(_POOL)) ** 2)) * np.float32(_POOL_LIGHT)
    ground = picture[height - seen :]
    ground += (_FLOOR - ground) * share[..., None] + pool[..., None]
    return _Rays(picture, floor_x, floor_z, x_width, z_width, share)


def _line(place: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return how much of each pixel a seam covers, 0 to 1."""
    width = np.maximum(width, np.float32(_LINE_WIDTH))
    cell = place * np.float32(1 / _TILE)
    off = np.abs(cell - np.rint(cell)) * np.float32(_TILE)
    return (1 - off / width).clip(0, None) * (np.float32(_LINE_WIDTH) / width)


def _tile(place: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the mean over each pixel of a wave that is 1 on one tile and -1 on the next."""
    half = np.maximum(width, np.float32(_LINE_WIDTH)) * np.float32(0.5 / _TILE)
    cell = place * np.float32(1 / _TILE)
    return (_ramp(cell + half) - _ramp(cell - half)) / (2 * half)


def _ramp(cell: np.ndarray) -> np.ndarray:
    """Return the integral of that wave: up over one tile, down over the next."""
    cell = cell * np.float32(0.5)
    return np.abs(cell - np.rint(cell)) * np.float32(2)


def _draw_shadow(
    pens: Sequence[ImageDraw.ImageDraw], body: Points, camera: Camera, focal: float
) -> None:
    """Draw where the sun's light is missing on the floor, low limbs and high limbs apart."""
    spots = _seen(body - SUN * (body[:, UP : UP + 1] / SUN[UP]), camera, focal, pens[0])
    if spots is None:
        return
    for limb, (a, b) in zip(LIMBS, LIMB_ENDS, strict=True):
        middle = (body[a, UP] + body[b, UP]) / 2
        layer = next(i for i, (top, _) in enumerate(_SOFTNESS) if middle < top)
        _draw_stroke(pens[layer], spots[a], spots[b], limb.start_radius)


def _draw_contact(pen: ImageDraw.ImageDraw, body: Points, camera: Camera, focal: float) -> None:
    """Draw how much low limbs keep the sky's light from the floor right below them."""
    spots = _seen(body * (1.0, 0.0, 1.0), camera, focal, pen)
    if spots is None:
        return
    low = []
    for limb, (a, b) in zip(LIMBS, LIMB_ENDS, strict=True):
        middle = (body[a, UP] + body[b, UP]) / 2
        if middle < _CONTACT_REACH:
            above = max(middle - (limb.start_radius + limb.end_radius) / 2, 0.0)
            low.append((float(np.exp(-above / _CONTACT_DECAY)), spots[a], spots[b], limb))
    for strength, start, end, limb in sorted(low, key=lambda one: one[0]):
        _draw_stroke(pen, start, end, limb.start_radius, round(255 * strength))


def _seen(
    points: Points, camera: Camera, focal: float, pen: ImageDraw.ImageDraw
) -> Float[np.ndarray, "P 3"] | None:
    """Return x and y in the picture and pixels per metre, None if a point is not before the eye."""
    width, height = pen.im.size
    view = camera.view(points)
    if (view[:, 2] < NEAREST).any():
        return None
    scale = focal / view[:, 2]
    return np.stack(
        [width / 2 + view[:, 0] * scale, height / 2 - view[:, 1] * scale, scale], axis=1
    )


def _draw_stroke(
    pen: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray, radius: float, fill: int = 255
) -> None:
    """Draw a thick line with round ends; `radius` in metres."""
    (ax, ay, scale), (bx, by, _) = start.tolist(), end.tolist()
    size = radius * scale
    pen.line((ax, ay, bx, by), fill=fill, width=max(round(2 * size), 1))
    for x, y in ((ax, ay), (bx, by)):
        pen.ellipse((x - size, y - size, x + size, y + size), fill=fill)


def _darken(picture: np.ndarray, mask: Image.Image, darkness: float) -> None:
    if (box := mask.getbbox()) is None:
        return
    left, top, right, bottom = (_SHRINK * edge for edge in box)
    mask = mask.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
    dark = np.asarray(mask, dtype=np.float32) * np.float32(-darkness / 255) + 1
    picture[top:bottom, left:right] *= dark[..., None]
