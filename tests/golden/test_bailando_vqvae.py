"""The pose tokenizer of a soloist on the original's weights gives the original's numbers."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.compat.bailando_vqvae import original_keys, pose_tokenizer, solo_codec
from duet_rl.tokenizers.smpl_body import SMPL_PARTS
from duet_rl.tokenizers.solo_pose import SoloPoseTokenizer
from tests.golden import vqvae
from tests.golden.bailando_codec import POSE, ROOT, SHORT, body, raw_decode, states, tokens
from tests.golden.files import needs

TERMS = {"recons_loss_l1": 0, "velocity_loss": 1, "acceleration_loss": 2}  # orders of difference

pytestmark = needs(POSE, ROOT)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return vqvae.read(POSE)


@pytest.fixture
def tokenizer() -> SoloPoseTokenizer:
    return pose_tokenizer(states(POSE))


@pytest.fixture
def dance(golden) -> Tensor:
    return body(golden["x"])


def test_the_sizes_are_those_of_the_file(golden, tokenizer):
    assert sum(p.numel() for p in tokenizer.parameters()) == int(golden["n_params"])
    assert tokenizer.config.upper.codes == int(golden["cfg_bins"])


def test_the_body_is_seen_from_its_root(golden):
    joints = body(golden["positions_abs"])
    vqvae.assert_near((joints - joints[:, :, :1]).flatten(2), golden["x"], "input")


def test_latents_are_the_originals(golden, tokenizer, dance):
    channels = dance[:, :, list(SMPL_PARTS["upper"])].flatten(2).mT
    with torch.no_grad():
        latents = tokenizer.part("upper").encoder(channels)
    vqvae.assert_near(latents, golden["enc_up_pre_quant"], "latents")


def test_tokens_are_the_originals(golden, tokenizer, dance):
    assert torch.equal(tokenizer.encode_body(dance), tokens(golden))


@pytest.mark.parametrize(("kind", "decoded"), [("z", "decode"), ("zrand", "decode_rand")])
def test_decoded_joints_are_the_originals(golden, tokenizer, kind, decoded):
    rows = tokens(golden, kind)
    vqvae.assert_near(raw_decode(tokenizer, rows), golden[decoded], decoded)
    ours, wanted = tokenizer.decode(rows), body(golden[decoded])
    vqvae.assert_near(ours[:, :, 1:], wanted[:, :, 1:].numpy(), decoded)
    assert not ours[:, :, 0].any()


def test_losses_are_the_originals(golden, tokenizer, dance):
    with torch.no_grad():
        total, metrics = tokenizer.body_loss(dance)
    vqvae.assert_near(total, golden["loss_eval"], "total")
    shown = torch.zeros_like(dance)
    for part, name in SHORT.items():
        channels = dance[:, :, list(SMPL_PARTS[part])].flatten(2).mT
        with torch.no_grad():
            out = tokenizer.part(part)(channels, {})
        error = out.heads["positions"] - channels
        for term, order in TERMS.items():
            value = error.diff(order, dim=-1).abs().mean()
            vqvae.assert_near(value, golden[f"metric_{name}/{term}"], f"{part} {term}")
        bend = out.heads["positions"].diff(2, dim=-1).square().mean()
        vqvae.assert_near(bend, golden[f"metric_{name}/regularization"], part)
        vqvae.assert_near(out.commit_loss, golden[f"metric_{name}/commit_loss"], part)
        terms = sum(golden[f"metric_{name}/{term}"] for term in TERMS)
        vqvae.assert_near(metrics[f"loss/{part}_positions"], np.asarray(terms), part)
        shown[:, :, list(SMPL_PARTS[part])] = out.heads["positions"].mT.unflatten(-1, (-1, 3))
    vqvae.assert_near(shown.flatten(2), golden["out_eval"], "reconstruction")


@pytest.fixture
def stepped(golden, tokenizer, dance) -> tuple[SoloPoseTokenizer, Tensor, dict[str, Tensor]]:
    """The tokenizer after one pass in training from the averages that the golden one had."""
    for part in SHORT:
        level = tokenizer.part(part).quantizer.levels[0]
        level.ema_count.fill_(float(golden["train_k_elem0"]))
        level.ema_sum.copy_(level.codebook * level.ema_count[:, None])
    return tokenizer.train(), *tokenizer.body_loss(dance)


def test_a_training_step_moves_the_codebooks_as_the_original(golden, stepped):
    tokenizer, total, metrics = stepped
    vqvae.assert_near(total, golden["train_loss"], "loss")
    for part, name in SHORT.items():
        level = tokenizer.part(part).quantizer.levels[0]
        vqvae.assert_near(level.codebook, golden[f"train_k_after_{name}"], part)
        vqvae.assert_near(level.ema_sum, golden[f"train_k_sum_after_{name}"], part)
        vqvae.assert_near(level.ema_count, golden[f"train_k_elem_after_{name}"], part)
        alive = int((level.ema_count >= 1).sum())
        assert alive == int(golden[f"train_metric_{name}/usage"])
        used = round(float(metrics[f"tokens/usage_{part}"]) * level.config.codes)
        assert used == int(golden[f"train_metric_{name}/used_curr"])


def test_gradients_are_the_originals(golden, stepped):
    tokenizer, total, _ = stepped
    total.backward()
    keys = original_keys(solo_codec(states(POSE, ROOT)))
    own = {f"pose.{name}": parameter for name, parameter in tokenizer.named_parameters()}
    stored = [name for name in golden if name.startswith("grad/")]
    assert stored
    for name in stored:
        gradient = own[keys[name.removeprefix("grad/")]].grad
        assert gradient is not None, name
        vqvae.assert_near(gradient, golden[name], name)
