"""The motion in a file, for callers who need not know what the file was taken for."""

from pathlib import Path

from duet_rl.body.motion import Motion
from duet_rl.mocap import motion_file


def read_motion(
    path: Path | str,
    fps: float | None = None,
    scale: float | None = None,
    up: str | None = None,
    person: int | str | None = None,
) -> Motion:
    """Return the motion in a file at 30 fps; see `motion_file.read_motion`.

    What a file of others was taken for, and what may be wrong with it, is logged.
    """
    read = motion_file.read_motion(path, fps, scale, up, person)
    motion_file.log(read)
    return read.motion
