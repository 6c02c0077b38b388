"""A small AIST++ on disk, in the layout that it is given out in, written by hand."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from duet_rl.audio.files import write_wav
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.body.rotations import matrix_to_axis_angle
from tests.datasets.conftest import sway

TRAIN = (
    "gBR_sBM_cAll_d04_mBR0_ch01",
    "gBR_sBM_cAll_d05_mBR0_ch02",
    "gWA_sFM_cAll_d25_mWA0_ch03",
    "gPO_sBM_cAll_d10_mPO1_ch01",
)
VAL = ("gBR_sBM_cAll_d06_mBR4_ch06",)
TEST = ("gLH_sBM_cAll_d16_mLH4_ch04", "gMH_sBM_cAll_d24_mMH3_ch05")
IGNORED = ("gJS_sBM_cAll_d01_mJS0_ch01",)
UNLISTED = ("gKR_sFM_cAll_d28_mKR0_ch01",)
SEQUENCES = (*TRAIN, *VAL, *TEST)
FRAMES = 150  # 2.5 s at 60 fps
SCALE = 93.8  # of the files, which count in other units than metres
FLOOR = 0.13  # m; how high the files' dancers float


def parameters(seed: int, frames: int = FRAMES) -> dict[str, Any]:
    """Return a dancer who sways as the file of one sequence has it."""
    motion = sway(frames, seed, fps=60.0)
    poses = torch.zeros(frames, 24, 3, dtype=torch.float64)
    poses[:, :22] = matrix_to_axis_angle(motion.rotations[:, :22].double())
    transl = motion.root.double() + torch.tensor([0.0, 0.2 + FLOOR, 0.0])
    return {
        "smpl_loss": np.array([0.01]),
        "smpl_poses": poses.flatten(1).numpy(),
        "smpl_scaling": np.array([SCALE]),
        "smpl_trans": transl.numpy() * SCALE,
    }


def save(path: Path, values: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(values))
    return path


def write_tree(root: Path) -> Path:
    """Write annotations and songs of 3 s under `root`."""
    for number, name in enumerate((*SEQUENCES, *IGNORED, *UNLISTED)):
        save(root / "motions" / f"{name}.pkl", parameters(number))
    lists = {"train": (*TRAIN, *IGNORED), "val": VAL, "test": TEST}
    (root / "splits").mkdir()
    for split, names in lists.items():
        (root / "splits" / f"crossmodal_{split}.txt").write_text("\n".join(names) + "\n")
    (root / "ignore_list.txt").write_text("\n".join(IGNORED) + "\n")
    (root / "music").mkdir()
    for number, song in enumerate(sorted({name.split("_")[4] for name in SEQUENCES})):
        samples = render_rhythm(120, 4, 3.0, "salsa", seed=number)
        write_wav(root / "music" / f"{song}.wav", samples, SAMPLE_RATE)
    return root
