"""Pretraining as a Ray Train job: it ends in folders, resumes, and is the same on two workers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
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


DEATHS = (5, 9)  # steps in which a worker dies the first time that it comes there


@dataclass(frozen=True)
class FragilePlan(PosePlan):
    """A pose stage whose worker dies twice, each time after a state was kept."""

    def open(self) -> "PoseStage":
        stage = super().open()
        draw = stage.batch

        def batch(step: int, rank: int, world: int) -> tuple[Any, ...]:
            mark = self.out / f"died in step {step}"
            if step in DEATHS and not mark.exists():
                mark.touch()
                raise RuntimeError("the worker is gone")
            return draw(step, rank, world)

        stage.batch = batch  # type: ignore[method-assign]
        return stage


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / checkpoint.WEIGHTS)


@pytest.mark.slow
def test_the_stages_survive_lost_workers_and_lost_jobs_and_are_not_trained_twice(
    data: Path, tmp_path: Path
) -> None:
    follower = FollowerConfig(**{**CONFIG.model_dump(), "window_tokens": 8})
    plans = [
        FragilePlan(CONFIG, data, tmp_path),
        TranslationPlan(CONFIG, data, tmp_path),
        FollowerPlan(follower, data, tmp_path),
    ]
    with pytest.raises(Exception, match="the worker is gone"):  # and with it the job
        run_stages(plans, TWO.model_copy(update={"max_failures": 0}), progress=False)
    assert len(list(tmp_path.glob("died*"))) == 1 and not (tmp_path / "pose").exists()
    folders = run_stages(plans, TWO, progress=False)  # loses another worker, but not the job
    assert len(list(tmp_path.glob("died*"))) == 2
    assert [checkpoint.read_meta(folder)["kind"] for folder in folders] == [
        "pose",
        "translation",
        "follower",
    ]
    assert checkpoint.is_checkpoint(tmp_path / "follower" / "pose", "pose")
    rows = read_metrics(tmp_path / "logs" / "follower")
    assert rows[-1]["step"] == CONFIG.steps
    assert {"val/loss", "rollout/total", "rollout/root_error"} <= rows[-1].keys()
    assert not (tmp_path / "ray").exists(), "states of finished stages are of no use"
    stamps = [(folder / checkpoint.META).stat().st_mtime_ns for folder in folders]
    run_stages(plans, TWO, progress=False)
    assert stamps == [(folder / checkpoint.META).stat().st_mtime_ns for folder in folders]

    # One worker that nobody disturbs learns what those two learned.
    (alone,) = run_stages([PosePlan(CONFIG, data, tmp_path / "one")], ONE, progress=False)
    one, two = weights(alone), weights(folders[0])
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-4, rtol=1e-3, msg=name)


@pytest.mark.nightly
@pytest.mark.slow
def test_two_workers_with_micro_batches_learn_in_passes_what_one_learns(
    data: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(
        update={"epochs": 2.0, "sampler": "epochs", "stride": 16, "batch_size": 8}
    )
    pieces = config.model_copy(update={"accumulate": 2, "checkpointing": True})
    (alone,) = run_stages([PosePlan(config, data, tmp_path / "one")], ONE, progress=False)
    (shared,) = run_stages([PosePlan(pieces, data, tmp_path / "two")], TWO, progress=True)
    windows = 4 * 2 * 5  # clips, dancers, starts
    meta = checkpoint.read_meta(shared)
    assert meta["steps"] == 2 * windows // 8
    assert read_metrics(tmp_path / "two" / "logs" / "pose")[-1]["progress"] == 1
    one, two = weights(alone), weights(shared)
    assert list(one) == list(two)
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-4, rtol=1e-3, msg=name)


def test_a_loss_that_is_no_number_is_told_in_one_line(data: Path, tmp_path: Path) -> None:
    wild = CONFIG.model_copy(update={"lr": 1e30, "warmup": 0})
    with pytest.raises(InputError, match=r"the loss of stage pose is .*; lower pose\.lr"):
        run_stages([PosePlan(wild, data, tmp_path)], ONE, progress=False)
    assert not (tmp_path / "pose").exists()
