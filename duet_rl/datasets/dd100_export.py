"""The way back: dances as the files of DD100, for the programs of its authors."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import matrix_to_axis_angle
from duet_rl.body.skeleton import NUM_JOINTS, Skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.dd100 import DD100Config
from duet_rl.datasets.dd100_files import BETAS, GENDER, GENDERS, SUFFIX, Gender, Role, load_body
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from duet_rl.files import atomic_path
from duet_rl.mocap.axes import UpAxis, from_y_up
from duet_rl.mocap.npz import SMPLX_PELVIS
from duet_rl.pickles import save_object_npy

ALL = "all"  # the folder of both splits
EPOCH = "ep0000"  # of the evaluation that generated dances are filed under

_FIT_SLACK = 1e-4  # m; bodies that fit so much better or worse fit alike


@dataclass(frozen=True)
class Axes:
    """Where the files have their floor and their ceiling.

    Args:
        up: the axis that points up.
        floor: height of the floor along it, metres.
    """

    up: UpAxis = "z"
    floor: float = 0.0


class Body(NamedTuple):
    """A body of SMPL-X: whose it is, its shape, and where its pelvis is at rest, metres."""

    gender: Gender
    betas: Float[Tensor, "K"] | None
    pelvis: Float[Tensor, "3"]


def axes_of(store: DuetStore, config: DD100Config) -> Axes:
    """Return the axes of the files that a store was made from, or else those of `config`."""
    stated = store.index.made_with.get("dd100", config.model_dump())
    return Axes(stated["up"], stated["floor"])


def write_data_set(
    folder: Path, clips: Iterable[tuple[DuetClip, Split]], axes: Axes, models: Path | None = None
) -> None:
    """Write clips as the data set: `motion/{pos3d,rotmat}` and `music/{feature,mp3}`.

    Each holds `all` and `train` or `test`; what is `val` with us is `train` there. With the body
    models there is `motion/smplx` too, with the betas and the gender that fit each skeleton best;
    without them, the translations in `rotmat`, which nobody trains on, are those of the mean body.
    """
    for clip, split in clips:
        for part in (ALL, "test" if split == "test" else "train"):
            for role, motion in _dancers(clip.duet):
                moved = in_axes(motion, axes)
                body = mean_body(role) if models is None else fit_body(moved.skeleton, models, role)
                name = f"{part}/{clip.name}_{SUFFIX[role]}.npy"
                _save(folder / "motion/pos3d" / name, moved.joints.flatten(1))
                _save(folder / "motion/rotmat" / name, _rotmat(moved, body))
                if body.betas is not None:
                    values = _parameters(moved, body)
                    flat = {
                        "poses": values["poses"].reshape(moved.frames, -1),
                        "betas": np.tile(body.betas.numpy(), (moved.frames, 1)),
                    }
                    save_object_npy(folder / "motion/smplx" / name, {**values, **flat})
            _save(folder / "music/feature" / part / f"{clip.name}.npy", clip.music)
            if clip.audio is not None:
                kept = folder / "music/mp3" / part / f"{clip.name}{clip.audio.suffix}"
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(clip.audio, kept)


def write_dance(
    folder: Path, name: str, duet: Duet, axes: Axes, models: Path | None = None
) -> None:
    """Write one generated dance as the authors' evaluation does: `npy/ep0000` and `npy/pos3d`.

    `pos3d` holds `(1, T, 165)` joints. The others hold SMPL-X parameters without betas, so that
    whoever reads them takes the mean body of the gender; its pelvis is then where the dancer's is
    (exactly so, if the body models are given).
    """
    for role, motion in _dancers(duet):
        moved = in_axes(motion, axes)
        body = mean_body(role, models)
        file = f"{EPOCH}/{name}_{SUFFIX[role]}.npy"
        _save(folder / "npy/pos3d" / file, moved.joints.flatten(1)[None])
        save_object_npy(folder / "npy" / file, _parameters(moved, body), shape=(1,))


def in_axes(motion: Motion, axes: Axes) -> Motion:
    """Return one of our motions where the files have it."""
    return from_y_up(motion.moved((0.0, axes.floor, 0.0)), axes.up)


def mean_body(role: Role, models: Path | None = None) -> Body:
    """Return the body without betas of a role; without the models its pelvis is approximate."""
    gender = GENDER[role]
    if models is None:
        return Body(gender, None, torch.tensor(SMPLX_PELVIS))
    return Body(gender, None, _pelvis(models, gender, torch.zeros(BETAS)))


def fit_body(skeleton: Skeleton, models: Path, role: Role) -> Body:
    """Return the body whose bones are nearest to those of `skeleton`, by least squares.

    Bones are linear in the betas, so a skeleton that a body model made gives them back. Of bodies
    that fit alike, the one of the role's gender is taken.
    """
    best, best_error = None, float("inf")
    for gender in sorted(GENDERS, key=lambda gender: gender != GENDER[role]):
        mean, directions = _shapes(models, gender)
        wanted = (skeleton.offsets.double() - mean).flatten()
        betas = torch.linalg.lstsq(directions, wanted[:, None]).solution[:, 0]
        error = float((directions @ betas - wanted).abs().max())
        if error < best_error - _FIT_SLACK:
            best, best_error = (gender, betas.float()), error
    assert best is not None
    gender, betas = best
    return Body(gender, betas, _pelvis(models, gender, betas))


@lru_cache(maxsize=len(GENDERS))
def _shapes(models: Path, gender: Gender) -> tuple[Float[Tensor, "55 3"], Float[Tensor, "bones K"]]:
    """Return the bones of the mean body, and what one unit of each beta adds, flat."""
    body = load_body(models, gender)
    mean = body.skeleton(torch.zeros(BETAS)).offsets.double()
    added = [body.skeleton(unit).offsets.double() - mean for unit in torch.eye(BETAS)]
    return mean, torch.stack([offsets.flatten() for offsets in added], dim=1)


def _pelvis(models: Path, gender: Gender, betas: Float[Tensor, "K"]) -> Float[Tensor, "3"]:
    still = torch.zeros(1, NUM_JOINTS, 3)
    return load_body(models, gender).motion(still, still[:, 0], betas, FPS).root[0]


def _dancers(duet: Duet) -> tuple[tuple[Role, Motion], ...]:
    return (("leader", duet.leader), ("follower", duet.follower))


def _rotmat(motion: Motion, body: Body) -> Float[Tensor, "T C"]:
    return torch.cat([motion.root - body.pelvis, motion.rotations.flatten(1)], dim=1)


def _parameters(motion: Motion, body: Body) -> dict[str, Any]:
    poses = matrix_to_axis_angle(motion.rotations.double()).float().numpy()  # (T, 55, 3)
    return {
        "poses": poses,
        "global_orient": poses[:, 0],
        "transl": (motion.root - body.pelvis).numpy(),
        "meta": {"gender": body.gender},
    }


def _save(path: Path, table: Float[Tensor, "..."]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, table.numpy().astype(np.float32), allow_pickle=False)
