"""The published evaluator of HumanML3D or KIT-ML, where its authors' packages put it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.compat.text_motion import read_evaluator
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.models.text_motion import TextMotionEvaluator

_FILE = "finest.tar"
_PLACES = ("", "model", "text_mot_match/model", "text_mot_match")
_MEAN, _DEVIATION = "mean.npy", "std.npy"
_ABOVE = 3  # folders in which they may lie, that of the networks and those above it


@dataclass(frozen=True, eq=False)
class PublishedEvaluator:
    """The networks, and how the motions are normalised that they were trained with."""

    networks: TextMotionEvaluator
    mean: Float[Tensor, "C"]
    deviation: Float[Tensor, "C"]
    sha256: str  # of the file of the networks

    def require_fits(self, channels: int) -> None:
        """Raise `InputError` if its mean is not of so many features."""
        if len(self.mean) != channels or len(self.deviation) != channels:
            raise InputError(
                f"the evaluator's mean and std are of {len(self.mean)} and {len(self.deviation)} "
                f"features, and the data have {channels}; give those of this data set"
            )


def open_evaluator(path: Path | str) -> PublishedEvaluator:
    """Return the evaluator in a folder, or of a file `finest.tar`.

    The file may lie in the folder itself, or in `model/` or `text_mot_match/model/`; its
    `mean.npy` and `std.npy` beside the file, in one of the two folders above it, or in `meta/` in
    any of these. `Mean.npy` and `Std.npy` of the data set are other numbers.

    Raises:
        InputError: no such file, one that is none, or no mean and std.
    """
    path = Path(path)
    files = [path] if path.is_file() else [path / place / _FILE for place in _PLACES]
    file = next((one for one in files if one.is_file()), None)
    if file is None:
        raise InputError(
            f"{path} has no {_FILE}, in text_mot_match/model/ for example; give the folder of the "
            "evaluator that its authors give out"
        )
    networks = read_evaluator(file)
    above = (file.parent, *file.parent.parents)[:_ABOVE]
    folders = [place for folder in above for place in (folder, folder / "meta")]
    mean, deviation = (_statistics(path, folders, name) for name in (_MEAN, _DEVIATION))
    if not bool((deviation > 0).all()):
        raise InputError(f"std.npy of {path} is not above 0 everywhere; fetch it again")
    return PublishedEvaluator(networks, mean, deviation, sha256_of(file))


def _statistics(path: Path, folders: list[Path], name: str) -> Float[Tensor, "C"]:
    file = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if file is None:
        raise InputError(
            f"{path} has no {name}, in meta/ for example: motions must be normalised as the "
            "evaluator's training did it, and not by the data set's own Mean.npy and Std.npy; copy "
            "mean.npy and std.npy from the evaluator's package into the folder"
        )
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file} is no whole .npy file of numbers; fetch it again") from error
    numbers = values.dtype.kind == "f" and values.ndim == 1
    if not numbers or not np.isfinite(values).all():
        raise InputError(f"{file} has the shape {values.shape}; wanted a finite number a feature")
    return torch.from_numpy(values.astype(np.float32))
