"""What the golden tests of PGR2M's networks share."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from duet_rl.posecodes.catalogue import PGR2M392
from tests.golden.files import GOLDEN

FOLDER = GOLDEN / "pgr2m"
CLASSES = PGR2M392.classes
TOLERANCE = 1e-5  # of tensors, absolute or of the largest value, as the golden set suggests
GRADIENT = 1e-4  # relative

Golden = dict[str, Tensor]


def read(file: Path) -> Golden:
    """Return the arrays that are numbers, as tensors."""
    with np.load(file, allow_pickle=False) as arrays:
        return {
            name: torch.from_numpy(arrays[name].copy())
            for name in arrays.files
            if arrays[name].dtype.kind != "U"
        }


def state_of(golden: Golden) -> Golden:
    return {name.removeprefix("sd."): x for name, x in golden.items() if name.startswith("sd.")}


def rows_of(packed: Tensor, channels: int) -> Tensor:
    """Return packed rows of bits as numbers, `channels` of them."""
    return torch.from_numpy(np.unpackbits(packed.numpy(), axis=-1)[..., :channels]).float()


def classes_in(rows: Tensor) -> Tensor:
    """Return which class of every group a row of bits has on."""
    groups = rows[..., : sum(CLASSES)].split(CLASSES, dim=-1)
    return torch.stack([group.argmax(-1) for group in groups], dim=-1)


def assert_near(ours: Tensor, wanted: Tensor, tolerance: float = TOLERANCE) -> None:
    assert ours.shape == wanted.shape
    error = float((ours.detach() - wanted).abs().max())
    assert error <= tolerance * max(1.0, float(wanted.abs().max())), error
