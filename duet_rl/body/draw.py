"""Pictures of dancers: a small software renderer with round shaded limbs, a floor and a shadow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from duet_rl.body.camera import Camera, framing
from duet_rl.body.figure import LIMBS, POINT_NAMES, figure_points
from duet_rl.body.skeleton import UP

Colour = tuple[int, int, int]  # red, green, blue, 0 to 255
Joints = Float[np.ndarray, "55 3"] | Float[Tensor, "55 3"]

LEADER_COLOUR: Colour = (47, 104, 214)
FOLLOWER_COLOUR: Colour = (236, 100, 75)

_SKIN_LIGHTNESS = 0.42  # how far head and hands go from the dancer's colour to white
_SKY_TOP = np.array([214, 222, 234], np.float32)
_HORIZON = np.array([240, 242, 245], np.float32)
_FLOOR = np.array([226, 229, 235], np.float32)
_LINE_DARKNESS = 22.0  # levels that a grid line takes from the floor
_LINE_WIDTH = 0.012  # m
_GRID = 0.5  # m between grid lines
_LEVEL = 1e-4  # a ray that falls by less never meets the floor
_FLOOR_FADE = 7.0  # m from the middle at which the floor melts into the horizon

_SUN = np.array([0.35, 1.0, 0.28]) / np.linalg.norm([0.35, 1.0, 0.28])  # towards the light
_FILL = np.array([-0.6, 0.25, 0.5]) / np.linalg.norm([-0.6, 0.25, 0.5])
_AMBIENT, _DIFFUSE, _FILLING = 0.50, 0.52, 0.14
_GLOSS, _GLOSS_SQUARINGS = 32.0, 4  # levels of the highlight, and how small it is
_RIM_DARKNESS = 0.20  # how much darker a limb is where it curves away from the camera
_SHADOW_DARKNESS = 0.30  # share of light taken where the shadow is full
_SHADOW_BLUR = 0.035  # m
_SHADOW_SHRINK = 2  # the shadow is drawn at a part of the picture's resolution
_SHORTEST = 1e-3  # pixels; a limb seen end-on
_NEAREST = 0.05  # m; what is closer to the camera is not drawn


@dataclass(frozen=True, eq=False)
class Body:
    """One dancer in one frame: joints `(55, 3)` in metres, and a colour."""

    joints: Joints
    colour: Colour


def draw_duet(
    leader: Joints,
    follower: Joints,
    width: int = 640,
    height: int = 360,
    camera: Camera | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture of a couple: the leader blue, the follower coral.

    Args:
        leader: joints `(55, 3)`, metres, Y-up, floor at y = 0.
        follower: the same of the follower.
        width: pixels.
        height: pixels.
        camera: where to look from; by default one that frames this couple.

    Returns:
        `(height, width, 3)`, red, green, blue.
    """
    bodies = (Body(leader, LEADER_COLOUR), Body(follower, FOLLOWER_COLOUR))
    return draw_bodies(bodies, width, height, camera)


def draw_bodies(
    bodies: Sequence[Body], width: int = 640, height: int = 360, camera: Camera | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture of any number of dancers on one floor; see `draw_duet`."""
    joints = [np.asarray(body.joints, dtype=np.float64) for body in bodies]
    if camera is None:
        seen = np.stack(joints) if joints else np.array([[-1.0, 0.0, -1.0], [1.0, 1.8, 1.0]])
        camera = framing(seen, width, height)
    points = [figure_points(body) for body in joints]
    picture = _empty_scene(camera, width, height)
    _cast_shadow(picture, points, camera)
    cones = [
        cone
        for body, place in zip(bodies, points, strict=True)
        for cone in _project(place, body.colour, camera, width, height)
    ]
    _draw_limbs(picture, cones, camera)
    return picture.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Cone:
    """A limb in the picture: two circles, each somewhere in depth, and a colour."""

    start: np.ndarray  # (3,) x, y in pixels, depth in metres
    end: np.ndarray
    radii: tuple[float, float]  # pixels
    focal: float  # pixels; radius x depth / focal is the radius in the world
    colour: np.ndarray  # (3,)


def _project(
    points: np.ndarray, colour: Colour, camera: Camera, width: int, height: int
) -> list[_Cone]:
    """Return the limbs of one body as they lie in the picture; none that reach the camera."""
    view = camera.view(points)
    focal = camera.focal(width, height)
    depth = np.maximum(view[:, 2], _NEAREST)
    scale = focal / depth  # pixels per metre
    place = np.stack(
        [width / 2 + view[:, 0] * scale, height / 2 - view[:, 1] * scale, depth], axis=1
    )
    cloth = np.array(colour, np.float32)
    colours = {"cloth": cloth, "skin": cloth + (255 - cloth) * _SKIN_LIGHTNESS}
    cones = []
    for limb, (a, b) in zip(LIMBS, _ENDS, strict=True):
        if view[a, 2] < _NEAREST or view[b, 2] < _NEAREST:
            continue
        radii = (limb.start_radius * scale[a], limb.end_radius * scale[b])
        cones.append(_Cone(place[a], place[b], radii, focal, colours[limb.tint]))
    return cones


_ENDS = tuple((POINT_NAMES.index(limb.start), POINT_NAMES.index(limb.end)) for limb in LIMBS)


def _draw_limbs(picture: np.ndarray, cones: list[_Cone], camera: Camera) -> None:
    """Draw the far limbs first, each pixel against the depth of what is there already."""
    depth = np.full(picture.shape[:2], np.inf, np.float32)
    sun = (camera.axes @ _SUN) * (1, 1, -1)  # in the picture: right, up, towards the camera
    fill = (camera.axes @ _FILL) * (1, 1, -1)
    half = sun + np.array([0.0, 0.0, 1.0])  # between the sun and the eye
    lights = np.stack([sun, fill, half / np.linalg.norm(half)]).astype(np.float32)
    for cone in sorted(cones, key=lambda c: -(c.start[2] + c.end[2])):
        _draw_limb(picture, depth, cone, lights)


def _draw_limb(picture: np.ndarray, depth: np.ndarray, cone: _Cone, lights: np.ndarray) -> None:
    """Shade one limb into `picture`; each pixel takes the normal of the nearest round slice."""
    (ax, ay, az), (bx, by, bz) = cone.start, cone.end
    start_radius, end_radius = cone.radii
    height, width = depth.shape
    left = max(int(min(ax - start_radius, bx - end_radius)) - 1, 0)
    right = min(int(max(ax + start_radius, bx + end_radius)) + 3, width)
    top = max(int(min(ay - start_radius, by - end_radius)) - 1, 0)
    bottom = min(int(max(ay + start_radius, by + end_radius)) + 3, height)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32)[None] + np.float32(0.5 - ax)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - ay)
    along = _nearest_slice(x, y, float(bx - ax), float(by - ay), end_radius - start_radius)
    radius = np.float32(start_radius) + np.float32(end_radius - start_radius) * along
    right_of = x - along * np.float32(bx - ax)
    below = y - along * np.float32(by - ay)
    distance = np.sqrt(right_of**2 + below**2)
    cover = (radius - distance + np.float32(0.5)).clip(0, 1)
    toward = np.sqrt((1 - (distance / radius) ** 2).clip(0, None))  # of the unit normal
    axis_depth = np.float32(az) + np.float32(bz - az) * along
    place = axis_depth * (1 - toward * radius / np.float32(cone.focal))
    window = depth[top:bottom, left:right]
    cover *= place < window
    np.copyto(window, place, where=cover > 0.5)

    shade = _shade(right_of / radius, -below / radius, toward, cone.colour, lights)
    pixels = picture[top:bottom, left:right]
    pixels += (shade - pixels) * cover[..., None]


def _shade(
    normal_x: np.ndarray,
    normal_y: np.ndarray,
    normal_z: np.ndarray,
    colour: np.ndarray,
    lights: np.ndarray,
) -> np.ndarray:
    """Return the colour of a surface, `(..., 3)`, from its normal: right, up, to the camera."""
    sun, fill, half = (
        (light[0] * normal_x + light[1] * normal_y + light[2] * normal_z) for light in lights
    )
    light = _AMBIENT + _DIFFUSE * sun.clip(0, None) + _FILLING * fill.clip(0, None)
    light *= 1 - _RIM_DARKNESS * (1 - normal_z)
    gloss = half.clip(0, None)
    for _ in range(_GLOSS_SQUARINGS):
        gloss *= gloss
    gloss *= np.float32(_GLOSS)
    return (light[..., None] * colour + gloss[..., None]).clip(0, 255)


def _nearest_slice(x: np.ndarray, y: np.ndarray, dx: float, dy: float, growth: float) -> np.ndarray:
    """Return where on the limb (0 start, 1 end) lies the circle that reaches nearest to a pixel.

    A cone's side is not parallel to its axis, so the circle lies towards the thick end.

    Args:
        x: pixels right of the start.
        y: pixels below the start.
        dx: from start to end, pixels.
        dy: from start to end, pixels.
        growth: radius at the end less that at the start, pixels.
    """
    length = math.hypot(dx, dy)
    if length <= abs(growth) + _SHORTEST:  # the thick end hides the rest
        return np.full(np.broadcast_shapes(x.shape, y.shape), growth > 0, np.float32)
    ux, uy = np.float32(dx / length), np.float32(dy / length)
    lean = np.float32(growth / math.sqrt(length**2 - growth**2))
    along = x * ux + y * uy + lean * np.abs(x * uy - y * ux)
    return (along / np.float32(length)).clip(0, 1)


def _empty_scene(camera: Camera, width: int, height: int) -> np.ndarray:
    """Return sky and floor, `(height, width, 3)` float32: a grid that melts into the horizon."""
    # A camera that follows the dancers only shifts the grid: the rest is kept between frames.
    ground = np.array([camera.eye[0], 0.0, camera.eye[2]])
    floor = _floor(camera.moved(-ground).rounded(), width, height)
    picture = floor.picture.copy()
    lines = np.maximum(
        _line(floor.x + np.float32(ground[0]), floor.x_width),
        _line(floor.z + np.float32(ground[2]), floor.z_width),
    )
    picture[height - len(lines) :] -= (lines * floor.darkness)[..., None]
    return picture


@dataclass(frozen=True, eq=False)
class _Floor:
    """What a camera sees of the floor, whatever the grid's phase: the lowest `R` rows meet it."""

    picture: np.ndarray  # (height, width, 3), without lines
    x: np.ndarray  # (R, width) where on the floor, metres
    z: np.ndarray
    x_width: np.ndarray  # (R, width) how wide a line is at least, metres: a pixel on the floor
    z_width: np.ndarray
    darkness: np.ndarray  # (R, width) levels that a full line takes


@lru_cache(maxsize=4)
def _floor(camera: Camera, width: int, height: int) -> _Floor:
    focal = camera.focal(width, height)
    right, up, away = camera.axes.astype(np.float32)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / np.float32(focal)
    y = (np.float32(height / 2 - 0.5) - np.arange(height, dtype=np.float32)) / np.float32(focal)
    fraction = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = _SKY_TOP + (_HORIZON - _SKY_TOP) * fraction
    picture = np.broadcast_to(sky, (height, width, 3)).copy()
    slope = up[UP] * y + away[UP]  # a ray of this row rises by so much per metre of depth
    seen = int((slope < -_LEVEL).sum()) if camera.eye[UP] > 0 else 0
    slope, y = slope[height - seen :, None], y[height - seen :, None]
    depth = np.float32(-camera.eye[UP]) / slope  # at which the floor is met, metres
    floor_x, floor_z = (
        np.float32(camera.eye[axis]) + depth * (away[axis] + right[axis] * x + up[axis] * y)
        for axis in (0, 2)
    )
    across = depth / np.float32(focal)  # m of floor that a pixel covers, and into the picture
    into = across / -slope
    x_width, z_width = (
        np.maximum(across * abs(right[axis]) + into * abs(away[axis]), np.float32(_LINE_WIDTH))
        for axis in (0, 2)
    )
    off = np.hypot(floor_x - camera.target[0], floor_z - camera.target[2])
    share = np.exp(-((off / np.float32(_FLOOR_FADE)) ** 2))
    ground = picture[height - seen :]
    ground += (_FLOOR - ground) * share[..., None]
    darkness = share * np.float32(_LINE_DARKNESS)
    return _Floor(picture, floor_x, floor_z, x_width, z_width, darkness)


def _line(place: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return how much of each pixel a grid line covers, 0 to 1."""
    cell = place * np.float32(1 / _GRID)
    off = np.abs(cell - np.rint(cell)) * np.float32(_GRID)
    return (1 - off / width).clip(0, None) * (np.float32(_LINE_WIDTH) / width)


def _cast_shadow(picture: np.ndarray, points: list[np.ndarray], camera: Camera) -> None:
    """Darken the floor where the bodies keep the light away."""
    height, width = picture.shape[0] // _SHADOW_SHRINK, picture.shape[1] // _SHADOW_SHRINK
    if not points or height < 1 or width < 1:
        return
    focal = camera.focal(width, height)
    mask = Image.new("L", (width, height))
    pen = ImageDraw.Draw(mask)
    for body in points:
        flat = body - _SUN * (body[:, UP : UP + 1] / _SUN[UP])
        view = camera.view(flat)
        if (view[:, 2] < _NEAREST).any():
            continue
        scale = focal / view[:, 2]
        spots = np.stack([width / 2 + view[:, 0] * scale, height / 2 - view[:, 1] * scale], axis=1)
        for limb, (a, b) in zip(LIMBS, _ENDS, strict=True):
            _draw_stroke(pen, spots[a], spots[b], limb.start_radius * scale[a])
    blur = _SHADOW_BLUR * focal / np.linalg.norm(np.subtract(camera.eye, camera.target))
    mask = mask.filter(ImageFilter.GaussianBlur(float(blur)))
    if (box := mask.getbbox()) is None:
        return
    left, top, right, bottom = (_SHADOW_SHRINK * edge for edge in box)
    mask = mask.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
    dark = np.asarray(mask, dtype=np.float32) * np.float32(-_SHADOW_DARKNESS / 255) + 1
    picture[top:bottom, left:right] *= dark[..., None]


def _draw_stroke(
    pen: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray, radius: float
) -> None:
    """Draw a thick line with round ends."""
    (ax, ay), (bx, by) = start.tolist(), end.tolist()
    pen.line((ax, ay, bx, by), fill=255, width=max(round(2 * radius), 1))
    for x, y in ((ax, ay), (bx, by)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
