"""Dances that were measured, kept as files until the page is written."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

MILLIMETRES = 1000  # per metre; dances travel and are kept as whole millimetres
FARTHEST = 32.0  # m from the origin that a whole millimetre of 16 bits reaches


def in_millimetres(
    joints: Float[Tensor, "B T 55 3"],
) -> tuple[Int16[Tensor, "T 55 3"] | None, ...]:
    """Return dances as whole millimetres; None for one that is missing or leaves the room."""
    return tuple(
        (dance * MILLIMETRES).round().to(torch.int16)
        if torch.isfinite(dance).all() and dance.abs().max() <= FARTHEST
        else None
        for dance in joints
    )


def keep_dance(folder: Path, row: str, clip: str, dance: Int16[Tensor, "T 55 3"]) -> None:
    """Write one dance of one row."""
    path = _path(folder, row, clip)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, dance.numpy())


def kept_dance(folder: Path, row: str, clip: str) -> Float[Tensor, "T 55 3"] | None:
    """Return the joints of a dance in metres, if it was kept."""
    path = _path(folder, row, clip)
    if not path.is_file():
        return None
    return torch.from_numpy(np.load(path, allow_pickle=False)).float() / MILLIMETRES


def _path(folder: Path, row: str, clip: str) -> Path:
    # People name rows as they like: with a slash, by two dots, at length.
    return folder / sha256(row.encode()).hexdigest() / f"{clip}.npy"
