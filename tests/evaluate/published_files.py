"""What people get from others for the published protocol, small: evaluator, words, PGR2M."""

from pathlib import Path

import numpy as np
import torch

from duet_rl.compat.pgr2m_convert import convert
from duet_rl.compat.text_motion import original_keys
from duet_rl.datasets.humanml3d_words import KINDS
from duet_rl.mocap.humanml3d import FEATURES, FPS
from duet_rl.models.text_motion import TextMotionConfig, TextMotionEvaluator
from duet_rl.tokenizers.humanml3d import canonical, features_of
from tests.clip_towers import write_tower
from tests.compat.pgr2m_originals import write_all
from tests.datasets.humanml3d_tree import WORD_CHANNELS, body_joints

SIZES = TextMotionConfig(movement_hidden=8, movement=8, motion_hidden=8, text_hidden=8, width=6)


def write_evaluator(folder: Path, features: int = FEATURES) -> Path:
    """Write an evaluator that has learned nothing, in the layout of its authors."""
    torch.manual_seed(0)
    networks = TextMotionEvaluator(features - 4, WORD_CHANNELS, len(KINDS), SIZES)
    tensors = networks.state_dict()
    states: dict[str, dict[str, torch.Tensor]] = {}
    for theirs, ours in original_keys().items():
        part, name = theirs.split(".", 1)
        states.setdefault(part, {})[name] = tensors[ours]
    for place in ("model", "meta"):
        (folder / "text_mot_match" / place).mkdir(parents=True)
    torch.save({**states, "epoch": 1}, folder / "text_mot_match/model/finest.tar")
    np.save(folder / "text_mot_match/meta/mean.npy", np.full(features, 0.5, np.float32))
    np.save(folder / "text_mot_match/meta/std.npy", np.full(features, 2.0, np.float32))
    return folder


def write_pgr2m(folder: Path) -> Path:
    """Write a converted PGR2M whose motion is a little off one pose."""
    mean = features_of(canonical(body_joints(0, round(2 * FPS))))[0].clone()
    mean[:3] = 0  # neither turn nor step
    files = write_all(folder / "files")
    for name, values in {"mean": mean, "std": torch.full((FEATURES,), 0.02)}.items():
        files[name] = folder / f"{name}.npy"
        np.save(files[name], values.numpy())
    return convert(**files, out=folder / "out", clip=write_tower(folder / "tower", 3))
