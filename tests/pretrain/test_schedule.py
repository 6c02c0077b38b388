"""How long a training is, and how fast it learns at each step."""

import itertools

import pytest
import torch

from duet_rl.datasets.windows import Windows
from duet_rl.errors import InputError
from duet_rl.pretrain.schedule import Length, learning_rate, length_of
from duet_rl.pretrain.stage import StageConfig

WINDOWS: Windows = Windows([(torch.arange(29),)], window=5)  # 25 of them


def test_the_learning_rate_rises_then_falls() -> None:
    config = StageConfig(steps=100, warmup=10, lr=1.0, final_lr=0.1)
    length = length_of(config, WINDOWS)
    rates = [learning_rate(config, step, length) for step in range(100)]
    assert rates[0] == 0.1 and max(rates) == rates[10] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)


def test_steps_are_counted_without_looking_at_the_data_unless_passes_are() -> None:
    assert length_of(StageConfig(steps=7, batch_size=32), WINDOWS) == Length(7, None)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (2.5, 8), (0.01, 1)])
def test_passes_over_the_windows_become_steps(epochs: float, steps: int) -> None:
    config = StageConfig(steps=1000, epochs=epochs, batch_size=8)
    assert length_of(config, WINDOWS) == Length(steps, 3)


def test_the_learning_rate_falls_as_that_of_torch_does_when_a_pass_is_over() -> None:
    config = StageConfig(
        epochs=6, batch_size=8, lr=1.0, warmup=0, schedule="milestones", milestones=(2, 4)
    )
    length = length_of(config, WINDOWS)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    torchs = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2, 4], config.decay)
    for step in range(length.steps):
        wanted = optimiser.param_groups[0]["lr"]
        assert learning_rate(config, step, length) == pytest.approx(wanted)
        optimiser.step()
        if (step + 1) % 3 == 0:
            torchs.step()


@pytest.mark.parametrize(
    "setting", [{"epochs": 1.0}, {"sampler": "epochs"}, {"schedule": "milestones"}]
)
def test_passes_without_a_whole_batch_are_refused(setting: dict) -> None:
    config = StageConfig(batch_size=26, **setting)
    with pytest.raises(InputError, match="25 windows of 5 rows and a batch has 26"):
        length_of(config, WINDOWS)
