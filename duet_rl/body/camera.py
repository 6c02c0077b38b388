"""A perspective camera for pictures of dancers: where it stands, and what it sees where."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from duet_rl.body.skeleton import UP

FIELD_OF_VIEW = math.radians(28)  # of the shorter side of the picture
AZIMUTH = math.radians(28)  # the camera stands this far round from +Z towards +X
ELEVATION = math.radians(13)  # and this far above the horizon
MARGIN = 0.86  # share of the picture that the dancers may fill
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

    def rounded(self) -> "Camera":
        """Return the camera with its places to the micrometre, so that equal ones compare equal."""
        eye, target = np.round(self.eye, 6), np.round(self.target, 6)
        return Camera(_triple(eye), _triple(target), self.field_of_view)


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
    across = math.cos(elevation)
    back = np.array([across * math.sin(azimuth), math.sin(elevation), across * math.cos(azimuth)])
    looking = Camera(_triple(target + back), _triple(target))
    right, up, away = ((points - target) @ looking.axes.T).T
    half = MARGIN * np.array([width, height]) / 2 / looking.focal(width, height)
    distance = max(
        ((np.abs(right) + _HEAD_ROOM) / half[0] - away).max(),
        ((np.abs(up) + _HEAD_ROOM) / half[1] - away).max(),
    )
    return Camera(_triple(target + back * distance), _triple(target))


def _triple(point: np.ndarray) -> tuple[float, float, float]:
    return (float(point[0]), float(point[1]), float(point[2]))
