"""A perspective camera for pictures of dancers: where it stands, and what it sees where."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from torch import Tensor

from duet_rl.body.skeleton import UP

FIELD_OF_VIEW = math.radians(28)  # of the shorter side of the picture
AZIMUTH = math.radians(28)  # the camera stands this far round from +Z towards +X
ELEVATION = math.radians(13)  # and this far above the horizon
MARGIN = 0.86  # share of the picture that the dancers may fill
FOLLOW_SECONDS = 1.0  # how lazily a camera goes with the dancers
REACH_SECONDS = 1.5  # ... and comes nearer or goes back
_SIGMAS = 2.0  # of a smoothing that are looked at
_PIECE = 1024  # frames that are looked at together
NEAREST = 0.05  # m; what is closer to the camera is not drawn
_HEAD_ROOM = 0.14  # m above and beside the outermost joint that belongs to the body


@dataclass(frozen=True)
class Camera:
    """A camera at `eye` that looks at `target` with its top towards +Y.

    Args:
        eye: where it stands, metres.
        target: the point in the middle of the picture, metres.
        field_of_view: angle across the shorter side of the picture, radians.
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    field_of_view: float = FIELD_OF_VIEW

    @cached_property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Rows: the directions in the world of right, up and away from the camera."""
        away = np.subtract(self.target, self.eye)
        away /= np.linalg.norm(away)
        right = np.cross(away, np.eye(3)[UP])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, away), away])

    def focal(self, width: int, height: int) -> float:
        """Return the focal length in pixels."""
        return min(width, height) / 2 / math.tan(self.field_of_view / 2)

    def view(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """Return `points` as seen from the camera: metres to the right, up and away."""
        return (points - np.asarray(self.eye)) @ self.axes.T

    def moved(self, offset: Float[np.ndarray, "3"]) -> "Camera":
        """Return the same camera, carried along by `offset` metres."""
        return Camera(_triple(self.eye + offset), _triple(self.target + offset), self.field_of_view)


def framing(
    joints: Float[np.ndarray, "*batch 3"],
    width: int,
    height: int,
    azimuth: float = AZIMUTH,
    elevation: float = ELEVATION,
) -> Camera:
    """Return the camera that has every point of `joints` in its picture, as large as fits.

    Args:
        joints: all that must be seen: one frame or a whole clip, one dancer or more, metres.
        width: of the picture, pixels.
        height: of the picture, pixels.
        azimuth: radians round from +Z towards +X.
        elevation: radians above the horizon.
    """
    points = joints.reshape(-1, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    target = (low + high) / 2
    looking = _towards(target, azimuth, elevation)
    distance = float(_needed(points[None] - target, looking, width, height)[0])
    return _from(looking, target, distance)


def following(
    joints: Sequence[Float[np.ndarray, "T 55 3"]] | Sequence[Float[Tensor, "T 55 3"]],
    fps: float,
    width: int,
    height: int,
) -> Iterator[Camera]:
    """Yield a camera a frame that goes with the dancers and has all of them in its picture.

    It keeps its direction, moves with the smoothed middle of the dancers at one height, and comes
    nearer or goes back in time: smoothly, and never nearer than the dancers of a frame allow.

    Args:
        joints: of each dancer, metres.
        fps: frames per second.
        width: of the pictures, pixels.
        height: of the pictures, pixels.
    """
    frames = len(joints[0])
    pieces = [slice(at, at + _PIECE) for at in range(0, frames, _PIECE)]  # memory stays flat

    def piece(part: slice) -> Float[np.ndarray, "t P 55 3"]:
        return np.stack([np.asarray(body[part], dtype=np.float64) for body in joints], axis=1)

    middle = np.mean([np.asarray(body[:, 0], dtype=np.float64) for body in joints], axis=0)
    top = max(float(piece(part)[..., UP].max()) for part in pieces)
    bottom = min(float(piece(part)[..., UP].min()) for part in pieces)
    path = gaussian_filter1d(middle, FOLLOW_SECONDS * fps, axis=0, mode="nearest")
    path[:, UP] = (top + bottom) / 2  # a camera that bobs makes the viewer seasick
    looking = _towards(np.zeros(3), AZIMUTH, ELEVATION)
    needed = np.concatenate(
        [
            _needed(
                (piece(part) - path[part, None, None]).reshape(len(path[part]), -1, 3),
                *(looking, width, height),
            )
            for part in pieces
        ]
    )
    for place, distance in zip(path, _covering(needed, REACH_SECONDS * fps), strict=True):
        yield _from(looking, place, float(distance))


def _towards(target: np.ndarray, azimuth: float, elevation: float) -> Camera:
    """Return a camera one metre from the target."""
    across = math.cos(elevation)
    back = np.array([across * math.sin(azimuth), math.sin(elevation), across * math.cos(azimuth)])
    return Camera(_triple(target + back), _triple(target))


def _from(looking: Camera, target: np.ndarray, distance: float) -> Camera:
    """Return the camera in the same direction from `target`, at a distance."""
    back = np.subtract(looking.eye, looking.target)
    return Camera(_triple(target + back * distance), _triple(target), looking.field_of_view)


def _needed(
    offsets: Float[np.ndarray, "T N 3"], looking: Camera, width: int, height: int
) -> Float[np.ndarray, "T"]:
    """Return the distance from which all points of a frame are in the picture.

    `offsets` are from the target, metres.
    """
    right, up, away = np.moveaxis(offsets @ looking.axes.T, -1, 0)
    half = MARGIN * np.array([width, height]) / 2 / looking.focal(width, height)
    across = (np.abs(right) + _HEAD_ROOM) / half[0] - away
    return np.maximum(across, (np.abs(up) + _HEAD_ROOM) / half[1] - away).max(axis=-1)


def _covering(values: Float[np.ndarray, "T"], sigma: float) -> Float[np.ndarray, "T"]:
    """Return `values` smoothed with a width of `sigma`, and nowhere less than they are."""
    reach = int(_SIGMAS * sigma + 0.5)  # as far as the smoothing below looks
    highest = maximum_filter1d(values, 2 * reach + 1, mode="nearest")
    return gaussian_filter1d(highest, sigma, mode="nearest", truncate=_SIGMAS)


def _triple(point: np.ndarray) -> tuple[float, float, float]:
    return (float(point[0]), float(point[1]), float(point[2]))
