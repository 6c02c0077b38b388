"""PGR2M's checkpoints become one folder of ours, that motion is made of (spec 3 to 5)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.compat.files import named, require_free
from duet_rl.compat.pgr2m_files import read_pgr2m
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.mocap.humanml3d import FEATURES
from duet_rl.models.clip_text import ClipText
from duet_rl.pickles import load_object_npy
from duet_rl.tokenizers.pgr2m import CLIP, KIND, Pgr2m

KIT_FEATURES = 251  # of a frame of KIT-ML
_DATA = {FEATURES: "humanml3d", KIT_FEATURES: "kit"}  # what motion of so many features is of


def convert(
    tokenizer: Path | str,
    base: Path | str,
    out: Path | str,
    refine: Path | str | None = None,
    mean: Path | str | None = None,
    std: Path | str | None = None,
    clip: Path | str | None = None,
    base_heads: int | None = None,
    refine_heads: int | None = None,
    keywords: bool | None = None,
) -> Path:
    """Write the folder that original checkpoints make, whole or not at all.

    No code in the files is run.

    Args:
        tokenizer: checkpoint of the pose-guided tokenizer.
        base: checkpoint of the transformer from text to pose codes.
        out: the folder; a checkpoint of this kind that is there is replaced.
        refine: checkpoint of the transformer from pose codes to residual tokens; without it,
            motion is of pose codes alone.
        mean: `Mean.npy` of the motion that the tokenizer was trained on, and
        std: its `Std.npy`; without them there are no metres.
        clip: CLIP's text tower (see `ClipText.load`), to be kept in the folder too.
        base_heads: of the base transformer's attention, if its options do not say so.
        refine_heads: of the refine transformer's.
        keywords: whether prompts have vectors of key words, if its options do not say so.

    Returns:
        The folder, which `generate.pgr2m.load_pgr2m` opens.

    Raises:
        InputError: names the file that is missing, damaged, hostile or swapped for another, lists
            the keys that are missing, extra or of another shape, or says how the files do not fit
            each other.
    """
    out = Path(out)
    require_free(out, KIND)
    if (mean is None) != (std is None):
        raise InputError("of mean and std only one is given; give both, of one data set")
    models = read_pgr2m(tokenizer, base, refine, base_heads, refine_heads, keywords)
    channels = models.config.channels
    if channels not in _DATA:
        raise InputError(
            f"{tokenizer} is of motion with {channels} features; those of HumanML3D have "
            f"{FEATURES}, of KIT-ML {KIT_FEATURES}"
        )
    if mean is not None and std is not None:
        models.set_normalisation(_mean(mean, channels), _std(std, channels))
    tower = None if clip is None else _tower(clip, models)
    given = {"tokenizer": tokenizer, "base": base, "refine": refine, "mean": mean, "std": std}
    facts: dict[str, Any] = {
        name: {"file": Path(path).name, "sha256": sha256_of(path)}
        for name, path in given.items()
        if path is not None
    }
    meta = {"converted_from": {"system": "pgr2m", "data": _DATA[channels], **facts}}
    with atomic_path(out) as temporary:
        temporary.mkdir()
        if tower is not None:
            (temporary / CLIP).mkdir()
            tower.save(temporary / CLIP)
        models.save(temporary, meta)
    return out


def _mean(path: Path | str, channels: int) -> Float[Tensor, "F"]:
    return _numbers(path, channels, "mean")


def _std(path: Path | str, channels: int) -> Float[Tensor, "F"]:
    std = _numbers(path, channels, "standard deviation")
    if not bool((std > 0).all()):
        raise InputError(
            f"{path} has {int((std <= 0).sum())} numbers that are not above 0 and can be no "
            "standard deviations; look whether mean and std are swapped"
        )
    return std


def _numbers(path: Path | str, channels: int, what: str) -> Float[Tensor, "F"]:
    """Return one number for each feature.

    Raises:
        InputError: no such file, damaged, of another size, or not finite.
    """
    values = load_object_npy(path)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.size != channels:
        found = values.shape if isinstance(values, np.ndarray) else type(values).__name__
        raise InputError(
            f"{path} holds {found}; a {what} for each of {channels} features is wanted, of the "
            "data that the tokenizer was trained on"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds NaN or infinity; fetch it again")
    return torch.from_numpy(values.reshape(-1).astype(np.float32))


def _tower(path: Path | str, models: Pgr2m) -> ClipText:
    """Return a text tower whose vectors fit the prompts.

    Raises:
        InputError: it is none, or its vectors have another number of channels.
    """
    tower = ClipText.load(path)
    with named(Path(path)):
        models.require_fits(tower)
    return tower
