"""Pictures of dancers: a small software renderer with round shaded limbs, a floor and shadows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from duet_rl.drawing.camera import NEAREST, Camera, framing
from duet_rl.drawing.figure import LIMB_ENDS, LIMBS, figure_points
from duet_rl.drawing.floor import cast_shadows, empty_scene
from duet_rl.drawing.limb_buffer import Cone, LimbBuffer

Colour = tuple[int, int, int]  # red, green, blue, 0 to 255
Joints = Float[np.ndarray, "55 3"] | Float[Tensor, "55 3"]

LEADER_COLOUR: Colour = (47, 104, 214)
FOLLOWER_COLOUR: Colour = (236, 100, 75)
COLOURS: tuple[Colour, ...] = (  # of dancers in their order; then they begin anew
    LEADER_COLOUR,
    FOLLOWER_COLOUR,
    (29, 154, 122),
    (154, 98, 216),
    (201, 138, 18),
    (100, 116, 139),
)

_SKIN_LIGHTNESS = 0.42  # how far head and hands go from the dancer's colour to white
_MELT = 0.55  # of a limb's lesser radius: so near to each other limbs of a body melt


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
    picture = empty_scene(camera, width, height)
    cast_shadows(picture, points, camera)
    cones = [
        cone
        for number, (body, place) in enumerate(zip(bodies, points, strict=True))
        for cone in _project(place, number, body.colour, camera, width, height)
    ]
    limbs = LimbBuffer(width, height)
    for cone in sorted(cones, key=lambda c: -(c.start[2] + c.end[2])):
        limbs.draw(cone)
    limbs.light(picture, camera)
    return picture.clip(0, 255).astype(np.uint8)


def _project(
    points: np.ndarray, number: int, colour: Colour, camera: Camera, width: int, height: int
) -> list[Cone]:
    """Return the limbs of one body as they lie in the picture; none that reach the camera."""
    view = camera.view(points)
    focal = camera.focal(width, height)
    depth = np.maximum(view[:, 2], NEAREST)
    scale = focal / depth  # pixels per metre
    place = np.stack(
        [width / 2 + view[:, 0] * scale, height / 2 - view[:, 1] * scale, depth], axis=1
    )
    cloth = np.array(colour, np.float32)
    colours = {"cloth": cloth, "skin": cloth + (255 - cloth) * _SKIN_LIGHTNESS}
    cones = []
    for limb, (a, b) in zip(LIMBS, LIMB_ENDS, strict=True):
        if view[a, 2] < NEAREST or view[b, 2] < NEAREST:
            continue
        radii = (float(limb.start_radius * scale[a]), float(limb.end_radius * scale[b]))
        melt = _MELT * min(limb.start_radius, limb.end_radius)
        tint = colours[limb.tint]
        cones.append(Cone(place[a], place[b], radii, focal, tint, number, melt))
    return cones
