"""Bailando's GPT gives the numbers of the original: features, logits, gradients, dances."""

import pytest
import torch
from torch import Tensor, nn

from duet_rl.compat.bailando_gpt import original_gpt
from duet_rl.models.bailando import BailandoGPT
from duet_rl.models.window_sampling import sample
from tests.golden.bailando import (
    TOLERANCE,
    Arrays,
    assert_close,
    by_original_name,
    frames_of,
    halves,
    model_of,
    read,
    state_of,
)
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "bailando" / "cross_cond_gpt2.npz"

pytestmark = needs(FILE)


@pytest.fixture(scope="module")
def golden() -> Arrays:
    return read(FILE)


@pytest.fixture
def model(golden: Arrays) -> BailandoGPT:
    gpt = model_of(state_of(golden), int(golden["cfg_head"]))
    assert gpt.config.block == golden["cfg_block"]
    assert gpt.config.base_layers == gpt.config.head_layers == golden["cfg_layer"]
    return gpt


def music_of(model: BailandoGPT, golden: Arrays, name: str = "music") -> Tensor:
    return frames_of(golden[name], model.config.frames_per_token)


def test_what_leaves_the_base_and_the_logits_are_the_originals(
    model: BailandoGPT, golden: Arrays
) -> None:
    tokens, music = halves(golden, "idx_{}"), music_of(model, golden)
    assert_close(model.features(tokens, music), golden["base_features"])
    assert_close(torch.stack(model.predict(tokens, music), -1), halves(golden, "logits_{}"))


def test_a_window_that_is_not_full_has_the_originals_logits(
    model: BailandoGPT, golden: Arrays
) -> None:
    steps = int(golden["short_t"])
    tokens = halves(golden, "idx_{}")[:, :steps]
    music = music_of(model, golden)[:, : steps * model.config.frames_per_token]
    assert_close(torch.stack(model.predict(tokens, music), -1), halves(golden, "logits_short_{}"))


def test_the_forward_pass_of_the_project_says_the_same_one_step_later(
    model: BailandoGPT, golden: Arrays
) -> None:
    tokens, last = halves(golden, "idx_{}"), halves(golden, "target_{}")[:, -1:]
    music = music_of(model, golden)
    unseen = torch.zeros_like(music[:, : model.config.frames_per_token])  # of the first step
    output = model(torch.cat([tokens, last], dim=1), {"music": torch.cat([unseen, music], dim=1)})
    logits = torch.stack(output.logits, dim=-1)
    assert not logits[:, 0].any()
    assert_close(logits[:, 1:], halves(golden, "logits_{}"))


def test_loss_and_gradients_are_the_originals(model: BailandoGPT, golden: Arrays) -> None:
    logits = model.predict(halves(golden, "idx_{}"), music_of(model, golden))
    targets = halves(golden, "target_{}")
    losses = [
        nn.functional.cross_entropy(x.flatten(0, 1), targets[..., i].flatten())
        for i, x in enumerate(logits)
    ]
    loss = torch.stack(losses).sum()
    assert loss.item() == pytest.approx(float(golden["loss"]), rel=TOLERANCE)
    loss.backward()
    found = dict(by_original_name(model, {name: p.grad for name, p in model.named_parameters()}))
    names = [name for name in golden if name.startswith("grad/")]
    assert names
    for name in names:
        gradient = found[name.removeprefix("grad/")]
        assert gradient is not None
        assert_close(gradient.reshape(golden[name].shape), golden[name])


@pytest.mark.parametrize("shifted", [False, True])
def test_dances_are_the_originals_token_by_token(
    model: BailandoGPT, golden: Arrays, shifted: bool
) -> None:
    start, music = halves(golden, "sample_x0_{}"), music_of(model, golden, "sample_music")
    assert float(golden["sample_min_margin"]) > TOLERANCE  # no token hangs on rounding
    shift = int(golden["sample_shift"]) if shifted else None
    wanted = halves(golden, "sample_shift_{}" if shifted else "sample_{}")
    assert sample(model, start, music, shift=shift).equal(wanted)


def test_it_has_the_originals_weights_and_gives_them_back(
    model: BailandoGPT, golden: Arrays
) -> None:
    assert model.critic is not None
    own = sum(p.numel() for p in model.parameters())
    critic = sum(p.numel() for p in model.critic.parameters())
    assert own - critic == int(golden["n_params"])
    state = state_of(golden)
    written = original_gpt(model.config, model.state_dict(), critic=False)
    assert {k for k in written if not k.endswith("attn.mask")} == set(state)
    assert all(torch.equal(written[name], tensor) for name, tensor in state.items())
