"""The `duolando` policy loss gives the numbers of the original, from its logits on."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.models.policy import SamplingConfig, policy_logits
from duet_rl.rl.losses import (
    DuolandoLossConfig,
    Experience,
    Verdict,
    duolando,
)
from duet_rl.rl.losses.duolando import duolando_targets, propagate_back
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "rl_loss.npz"
TOKENS_FILE = GOLDEN / "duolando" / "gpt.npz"  # the same tokens, targets and weights
RELATIVE = 1e-4  # the tolerance that the spec states for its own check
STREAMS = ("up", "down", "lhand", "rhand", "transl")
JUDGED_AT = SamplingConfig(temperature=1.0)

pytestmark = needs(FILE, TOKENS_FILE)


@cache
def stacked(prefix: str, file: Path = FILE) -> Tensor:
    """Return the arrays of all streams, the streams last."""
    arrays = np.load(file, allow_pickle=False)
    return torch.stack([torch.from_numpy(arrays[f"{prefix}/{name}"]) for name in STREAMS], dim=-1)


@cache
def number(name: str) -> float:
    return float(np.load(FILE, allow_pickle=False)[name])


def config() -> DuolandoLossConfig:
    return DuolandoLossConfig(alpha=number("in/alpha"))


def log_probs() -> Tensor:
    """Return what the original's logits say of its targets, `(B, N, S)`."""
    logits = stacked("out/logits").movedim(-1, 2)  # (B, N, S, V)
    targets = stacked("in/target", TOKENS_FILE)
    said = policy_logits(logits, JUDGED_AT).log_softmax(dim=-1)
    return said.gather(-1, targets[..., None]).squeeze(-1)


def loss(log_probs: Tensor, rewards: Tensor) -> float:
    zeros = torch.zeros_like(rewards)
    verdict = Verdict(log_probs, zeros, zeros, zeros)
    return duolando(verdict, Experience(rewards, zeros, 1), config()).total.item()


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=RELATIVE * float(theirs.abs().max()), rtol=0)


def test_the_probabilities_of_the_targets_are_the_originals() -> None:
    assert_same(log_probs().exp(), stacked("out/p"))


def test_the_targets_are_the_originals() -> None:
    assert_same(duolando_targets(stacked("in/rewards"), config()), stacked("out/y"))


def test_the_loss_is_the_originals_however_often_it_is_called() -> None:
    for _ in range(2):
        total = loss(log_probs(), stacked("in/rewards"))
        assert total == pytest.approx(number("out/loss"), rel=RELATIVE)


@pytest.mark.parametrize("stream", range(len(STREAMS)), ids=STREAMS)
def test_the_loss_of_each_stream_is_the_originals(stream: int) -> None:
    column = slice(stream, stream + 1)
    part = loss(log_probs()[..., column], stacked("in/rewards")[..., column])
    assert part == pytest.approx(number(f"out/loss_part/{STREAMS[stream]}"), rel=RELATIVE)


def test_rewards_that_were_already_propagated_give_the_originals_second_call() -> None:
    rewards = stacked("in/rewards")
    once = propagate_back(rewards)  # what the original's first call left in its input
    total = loss(log_probs(), once)
    assert total == pytest.approx(number("second_call_same_tensors_loss"), rel=RELATIVE)
    assert_same(propagate_back(once), stacked("out/rewards_after_inplace"))
