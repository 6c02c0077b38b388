"""Round limbs in a picture: which way the surface faces at each pixel, how far it is, its colour.

Limbs of one body melt into each other where their surfaces are near, so that a figure looks grown
and not bolted together. Light is worked out once a pixel, after all limbs are there.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from duet_rl.body.skeleton import UP
from duet_rl.drawing.camera import Camera
from duet_rl.drawing.floor import SUN

_FILL = np.array([-0.6, 0.25, 0.5]) / np.linalg.norm([-0.6, 0.25, 0.5])
_SKY, _BOUNCE = 0.50, 0.34  # light from above, and from the floor below
_DIFFUSE, _FILLING = 0.56, 0.15
_GLOSS, _GLOSS_SQUARINGS = 26.0, 4  # levels of the highlight, and how small it is
_RIM_DARKNESS = 0.16  # how much darker a limb is where it curves away from the camera
_OCCLUSION = 0.42  # share of light that a surface right behind another one loses, at most
_OCCLUSION_DEPTH = 0.05  # m behind its surroundings at which it loses most
_OCCLUSION_REACH = 0.055  # m around a pixel that count as surroundings
_SHRINK = 2  # occlusion is worked out at a part of the picture's resolution
_NORMAL = 3  # channels of a surface that are its normal; its colour follows
_SHORTEST = 1e-3  # pixels; a limb seen end-on


@dataclass(frozen=True, eq=False)
class Cone:
    """A limb in the picture: two circles, each somewhere in depth, and a colour."""

    start: Float[np.ndarray, "3"]  # x, y in pixels, depth in metres
    end: Float[np.ndarray, "3"]
    radii: tuple[float, float]  # pixels
    focal: float  # pixels; radius x depth / focal is the radius in the world
    colour: Float[np.ndarray, "3"]
    body: int  # limbs of one body melt into each other ...
    melt: float  # m; ... where they are this near


class LimbBuffer:
    """Everything about the nearest surface at each pixel of a picture."""

    def __init__(self, width: int, height: int) -> None:
        self.depth = np.full((height, width), np.inf, np.float32)  # m
        self.cover = np.zeros((height, width), np.float32)  # 0 to 1, of the pixel
        self.surface = np.zeros((height, width, 6), np.float32)  # normal (right, up, near), colour
        self.body = np.full((height, width), -1, np.int16)

    def draw(self, cone: Cone) -> None:
        """Add a limb; far ones first."""
        (ax, ay, az), (bx, by, bz) = cone.start, cone.end
        start_radius, end_radius = cone.radii
        height, width = self.depth.shape
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

        window = slice(top, bottom), slice(left, right)
        behind = place - self.depth[window]  # -inf where there is nothing yet
        apart = np.abs(behind) * np.float32(1 / cone.melt)
        ours = self.body[window] == cone.body
        overlap = np.where(ours, (1 - apart).clip(0, None), 0)
        before = behind < 0
        # Of what is seen of the pixel afterwards, so much is this limb (Porter and Duff's "over").
        there = self.cover[window]
        total = there + (1 - there) * cover
        dye = np.where(before, cover, (1 - there) * cover) / total.clip(_SHORTEST, None)
        melted = np.where(before, 1 - overlap / 2, overlap / 2)  # colours do not: a neck ends
        weight = np.where(before, dye * melted, np.maximum(dye, cover * melted))
        surface = self.surface[window]
        for channel, new in enumerate((right_of / radius, -below / radius, toward, *cone.colour)):
            old, share = surface[..., channel], weight if channel < _NORMAL else dye
            old += (new - old) * share
        solid = before & (cover > 0.5)
        np.copyto(self.body[window], cone.body, where=solid)
        np.copyto(self.depth[window], place, where=solid)
        self.cover[window] = total

    def light(self, picture: Float[np.ndarray, "H W 3"], camera: Camera) -> None:
        """Put the lit limbs into the picture."""
        rows = np.flatnonzero(self.cover.any(axis=1))
        columns = np.flatnonzero(self.cover.any(axis=0))
        if not len(rows):
            return
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        cover = self.cover[box]
        seen = cover > 0
        surface = self.surface[box][seen]
        normals, colours = surface[:, :_NORMAL], surface[:, _NORMAL:]
        normals /= np.sqrt(np.einsum("ij,ij->i", normals, normals)).clip(1e-6, None)[:, None]
        shade = _shade(normals, colours, self._occlusion(box, camera)[seen], camera)
        pixels = picture[box]
        under = pixels[seen]
        pixels[seen] = under + (shade - under) * cover[seen][:, None]

    def _occlusion(self, box: tuple[slice, slice], camera: Camera) -> Float[np.ndarray, "h w"]:
        """Return how much of the light from all around misses each pixel of `box`, 0 to 1.

        Depth less its blurred self tells what lies behind its surroundings (Luft et al. 2006,
        Image Enhancement by Unsharp Masking the Depth Buffer).
        """
        depth = self.depth[box][::_SHRINK, ::_SHRINK]
        empty = ~np.isfinite(depth)
        if empty.all():
            return np.zeros(self.depth[box].shape, np.float32)
        depth = np.where(empty, depth[~empty].max(), depth)
        focal = camera.focal(self.depth.shape[1], self.depth.shape[0]) / _SHRINK
        reach = max(round(_OCCLUSION_REACH * focal / float(np.median(depth[~empty]))), 1)
        around = _box_blur(_box_blur(depth, reach).T, reach).T
        behind = ((depth - around) / np.float32(_OCCLUSION_DEPTH)).clip(0, None)
        # What is far behind is no longer touched by what is before it.
        dark = np.where(behind < 1, behind * (2 - behind), behind * np.exp(1 - behind))
        dark = _box_blur(_box_blur(dark, 1).T, 1).T  # no steps when it is drawn larger
        fine = dark.repeat(_SHRINK, axis=0).repeat(_SHRINK, axis=1)
        height, width = self.depth[box].shape
        return fine[:height, :width]


def _shade(
    normals: Float[np.ndarray, "N 3"],
    colours: Float[np.ndarray, "N 3"],
    occlusion: Float[np.ndarray, "N"],
    camera: Camera,
) -> Float[np.ndarray, "N 3"]:
    """Return the colour of surfaces that face `normals`: right, up, to the camera."""
    to_picture = camera.axes * np.array([1.0, 1.0, -1.0])[:, None]
    sun, fill, above = (
        (to_picture @ way).astype(np.float32) for way in (SUN, _FILL, np.eye(3)[UP])
    )
    half = sun + np.array([0.0, 0.0, 1.0], np.float32)  # between the sun and the eye
    half /= np.linalg.norm(half)
    open_sky = 1 - np.float32(_OCCLUSION) * occlusion
    skyward = normals @ above * np.float32(0.5) + np.float32(0.5)
    light = (np.float32(_BOUNCE) + np.float32(_SKY - _BOUNCE) * skyward) * open_sky
    light += np.float32(_DIFFUSE) * (normals @ sun).clip(0, None) * (1 - (1 - open_sky) / 2)
    light += np.float32(_FILLING) * (normals @ fill).clip(0, None)
    light *= 1 - np.float32(_RIM_DARKNESS) * (1 - normals[:, 2])
    gloss = (normals @ half).clip(0, None)
    for _ in range(_GLOSS_SQUARINGS):
        gloss *= gloss
    gloss *= np.float32(_GLOSS) * open_sky
    return (light[:, None] * colours + gloss[:, None]).clip(0, 255)


def _box_blur(values: Float[np.ndarray, "h w"], reach: int) -> Float[np.ndarray, "h w"]:
    """Return the mean over `reach` values to either side in each row; the edges go on."""
    padded = np.pad(values, ((0, 0), (reach + 1, reach)), mode="edge").astype(np.float64)
    sums = padded.cumsum(axis=1)
    size = 2 * reach + 1
    return ((sums[:, size:] - sums[:, :-size]) / size).astype(np.float32)


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
