"""Pretraining as a Ray Train job: it ends in folders, resumes, and is the same on two workers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.pretrain.gpt import FollowerConfig, FollowerPlan
from duet_rl.pretrain.run import run_stages
from duet_rl.pretrain.stage import ClusterConfig, StageConfig
from duet_rl.pretrain.tokenizer import PosePlan, PoseStage, TranslationPlan
from duet_rl.run_log import read_metrics
from tests.pretrain.conftest import data

__all__ = ["data"]
pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

CONFIG = StageConfig(
    steps=12, batch_size=4, window_tokens=4, checkpoint_every=4, validate_every=6, warmup=2
)
ONE, TWO = ClusterConfig(workers=1, cpus=1), ClusterConfig(workers=2, cpus=1)


@dataclass(frozen=True)
class FragilePlan(PosePlan):
    """A pose stage whose worker dies once, after a state was kept."""

    def open(self) -> "PoseStage":
        stage, mark = super().open(), self.out / "died"
        draw = stage.batch

        def batch(step: int, rank: int, world: int) -> tuple[Any, ...]:
            if step == CONFIG.checkpoint_every + 1 and not mark.exists():
                mark.touch()
                raise RuntimeError("the worker is gone")
            return draw(step, rank, world)

        stage.batch = batch  # type: ignore[method-assign]
        return stage


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / checkpoint.WEIGHTS)


def test_the_stages_survive_a_lost_worker_and_are_not_trained_twice(
    data: Path, tmp_path: Path
) -> None:
    follower = FollowerConfig(**{**CONFIG.model_dump(), "window_tokens": 8})
    plans = [
        FragilePlan(CONFIG, data, tmp_path),
        TranslationPlan(CONFIG, data, tmp_path),
        FollowerPlan(follower, data, tmp_path),
    ]
    folders = run_stages(plans, TWO, progress=False)
    assert (tmp_path / "died").exists()
    assert [checkpoint.read_meta(folder)["kind"] for folder in folders] == [
        "pose",
        "translation",
        "follower",
    ]
    assert checkpoint.is_checkpoint(tmp_path / "follower" / "pose", "pose")
    rows = read_metrics(tmp_path / "logs" / "follower")
    assert rows[-1]["step"] == CONFIG.steps and "val/loss" in rows[-1]
    stamps = [(folder / checkpoint.META).stat().st_mtime_ns for folder in folders]
    run_stages(plans, TWO, progress=False)
    assert stamps == [(folder / checkpoint.META).stat().st_mtime_ns for folder in folders]

    # One worker that nobody disturbs learns what those two learned.
    (alone,) = run_stages([PosePlan(CONFIG, data, tmp_path / "one")], ONE, progress=False)
    one, two = weights(alone), weights(folders[0])
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-4, rtol=1e-3, msg=name)


def test_a_loss_that_is_no_number_is_told_in_one_line(data: Path, tmp_path: Path) -> None:
    wild = CONFIG.model_copy(update={"lr": 1e30, "warmup": 0})
    with pytest.raises(InputError, match=r"the loss of stage pose is .*; lower pose\.lr"):
        run_stages([PosePlan(wild, data, tmp_path)], ONE, progress=False)
    assert not (tmp_path / "pose").exists()
