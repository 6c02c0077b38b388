"""A step is the same however it is computed: in pieces, with layers run again, or compiled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.pretrain.multistream_loss import FollowerLoss
from duet_rl.pretrain.stage import Metrics, Stage, StageConfig
from duet_rl.pretrain.step import autocast, optimiser_of, prepare, take_step
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan

SLOW = 1e-6  # learning rate: Adam makes whole steps of rounding errors, so they must be small
CPU = torch.device("cpu")
CONFIG = StageConfig(batch_size=8, window_tokens=4)
GPT = MultiStreamGPTConfig(
    classes=(8, 8),
    conditions=(ConditionConfig(name="music", channels=3),),
    width=16,
    layers=2,
    heads=2,
    dropout=0.0,
    history_corruption=0.0,
    look_aheads=(0,),
)


def follower() -> tuple[nn.Module, tuple[Any, ...]]:
    """Return a follower without anything random in it, and a batch."""
    torch.manual_seed(0)
    batch = torch.randint(0, 8, (8, 6, 2)), {"music": torch.randn(8, 24, 3)}
    return FollowerLoss(MultiStreamGPT(GPT), ("a", "b")), batch


def after_one_step(
    module: nn.Module, batch: tuple[Any, ...], config: StageConfig
) -> tuple[dict[str, Tensor], Metrics]:
    prepare(module, config, CPU)
    numbers = take_step(module, optimiser_of(module, config), batch, config, config.lr)
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    return gradients, numbers


def test_micro_batches_give_the_gradient_of_the_whole_batch() -> None:
    whole, numbers = after_one_step(*follower(), CONFIG)
    config = CONFIG.model_copy(update={"accumulate": 4})
    pieces, their_numbers = after_one_step(*follower(), config)
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(their_numbers, numbers, atol=1e-5, rtol=1e-5)


def test_micro_batches_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match="8 windows of a step do not divide into 3"):
        after_one_step(*follower(), CONFIG.model_copy(update={"accumulate": 3}))


@pytest.mark.parametrize("plan", [PosePlan, TranslationPlan])
def test_codebooks_learn_from_micro_batches_as_from_the_whole_batch(
    plan: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    def trained(accumulate: int) -> tuple[Stage, Metrics]:
        config = CONFIG.model_copy(update={"accumulate": accumulate})
        torch.manual_seed(0)
        stage = plan(config, data, tmp_path).open()
        prepare(stage.module, config, CPU)
        optimiser = optimiser_of(stage.module, config)
        stage.settle(stage.batch(0, 0, 1))
        for step in range(3):
            numbers = take_step(stage.module, optimiser, stage.batch(step, 0, 1), config, SLOW)
        return stage, numbers

    (whole, numbers), (pieces, their_numbers) = trained(1), trained(4)
    state, their_state = whole.module.state_dict(), pieces.module.state_dict()
    updates = [name for name in state if name.endswith("updates")]
    assert updates and all(their_state[name] == 4 for name in updates), "one a step"
    torch.testing.assert_close(their_state, state, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(their_numbers["loss"], numbers["loss"], atol=1e-4, rtol=1e-4)


def test_a_first_batch_that_settles_is_no_step(data: Path, tmp_path: Path) -> None:
    stage = PosePlan(CONFIG, data, tmp_path).open()
    stage.settle(stage.batch(0, 0, 1))
    quantizer = stage.module.parts["upper"].quantizer.levels[0]
    assert quantizer.initialised and quantizer.updates == 1


@pytest.mark.parametrize("limit", [1e-3, None])
def test_gradients_are_clipped_only_on_request(limit: float | None) -> None:
    config = CONFIG.model_copy(update={"grad_clip": limit})
    gradients, numbers = after_one_step(*follower(), config)
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    assert norm.item() == pytest.approx(limit or numbers["grad_norm"].item(), rel=1e-3)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_a_processor_computes_in_bfloat16_only_on_request(precision: str) -> None:
    with autocast(CONFIG.model_copy(update={"precision": precision}), CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if precision == "bfloat16" else torch.float32)


def test_settings_of_the_means_leave_the_fingerprint_alone(data: Path, tmp_path: Path) -> None:
    plain = PosePlan(CONFIG, data, tmp_path).fingerprint("a")
    means = {"accumulate": 2, "checkpointing": True, "compile": True}
    assert PosePlan(CONFIG.model_copy(update=means), data, tmp_path).fingerprint("a") == plain
    other = CONFIG.model_copy(update={"precision": "bfloat16"})
    assert PosePlan(other, data, tmp_path).fingerprint("a") != plain
