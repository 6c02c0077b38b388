"""A small DD100 on disk, written by hand and not by our exporter."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from duet_rl.audio.synth import render_rhythm
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from duet_rl.datasets.dd100_files import Gender, load_body
from tests.datasets.conftest import sway

# Genre and choreography say which are for testing: 005, and 009 because it is ballet.
TRAIN = ("Waltz_001_01", "Waltz_001_02", "Tango_003_01", "BalletFolk_005_01")
TEST = ("Waltz_005_01", "BalletFolk_009_01")
TAKES = (*TRAIN, *TEST)
FRAMES = 42
Z_UP = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # turns y-up columns to z-up


def dancer(seed: int, up: str = "z", frames: int = FRAMES) -> Motion:
    """A dancer who sways, in a world whose `up` axis points up."""
    motion = sway(frames, seed)
    if up == "y":
        return motion
    rotations = motion.rotations.clone()
    rotations[:, 0] = Z_UP @ rotations[:, 0]
    return Motion(motion.joints @ Z_UP.T, rotations, motion.skeleton, motion.fps)


def split_of(take: str) -> str:
    return "test" if take in TEST else "train"


def save(path: Path, array: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=True)
    return path


def write_music(root: Path, take: str, seed: int = 0) -> None:
    """Write two seconds of sound, and features that nobody would compute from it."""
    features = np.random.default_rng(seed).random((FRAMES + 20, 54)).astype(np.float32)
    features[:, 53] = np.arange(len(features)) % 15 == 0
    save(root / "music/feature" / split_of(take) / f"{take}.npy", features)
    song = root / "music/mp3" / split_of(take) / f"{take}.mp3"
    song.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(song, render_rhythm(120, 3, 2.2, "waltz", seed=seed), 22050, format="MP3")


def write_tables(root: Path, take: str, suffix: str, motion: Motion) -> None:
    """Write the joints and the rotation matrices of a dancer."""
    name = f"{split_of(take)}/{take}_{suffix}.npy"
    transl = motion.root - torch.tensor([0.0, -0.35, 0.01])
    rotmat = torch.cat([transl, motion.rotations.flatten(1)], dim=1)
    save(root / "motion/pos3d" / name, motion.joints.flatten(1).numpy())
    save(root / "motion/rotmat" / name, rotmat.numpy())


def write_preprocessed(root: Path, takes: tuple[str, ...] = TAKES, up: str = "z") -> Path:
    """Write a data set of joints, rotation matrices and music features."""
    for number, take in enumerate(takes):
        for place, suffix in enumerate(("00", "01")):
            write_tables(root, take, suffix, dancer(2 * number + place, up))
        write_music(root, take, number)
    return root


def parameters(
    models: Path, seed: int, gender: Gender, frames: int = FRAMES
) -> tuple[dict[str, Any], Motion]:
    """Return a dancer's SMPL-X parameters, z up, and the motion that the model makes of them."""
    motion = dancer(seed, frames=frames)
    poses = matrix_to_axis_angle(motion.rotations.double())  # (T, 55, 3)
    transl = motion.root.double() + torch.tensor([0.0, 0.35, 0.1])
    betas = torch.linspace(-1, 1, 10, dtype=torch.float64) * (1 + seed % 3)
    body = load_body(models, gender)
    made = body.motion(poses.float(), transl.float(), betas.float(), 30.0)
    values = {
        "poses": poses.flatten(1).numpy(),
        "global_orient": poses[:, 0].numpy(),
        "transl": transl.numpy(),
        "betas": betas.expand(frames, 10).numpy(),
        "meta": {"gender": gender},
    }
    torch.testing.assert_close(axis_angle_to_matrix(poses).float(), made.rotations)
    return values, made


def write_raw(root: Path, models: Path, takes: tuple[str, ...]) -> dict[str, Motion]:
    """Write a data set of SMPL-X parameters and music; return file stem -> its true motion."""
    truth = {}
    for number, take in enumerate(takes):
        dancers: tuple[tuple[str, Gender], ...] = (("00", "female"), ("01", "male"))
        for place, (suffix, gender) in enumerate(dancers):
            values, motion = parameters(models, 2 * number + place, gender)
            save(root / "motion/smplx" / split_of(take) / f"{take}_{suffix}.npy", values)
            truth[f"{take}_{suffix}"] = motion
        write_music(root, take, number)
    return truth
