"""Bailando++'s GPT, which hears a window of music, gives the numbers of the original."""

import pytest
import torch
from torch import Tensor, nn

from duet_rl.models.bailando import BailandoGPT
from duet_rl.models.window_sampling import sample
from tests.golden.bailando import (
    TOLERANCE,
    Arrays,
    assert_close,
    halves,
    model_of,
    read,
    state_of,
)
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "bailando" / "pp_gpt_music_window.npz"

pytestmark = needs(FILE)


@pytest.fixture(scope="module")
def golden() -> Arrays:
    return read(FILE)


@pytest.fixture
def model(golden: Arrays) -> BailandoGPT:
    gpt = model_of(state_of(golden), int(golden["cfg_head"]))
    assert gpt.config.block == golden["cfg_block"]
    assert gpt.config.reach == golden["cfg_window"] // 2
    assert gpt.config.music == "window"
    return gpt


def music_of(model: BailandoGPT, golden: Arrays, name: str) -> Tensor:
    """Return the padded music as ours is: moments of 60 a second side by side in 30 rows."""
    moments = torch.from_numpy(golden[name])
    return moments.unflatten(1, (-1, model.config.side_by_side)).flatten(2)


def test_the_mixed_music_and_the_logits_are_the_originals(
    model: BailandoGPT, golden: Arrays
) -> None:
    tokens, music = halves(golden, "idx_{}"), music_of(model, golden, "music")
    assert_close(model.heard(music), golden["music_encoded"])
    logits = model.predict(tokens, music)
    assert_close(torch.stack(logits, -1), halves(golden, "logits_{}"))
    targets = halves(golden, "target_{}")
    losses = [
        nn.functional.cross_entropy(x.flatten(0, 1), targets[..., i].flatten())
        for i, x in enumerate(logits)
    ]
    assert sum(x.item() for x in losses) == pytest.approx(float(golden["loss"]), rel=TOLERANCE)


def test_the_values_are_the_originals(model: BailandoGPT, golden: Arrays) -> None:
    tokens, music = halves(golden, "idx_{}"), music_of(model, golden, "music")
    features = model.features(tokens, music)
    values = model.judged(features, tokens.shape[1])
    assert_close(values.sum(-1, keepdim=True), golden["critic_values"])


def test_its_dance_is_the_originals_token_by_token(model: BailandoGPT, golden: Arrays) -> None:
    assert float(golden["sample_min_margin"]) > TOLERANCE  # no token hangs on rounding
    start, music = halves(golden, "sample_x0_{}"), music_of(model, golden, "sample_music")
    assert sample(model, start, music).equal(halves(golden, "sample_{}"))


def test_a_window_amid_a_dance_is_told_what_came_before_it(
    model: BailandoGPT, golden: Arrays
) -> None:
    """`forward` pads a dance with silence as the original does, and windows with its music."""
    rate, reach = model.config.frames_per_token, model.config.reach
    padded = music_of(model, golden, "sample_music")[:, reach * rate : -reach * rate]
    tokens = halves(golden, "sample_{}")[:, : model.config.block + 1]
    steps = tokens.shape[1]
    whole = model(tokens, {"music": padded[:, : (steps + reach) * rate]})
    cut = padded[:, reach * rate : (steps + 2 * reach) * rate]
    amid = model(tokens, {"music": cut, "music_before": padded[:, : reach * rate]})
    silent = model(tokens, {"music": cut})
    logits = model.predict(tokens[:, :-1], padded[:, rate : (steps + 2 * reach) * rate])
    torch.testing.assert_close(amid.logits[0][:, 1:], logits[0])
    assert not torch.allclose(amid.logits[0], silent.logits[0])
    assert not torch.allclose(amid.logits[0], whole.logits[0])
