"""A stage that is trained alone in a process."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from duet_rl import checkpoint
from duet_rl.pretrain.host import Alone
from duet_rl.pretrain.loop import train_stage
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import TranslationPlan

CONFIG = StageConfig(
    steps=30, batch_size=4, window_tokens=4, checkpoint_every=8, validate_every=10, warmup=2
)


class Killed(Exception):
    """The end of a training in the middle."""


def test_a_stage_that_is_cut_short_goes_on_from_its_last_state_and_ends_the_same(
    data: Path, tmp_path: Path
) -> None:
    seen: list[int] = []

    def watch(step: int, numbers: Mapping[str, float]) -> None:
        assert {"loss", "val/loss", "progress"} <= numbers.keys()
        seen.append(step)
        if seen == [10, 20]:
            raise Killed

    plan = TranslationPlan(CONFIG, data, tmp_path / "cut")
    with pytest.raises(Killed):
        train_stage(plan, Alone(tmp_path / "states", watch=watch))
    assert not plan.is_done()
    train_stage(plan, Alone(tmp_path / "states", watch=watch))
    assert seen == [10, 20, 20, 30], "it went on from step 16"
    unbroken = TranslationPlan(CONFIG, data, tmp_path / "unbroken")
    train_stage(unbroken, Alone(tmp_path / "other"))
    ours, theirs = (load_file(p.folder / checkpoint.WEIGHTS) for p in (plan, unbroken))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_losses_are_validated_at_just_the_steps_that_the_settings_say(
    data: Path, tmp_path: Path
) -> None:
    seen: dict[int, bool] = {}

    def watch(step: int, numbers: Mapping[str, float]) -> None:
        seen[step] = "val/loss" in numbers

    config = CONFIG.model_copy(update={"validate_every": 7})
    train_stage(TranslationPlan(config, data, tmp_path), Alone(tmp_path / "states", watch=watch))
    assert [step for step, validated in seen.items() if validated] == [7, 14, 21, 28, 30]
    assert {10, 20} <= seen.keys(), "the log has its own lines, too"
