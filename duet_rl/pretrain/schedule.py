"""How long a stage is trained, and how fast it learns at each step."""

import bisect
import math
from typing import NamedTuple

from duet_rl.datasets.windows import Windows
from duet_rl.pretrain.stage import StageConfig


class Length(NamedTuple):
    """How long a training is."""

    steps: int
    steps_per_epoch: int | None  # None where nothing counts passes over the windows


def length_of(config: StageConfig, windows: Windows) -> Length:
    """Return how long a stage is trained on `windows`.

    Raises:
        InputError: passes are counted, and the windows do not fill one batch.
    """
    counts = (
        config.epochs is not None or config.sampler == "epochs" or config.schedule == "milestones"
    )
    if not counts:
        return Length(config.steps, None)
    batches = windows.batches(config.batch_size)
    if config.epochs is None:
        return Length(config.steps, batches)
    return Length(max(1, round(config.epochs * batches)), batches)


def learning_rate(config: StageConfig, step: int, length: Length) -> float:
    """Return the learning rate of a step: a linear rise, then half a cosine or milestones."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "milestones":
        assert length.steps_per_epoch is not None
        passed = bisect.bisect_right(sorted(config.milestones), step / length.steps_per_epoch)
        return config.lr * config.decay**passed
    done = (step - config.warmup) / max(1, length.steps - config.warmup)
    fall = 0.5 * (1 + math.cos(math.pi * done))
    return config.lr * (config.final_lr + (1 - config.final_lr) * fall)
