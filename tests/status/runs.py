"""Folders of runs as trainings leave them, in any state."""

import json
import os
from pathlib import Path

import torch

from duet_rl import checkpoint
from duet_rl.config import Config
from duet_rl.run_log import METRICS

NOW = 1_800_000_000.0  # s since the epoch


class NoSettings(Config):
    """Settings of a stage that nobody asks for."""


def write_log(folder: Path, rows: list[dict[str, float]], age: float = 0.0) -> Path:
    """Write a log whose last line is `age` seconds old at `NOW`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / METRICS
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(file, (NOW - age, NOW - age))
    return file


def write_finished(folder: Path, **facts) -> Path:
    """Write the folder of a stage that came to its end."""
    tensors = {"weight": torch.zeros(1)}
    return checkpoint.save(folder, kind="any", tensors=tensors, config=NoSettings(), meta=facts)


def rl_rows(count: int, total: int, each: float = 2.0) -> list[dict[str, float]]:
    """Return the rows of a run of RL whose reward rises."""
    return [
        {
            **{"step": step, "reward/total": step / total, "reward/foot": 1.0, "kl": 0.01 * step},
            **{"seconds/iteration": each, "progress": step / total},
            "seconds/left": each * (total - step),
        }
        for step in range(1, count + 1)
    ]


def pretrain_rows(steps: int, total: int) -> list[dict[str, float]]:
    """Return the rows of a stage of pretraining whose loss falls, one every ten steps."""
    return [
        {"step": s, "loss": 1 / s, "progress": s / total, "seconds/step": 0.5}
        | ({"val/loss": 2 / s} if s % 50 == 0 else {})
        for s in range(10, steps + 1, 10)
    ]
