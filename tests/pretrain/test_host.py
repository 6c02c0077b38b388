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
