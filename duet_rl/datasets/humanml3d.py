"""HumanML3D and KIT-ML: motion features with captions, as their authors lay them out.

For people who have the data: `Mean.npy`, `Std.npy`, `train.txt`, `val.txt`, `test.txt`,
`new_joint_vecs/NAME.npy`, `new_joints/NAME.npy` and `texts/NAME.txt` under one folder. Guo et
al., Generating Diverse and Natural 3D Human Motions from Text (CVPR 2022).
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.datasets.split import Split
from duet_rl.errors import InputError, listed
from duet_rl.files import require_file, require_folder

UNIT = 4  # frames; lengths are multiples of it
TOO_LONG = 200  # frames; a motion of as many is left out
LONGEST = 196  # frames; motions are padded to as many

_MEAN, _DEVIATION = "Mean.npy", "Std.npy"
_FEATURES, _JOINTS, _TEXTS = "new_joint_vecs", "new_joints", "texts"
_SPAN_FPS = 20.0  # frames a second that spans are counted in, also of KIT-ML

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MotionFormat:
    """What the files of a data set hold.

    Args:
        name: of the data set.
        parents: of each joint of its skeleton, the root's own.
        fps: frames per second.
        shortest: frames; a shorter motion is left out.
    """

    name: str
    parents: tuple[int, ...]
    fps: float
    shortest: int

    @property
    def joints(self) -> int:
        """Joints of the skeleton."""
        return len(self.parents)

    @property
    def channels(self) -> int:
        """Features of a frame: root 4, positions and 6D turns of the others, velocities, feet 4."""
        return 4 + 9 * (self.joints - 1) + 3 * self.joints + 4

    def count_frames(self, file: Path) -> int:
        """Return how many frames a file of features has; its header alone is read."""
        return len(_array(file, "motion features", (self.channels,), peek=True))

    def read_features(self, file: Path) -> Float[Tensor, "T C"]:
        """Return what a file of features has, not normalised.

        Raises:
            InputError: the file cannot be read, has another shape, or holds NaN.
        """
        rows = _array(file, "motion features", (self.channels,))
        features = torch.from_numpy(rows.astype(np.float32))
        if not torch.isfinite(features).all():
            raise InputError(f"{file} holds NaN; leave it out of the split's list")
        return features


HUMANML3D = MotionFormat(
    "HumanML3D",
    (0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
    fps=20.0,
    shortest=40,
)
# 0 root; 1-4 spine to head; 5-7 right arm; 8-10 left arm; 11-15 right leg; 16-20 left leg.
KIT_ML = MotionFormat(
    "KIT-ML",
    (0, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19),
    fps=12.5,
    shortest=24,
)
FORMATS = (HUMANML3D, KIT_ML)


class TextLine(NamedTuple):
    """A caption, and of which part of the motion it tells."""

    text: str
    tokens: tuple[str, ...]  # `word/KIND` each
    start: float  # s
    stop: float  # s; both 0: of all of it


@dataclass(frozen=True)
class TextMotion:
    """A motion, or a part of one, and what is said of it.

    Args:
        name: of the motion, with its frames if it is a part.
        file: with the features.
        frames: from the first to before the last.
        lines: one or more.
    """

    name: str
    file: Path
    frames: tuple[int, int]
    lines: tuple[TextLine, ...]

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.frames[1] - self.frames[0]


@dataclass(frozen=True, eq=False)
class TextMotions:
    """The motions of a split with their captions; features are read when they are asked for.

    Args:
        root: folder of the data set.
        format: which of the two it is.
        motions: in the order of the split's list, parts after the whole.
        mean: of the features.
        deviation: of the features.
        left_out: why motions of the list are not among them -> how many.
    """

    root: Path
    format: MotionFormat
    motions: tuple[TextMotion, ...]
    mean: Float[Tensor, "C"]
    deviation: Float[Tensor, "C"]
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.motions)

    def features(self, motion: TextMotion) -> Float[Tensor, "T C"]:
        """Return the features of a motion as its file has them, not normalised.

        Raises:
            InputError: the file cannot be read, or holds NaN.
        """
        return self.format.read_features(motion.file)[slice(*motion.frames)]

    def joints(self, motion: TextMotion) -> Float[Tensor, "T J 3"]:
        """Return the joints of a motion, in the unit of its file.

        There may be one frame more in the file than it has features.

        Raises:
            InputError: there are none, or they are of another shape.
        """
        path = self.root / _JOINTS / motion.file.name
        rows = _array(path, "joints", (self.format.joints, 3))
        return torch.from_numpy(rows[slice(*motion.frames)].astype(np.float32))

    def normalised(self, features: Float[Tensor, "T C"]) -> Float[Tensor, "T C"]:
        """Return features less the mean, over the deviation."""
        return (features - self.mean) / self.deviation


def open_text_motions(
    root: Path | str,
    split: Split = "test",
    span_fps: float = _SPAN_FPS,
    skip_bad: bool = False,
) -> TextMotions:
    """Return the motions of a split as the published protocol takes them.

    Motions that are too short or too long are left out, and a caption with a span is of a part of
    the motion, which counts as another motion. Which of the two data sets it is, the number of
    features tells.

    Args:
        root: folder of the data set.
        split: of `train.txt`, `val.txt`, `test.txt`.
        span_fps: frames a second in which spans are cut. The published code takes 20 for KIT-ML
            too, whose motions have 12.5, so that its parts lie elsewhere; 12.5 puts them right.
        skip_bad: leave out motions whose files are missing or damaged, and say so, instead of
            stopping.

    Raises:
        InputError: no such folder or list, files that are missing, damaged or of another form.
    """
    root = require_folder(root, "HumanML3D or KIT-ML")
    mean, deviation = (_statistics(root / name) for name in (_MEAN, _DEVIATION))
    kind = _format_of(root / _MEAN, mean)
    if len(deviation) != len(mean) or not bool((deviation > 0).all()):
        raise InputError(
            f"{root / _DEVIATION} has {len(deviation)} values, the least "
            f"{float(deviation.min()):g}; wanted {len(mean)} above 0: fetch it again"
        )
    names = _names(root / f"{split}.txt")
    found: list[TextMotion] = []
    left_out: dict[str, int] = {}
    bad: list[str] = []
    for name in names:
        try:
            parts, reasons = _parts(root, name, kind, span_fps)
        except InputError as error:
            bad.append(f"{name} ({error})")
            continue
        found += parts
        for reason in reasons:
            left_out[reason] = left_out.get(reason, 0) + 1
    _tell_bad(root, bad, len(names), skip_bad and bool(found))
    if bad:
        left_out["files missing or damaged"] = len(bad)
    if not found:
        why = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise InputError(f"{root / f'{split}.txt'} lists no motion that can be used ({why})")
    return TextMotions(root, kind, tuple(found), mean, deviation, left_out)


def read_lines(path: Path | str) -> tuple[TextLine, ...]:
    """Return the captions of a file of `texts/`: a line `caption#word/KIND ...#from#to` each.

    Raises:
        InputError: no file, no captions, or a line of another form.
    """
    path = require_file(path, "captions")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error.reason}); fetch it again") from error
    found = [_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{path} has no captions; leave the motion out of the split's list")
    return tuple(found)


def _line(path: Path, number: int, line: str) -> TextLine:
    wanted = "wanted caption#word/KIND word/KIND ...#from#to, from and to in seconds"
    fields = line.strip().rsplit("#", 3)
    if len(fields) != 4 or not fields[0].strip():
        raise InputError(f"line {number} of {path} is {line.strip()!r}; {wanted}")
    tokens = tuple(fields[1].split())
    if any("/" not in token for token in tokens):
        raise InputError(f"line {number} of {path} has words without a kind; {wanted}")
    try:
        span = [float(x) for x in fields[2:]]
    except ValueError:
        raise InputError(f"line {number} of {path} ends with {fields[2:]}; {wanted}") from None
    start, stop = (0.0 if math.isnan(x) else x for x in span)
    whole = start == stop == 0
    if not whole and not (0 <= start < stop < math.inf):
        raise InputError(f"line {number} of {path} is of {start:g} to {stop:g} s; {wanted}")
    return TextLine(fields[0].strip(), tokens, start, stop)


def _parts(
    root: Path, name: str, kind: MotionFormat, span_fps: float
) -> tuple[list[TextMotion], list[str]]:
    """Return a motion and its parts, and why some are left out."""
    file = root / _FEATURES / f"{name}.npy"
    frames = kind.count_frames(file)
    lines = read_lines(root / _TEXTS / f"{name}.txt")
    reason = _unfit(frames, kind)
    if reason:
        return [], [f"motions {reason}"]
    found, reasons = [], []
    whole = tuple(line for line in lines if line.stop == 0)
    if whole:
        found.append(TextMotion(name, file, (0, frames), whole))
    for line in lines:
        if line.stop == 0:
            continue
        cut = (int(line.start * span_fps), min(frames, int(line.stop * span_fps)))
        reason = _unfit(max(0, cut[1] - cut[0]), kind)
        if reason:
            reasons.append(f"parts {reason}")
        else:
            found.append(TextMotion(f"{name} {cut[0]}-{cut[1]}", file, cut, (line,)))
    return found, reasons


def _unfit(frames: int, kind: MotionFormat) -> str:
    if frames < kind.shortest:
        return f"under {kind.shortest} frames"
    return f"of {TOO_LONG} frames or more" if frames >= TOO_LONG else ""


def _names(path: Path) -> list[str]:
    try:
        names = require_file(path, "a list of motions").read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error.reason}); fetch it again") from error
    if not names:
        raise InputError(f"{path} is empty; fetch it again")
    return names


def _statistics(path: Path) -> Float[Tensor, "C"]:
    values = torch.from_numpy(_array(path, "statistics of the features", ()).astype(np.float32))
    if values.ndim != 1 or not torch.isfinite(values).all():
        raise InputError(
            f"{path} has the shape {tuple(values.shape)} or holds NaN; wanted a number a feature"
        )
    return values


def _format_of(path: Path, mean: Tensor) -> MotionFormat:
    for kind in FORMATS:
        if kind.channels == len(mean):
            return kind
    known = ", ".join(f"{kind.channels} of {kind.name}" for kind in FORMATS)
    raise InputError(f"{path} has {len(mean)} values; wanted {known}")


def _array(path: Path, what: str, shape: tuple[int, ...], peek: bool = False) -> np.ndarray:
    """Return an array of numbers `(rows, *shape)`; `()` takes any. `peek` reads the header only."""
    require_file(path, what)
    try:
        array = np.load(path, mmap_mode="r" if peek else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is no whole .npy file of numbers; fetch it again") from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.number):
        raise InputError(f"{path} holds no numbers; wanted {what}")
    if shape and array.shape[1:] != shape:
        wanted = f"(frames, {', '.join(map(str, shape))})"
        raise InputError(f"{path} has the shape {array.shape}; wanted {wanted}")
    return array


def _tell_bad(root: Path, bad: Sequence[str], total: int, go_on: bool) -> None:
    if not bad:
        return
    told = f"{len(bad)} of {total} motions in {root} cannot be used: {listed(bad)}"
    if not go_on:
        raise InputError(f"{told}; mend them, take them out of the list, or skip bad ones")
    logger.warning("%s; left out", told)
