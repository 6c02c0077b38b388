"""Any motion file as 55 joints at 30 fps, and what it was taken for.

The unit, the axis that is up, the floor and the skeleton are found by the body in the file, unless
the caller says them. See docs/motion_files.md.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.resampling import whole_at
from duet_rl.body.skeleton import JOINT
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.mocap.axes import UP_AXES, UpAxis, to_y_up
from duet_rl.mocap.detect import (
    FAST_FEET,
    FLOOR_SLACK,
    PERSON_RANGE,
    SOLE_LIMIT,
    foot_speed,
    scale_of,
    standing_height,
    up_of,
)
from duet_rl.mocap.motion_source import Opened, Source, open_source

logger = logging.getLogger(__name__)

FPS = 30.0

_ASSUMED_FPS = 30.0  # of files that say none
_FPS_RANGE = (1.0, 10_000.0)  # a second; no more, no less is motion capture
_PARAMETER_SLACK = 0.03  # m; how far models' pelvises and floors may miss y = 0
_STRAY = 0.02  # m; a retargeted joint that is farther off is told
_BACKWARDS = -0.3  # cosine between feet and facing of someone whose sides are exchanged


@dataclass(frozen=True)
class Found:
    """What a file was taken for.

    Args:
        name: of the file.
        format: "BVH", "npz" or "npy".
        family: whose skeleton it is.
        joints: our joint -> the file's joint.
        left_out: the file's joints that are none of ours.
        missing: ours that the file lacks; they follow from the others or are at rest.
        frames: in the file.
        fps: frames per second of the file.
        fps_from: "file", "given", or "assumed" where nobody says.
        scale: metres per unit of the file.
        scale_from: why.
        up: the axis that is up in the file.
        up_from: "file", "given", or "body".
        floor: how high the floor of the file was above ours, metres; it was brought down by that.
        facing: where the dancer faces in the first frame, degrees: 0 is +Z, 90 is +X.
        persons: names of all persons in the file.
        lead_in: seconds at the start that are no dance but the converter's T-pose.
        ours: whether the file is one that this project wrote.
        warnings: what may be wrong, one line each.
    """

    name: str
    format: str
    family: str
    joints: Mapping[str, str]
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    frames: int
    fps: float
    fps_from: str
    scale: float
    scale_from: str
    up: UpAxis
    up_from: str
    floor: float
    facing: float
    persons: tuple[str, ...]
    lead_in: float
    ours: bool
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line for people."""
        skipped = f", {len(self.left_out)} left out" if self.left_out else ""
        floor = f"; floor moved by {-self.floor:+.2f} m" if self.floor else ""
        return (
            f"{self.name}: {self.format}, {self.family} ({len(self.joints)} joints used{skipped}); "
            f"{self.frames} frames at {self.fps:g} fps ({self.fps_from}); "
            f"{self.scale:.4g} m a unit ({self.scale_from}); {self.up} up ({self.up_from})"
            f"{floor}; faces {self.facing:.0f} deg"
        )


@dataclass(frozen=True, eq=False)
class MotionFile:
    """The motion in a file, and what the file was taken for."""

    motion: Motion
    found: Found

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.found.warnings

    def without_lead_in(self) -> Motion:
        """Return the motion from where the dance begins, if that leaves any."""
        skip = math.ceil(self.found.lead_in * self.motion.fps)
        return self.motion.slice(skip) if skip < self.motion.frames else self.motion


def read_motion(
    path: Path | str,
    fps: float | None = None,
    scale: float | None = None,
    up: str | None = None,
    person: int | str | None = None,
    rate: float | None = FPS,
) -> MotionFile:
    """Return the motion in a file of any kind that we know.

    Args:
        path: BVH of any person's skeleton; AMASS, SMPL-X or our own npz; npy of DD100, HumanML3D,
            or joints.
        fps: true frames per second, where the file is silent or wrong.
        scale: metres per unit of the file; by default such that legs are a person's.
        up: "y" or "z", the axis that is up; by default the one along which the body is long.
        person: of a file with several persons, one by number (from 1) or name.
        rate: frames per second of the motion; None keeps those of the file.

    Raises:
        InputError: no such file, a damaged one, one of a kind that cannot be read, or a skeleton
            in which no person can be recognised.
    """
    path = Path(path)
    for name, value in (("fps", fps), ("scale", scale)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value} for {path.name}; wanted a number above 0")
    if up is not None and up not in UP_AXES:
        raise InputError(f"up axis {up!r} for {path.name}; wanted 'y' or 'z'")
    if path.suffix.lower() in (".bvh", ".npz", ".npy"):
        require_file(path, "a motion")
    source = open_source(path, person)
    warnings = list(source.warnings)
    if person is None and len(source.persons) > 1:
        several = ", ".join(source.persons)
        warnings.append(f"{len(source.persons)} persons ({several}): the first is taken")
    true_fps, fps_from = _fps(path, source, fps, warnings)
    metres, scale_from = _scale(path, source, scale, warnings)
    opened = source.open(metres, true_fps)
    axis, up_from = _up(source, opened, up, warnings)
    floor = _put_on_floor(source, opened, axis)
    if opened.strays > _STRAY:
        warnings.append(
            f"its bones change or hang otherwise than ours: joints are up to {opened.strays:.2f} m "
            "from where the file has them"
        )
    motion = whole_at(opened.part, source.frames, true_fps, rate)
    motion = to_y_up(motion, axis).moved((0.0, -floor, 0.0))
    _look_at(motion, true_fps, warnings)
    found = Found(
        name=path.name,
        format=source.format,
        family=source.family,
        joints=source.joints,
        left_out=source.left_out,
        missing=source.missing,
        frames=source.frames,
        fps=true_fps,
        fps_from=fps_from,
        scale=metres,
        scale_from=scale_from,
        up=axis,
        up_from=up_from,
        floor=floor,
        facing=math.degrees(float(facing_angle(motion.joints[:1])[0])),
        persons=source.persons,
        lead_in=source.lead_in / true_fps,
        ours=source.ours,
        warnings=tuple(warnings),
    )
    return MotionFile(motion, found)


def log(read: MotionFile) -> None:
    """Log what a file of others was taken for, and what may be wrong with any file."""
    if not read.found.ours:
        logger.info("%s", read.found)
    for warning in read.warnings:
        logger.warning("%s: %s", read.found.name, warning)


def _fps(path: Path, source: Source, given: float | None, warnings: list[str]) -> tuple[float, str]:
    fps, why = (source.fps, "file") if given is None else (float(given), "given")
    if fps is None and source.format == "npz":
        raise InputError(f"{path}: says no frame rate; give the fps")
    if fps is None:
        warnings.append(f"it says no frame rate: {_ASSUMED_FPS:g} fps are assumed; give the fps")
        return _ASSUMED_FPS, "assumed"
    low, high = _FPS_RANGE
    if not low <= fps <= high:
        raise InputError(
            f"{path}: {fps:g} frames a second ({why}); wanted {low:g} to {high:g}, give the fps"
        )
    return fps, why


def _scale(
    path: Path, source: Source, given: float | None, warnings: list[str]
) -> tuple[float, str]:
    if source.leg is None:
        return (1.0, "format") if given is None else (given, "given")
    if source.leg <= 0:
        raise InputError(f"{path}: legs of no length; wanted a skeleton with bones")
    if given is None and source.ours and PERSON_RANGE[0] < source.leg < PERSON_RANGE[1]:
        return 1.0, "as we write"  # whatever the person
    if given is None:
        scale = scale_of(source.leg, source.units)
        if not scale.certain:
            warnings.append(
                f"legs of {source.leg:.3g} units are a person's in no known unit: taken for "
                f"{scale.metres:.4g} m a unit; give the scale if you know it"
            )
        return scale.metres, scale.reason
    leg = source.leg * given
    if not PERSON_RANGE[0] < leg < PERSON_RANGE[1]:
        raise InputError(
            f"{path.stem}: legs of {leg:.3g} m; wanted a person in metres, give the scale "
            "(0.01 for a file in centimetres) or leave it out"
        )
    return given, "given"


def _up(
    source: Source, opened: Opened, given: str | None, warnings: list[str]
) -> tuple[UpAxis, str]:
    stated = given or source.up
    if stated is not None:
        return ("z" if stated == "z" else "y"), "given" if given else "file"
    if source.ours:
        return "y", "file"
    found = up_of(opened.sample.joints)
    if not found.certain:
        warnings.append(
            f"the body lies along no axis for most of the take: {found.axis} is taken to be up; "
            "give up y or z"
        )
    return found.axis, "by the body"


def _put_on_floor(source: Source, opened: Opened, axis: UpAxis) -> float:
    """Give feet without soles their soles, and return how high the floor of the file is."""
    if source.ours:
        return 0.0
    height = standing_height(to_y_up(opened.sample, axis).joints)
    if opened.lower_toes is not None and 0 < height <= SOLE_LIMIT:
        opened.lower_toes(height)
        return 0.0
    slack = FLOOR_SLACK if source.format == "BVH" else _PARAMETER_SLACK
    return height if abs(height) > slack else 0.0


def _look_at(motion: Motion, fps: float, warnings: list[str]) -> None:
    """Add what is implausible in a motion."""
    speed = foot_speed(motion.joints, motion.fps)
    if speed > FAST_FEET:
        warnings.append(
            f"feet at {speed:.1f} m/s are faster than dancers': if the frames are fewer than "
            f"{fps:g} a second, give the fps (many CMU files say 120 and are 60)"
        )
    joints = motion.joints
    up = joints[:, JOINT["neck"]] - joints[:, 0]
    across = joints[:, JOINT["left_hip"]] - joints[:, JOINT["right_hip"]]
    ahead = torch.linalg.cross(across, up, dim=-1)
    feet = joints[:, JOINT["left_foot"]] - joints[:, JOINT["left_ankle"]]
    feet = feet + joints[:, JOINT["right_foot"]] - joints[:, JOINT["right_ankle"]]
    if float(torch.cosine_similarity(feet, ahead, dim=-1).mean()) < _BACKWARDS:
        warnings.append("the feet point backwards: left and right may be exchanged in the file")
