"""A clip of a store as a motion file of two persons: `leader` and `follower`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from duet_rl.body.rotations import matrix_from_6d, matrix_to_axis_angle
from duet_rl.body.skeleton import NUM_JOINTS, Skeleton
from duet_rl.errors import InputError
from duet_rl.mocap.npz import OURS, PoseTable, load_arrays

PERSONS = ("leader", "follower")
FPS = 30.0  # of every clip
_PARTS = ("root", "rotations", "offsets")


def is_couple(names: Mapping[str, Any] | list[str]) -> bool:
    """Return whether the arrays of an npz file are those of a couple."""
    return all(f"{person}_{part}" in names for person in PERSONS for part in _PARTS)


def holds_couple(path: Path | str) -> bool:
    """Return whether a file holds a couple, its persons called by their parts; False if no file."""
    path = Path(path)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    return is_couple(load_arrays(path, lambda name: name.endswith(_PARTS)))


def person_of(path: Path, which: int | str | None) -> str:
    """Return the name of one person of a couple, the leader by default.

    Raises:
        InputError: there is no such person.
    """
    if which is None:
        return PERSONS[0]
    known = {name: name for name in PERSONS} | {str(i): x for i, x in enumerate(PERSONS, start=1)}
    if str(which) not in known:
        raise InputError(f"{path}: no person {which!r}; it has 2: 1 leader, 2 follower")
    return known[str(which)]


def couple_table(
    path: Path, arrays: Mapping[str, np.ndarray], which: int | str | None
) -> PoseTable:
    """Return one person of a couple.

    Raises:
        InputError: there is no such person, or arrays that are no motion.
    """
    person = person_of(path, which)
    root, columns, offsets = (arrays[f"{person}_{part}"] for part in _PARTS)
    frames = len(root) if root.ndim else 0
    shapes = (root.shape, columns.shape, offsets.shape)
    if not frames or shapes != ((frames, 3), (frames, NUM_JOINTS, 6), (NUM_JOINTS, 3)):
        raise InputError(f"{path}: no clip of a couple, its arrays have the shapes {shapes}")
    if not all(np.isfinite(part).all() for part in (root, columns, offsets)):
        raise InputError(f"{path}: NaN or infinity in the {person}; prepare the store again")
    turned = matrix_from_6d(torch.from_numpy(columns).double())
    return PoseTable(
        path=path,
        kind=OURS,
        poses=matrix_to_axis_angle(turned).flatten(1).numpy(),
        trans=root.astype(np.float64),
        pelvis=(0.0, 0.0, 0.0),
        skeleton=Skeleton(torch.from_numpy(offsets).float(), person),
        fps=FPS,
        up="y",
        joints=tuple(range(NUM_JOINTS)),
    )
