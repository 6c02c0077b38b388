"""What the Python face takes for a motion and for music: files, arrays, or what is made already."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.features import music_features_of
from duet_rl.audio.files import write_wav
from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.hearing import hear_song
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.generate.follower import Follower
from duet_rl.mocap.read import read_motion
from duet_rl.models.follower import hearing_of

MotionLike: TypeAlias = Motion | Path | str | np.ndarray | Tensor
"""A `Motion`; a file that `read_motion` reads; or joints `(T, 22 | 24 | 52 | 55, 3)`, Y-up."""

Sound: TypeAlias = tuple[np.ndarray, int]
"""Samples, `(samples,)`, `(samples, channels)` or `(channels, samples)`, and their rate in Hz: in
[-1, 1], or whole numbers as sound files hold them."""

MusicLike: TypeAlias = Path | str | Sound | np.ndarray | Tensor
"""A sound file; a `Sound`; or features `(T, C)` as the follower hears them, 30 rows a second."""

_ARRAY_DIMS = 3  # of joints: frames, joints, xyz
_MOST_CHANNELS = 8  # of sound
_LOUDEST = 2.0  # beyond 1 by resampling at most; whole numbers as floats are far louder


def motion_of(given: MotionLike, fps: float | None = None, **reading: Any) -> Motion:
    """Return a motion at 30 fps.

    Args:
        given: a motion, a file, or an array of joints.
        fps: the true frame rate of a file that lies, or of an array, which else has 30.
        reading: `scale` (metres per unit) and `up` ("y" or "z"), where they are not to be found
            out; see `mocap.motion_file.read_motion`.

    Raises:
        InputError: a file or an array that is no motion.
    """
    for name in ("fps", "scale"):
        value = fps if name == "fps" else reading.get(name)
        if value is not None:
            number(value, name)
    if isinstance(given, Motion):
        if fps is not None or any(value is not None for value in reading.values()):
            raise InputError("a Motion knows its rate, unit and axes; leave out fps, scale and up")
        return given.resample(FPS)
    if isinstance(given, Path | str):
        return read_motion(given, fps=fps, **reading).resample(FPS)
    joints = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if joints.ndim != _ARRAY_DIMS or joints.dtype.kind not in "iuf":
        raise InputError(
            f"an array of {joints.dtype} of shape {joints.shape} is no motion; give joints "
            "(frames, 55, 3), a Motion or the path of a file"
        )
    with tempfile.TemporaryDirectory() as folder:  # arrays are read as files with them are
        path = Path(folder) / "array.npy"
        np.save(path, joints.astype(np.float32))
        try:
            return read_motion(path, fps=FPS if fps is None else fps, **reading).resample(FPS)
        except InputError as error:
            raise _without(path, "the array", error) from None


def features_of(given: MusicLike, follower: Follower) -> Float[Tensor, "T C"]:
    """Return what a follower hears of music, 30 rows a second.

    Raises:
        InputError: no such file, or an array that is neither sound nor features.
    """
    if given is None:
        raise InputError(
            "there is no music; give a path, (samples, rate in Hz), or features (frames, channels)"
        )
    if is_features(given):
        if isinstance(given, np.ndarray) and given.dtype.kind not in "iuf":
            raise InputError(f"music of {given.dtype}; wanted numbers")
        rows = torch.as_tensor(given, dtype=torch.float32)
        if rows.ndim != 2:
            raise InputError(
                f"an array of shape {tuple(rows.shape)} is no music; give features (frames, "
                "channels), (samples, rate) or the path of a file"
            )
        return rows
    kind, compat = hearing_of(follower.model.config), follower.music["compat"]
    with sound_file(given) as path:
        assert path is not None
        if kind == "duolando":
            return torch.from_numpy(music_features_of(path, compat=compat))
        return hear_song(path, kind, compat=compat)


def is_features(given: MusicLike | None) -> bool:
    """Return whether music is given as features, which make no sound."""
    return isinstance(given, np.ndarray | Tensor)


def files_in(*given: Any) -> tuple[Path, ...]:
    """Return those that are files: what is made of them must not be written over them."""
    return tuple(Path(one) for one in given if isinstance(one, str | Path))


@contextmanager
def sound_file(given: MusicLike | None) -> Iterator[Path | None]:
    """Yield a file with the sound of music, made for the time being if need be; None: no sound.

    Raises:
        InputError: there is no such file, or samples without a rate.
    """
    if given is None or is_features(given):
        yield None
    elif isinstance(given, Path | str):
        yield require_file(given, "the music")
    else:
        samples, rate = _checked(given)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "music.wav"
            write_wav(path, samples, rate)
            try:
                yield path
            except InputError as error:
                raise _without(path, "the music", error) from None


def number(value: Any, name: str) -> float:
    """Return a number that a caller has given.

    Raises:
        InputError: it is none, such as text.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name}={value!r}; wanted a number")
    return float(value)


def whole(value: Any, name: str, least: int, most: int = 2**31) -> int:
    """Return a whole number that a caller has given, within limits.

    Raises:
        InputError: it is none, or beyond the limits.
    """
    given = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if given is None or not least <= given <= most:
        raise InputError(f"{name}={value!r}; wanted a whole number, {least} to {most}")
    return given


def _without(path: Path, name: str, error: InputError) -> InputError:
    """Return an error that does not speak of a file which nobody knows."""
    return InputError(str(error).replace(str(path), name).replace(path.name, name))


def _checked(given: Any) -> tuple[Float[np.ndarray, "samples"], int]:
    try:
        values, rate = given
        samples, rate = _floats(np.asarray(values)), int(rate)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"music is given as {type(given).__name__}; wanted a path, (samples, rate in Hz), or "
            "features (frames, channels)"
        ) from error
    if samples.ndim not in (1, 2) or rate <= 0:
        raise InputError(
            f"samples of shape {samples.shape} at {rate} Hz; wanted (samples,) or (samples, "
            "channels), and a rate above 0"
        )
    if not np.isfinite(samples).all() or np.abs(samples).max(initial=0.0) > _LOUDEST:
        raise InputError(
            "samples that are NaN or far beyond [-1, 1]; give floats within, or whole numbers as "
            "sound files hold them"
        )
    if samples.ndim == 2:
        channels_first = len(samples) <= _MOST_CHANNELS < samples.shape[1]
        samples = samples.mean(0 if channels_first else 1)
    return samples, rate


def _floats(samples: np.ndarray) -> Float[np.ndarray, "..."]:
    """Return samples in [-1, 1]; those of 16 bits come in whole numbers, as scipy reads them."""
    if samples.dtype.kind not in "iu":
        return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    middle = (limits.max + limits.min + 1) // 2  # of bytes, which know no sign, 128
    return ((samples.astype(np.float64) - middle) / (limits.max - middle + 1)).astype(np.float32)
