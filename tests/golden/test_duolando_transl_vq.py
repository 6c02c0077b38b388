"""The placement tokenizer on the original's weights gives the original's numbers."""

import numpy as np
import pytest
import torch

from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.compat.vqvae import original_keys, placement_tokenizer
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.world import PLACEMENT_SCALE
from tests.golden import vqvae
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "transl_vq.npz"
PART = "transl"

pytestmark = needs(FILE)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return vqvae.read(FILE)


@pytest.fixture
def tokenizer(golden) -> PlacementTokenizer:
    return placement_tokenizer(vqvae.original_state(golden), vqvae.stored_config(golden), up="y")


@pytest.fixture
def couple(golden) -> tuple[MotionBatch, MotionBatch]:
    leader, follower = (_at(golden[f"in/root_{dancer}"]) for dancer in ("leader", "follower"))
    return leader, follower


def _at(root: np.ndarray) -> MotionBatch:
    """A body of which only the root matters."""
    joints = torch.from_numpy(root)[:, :, None].repeat(1, 1, NUM_JOINTS, 1)
    return MotionBatch(joints, torch.eye(3).expand(*joints.shape, 3))


def test_encoding_is_the_originals(golden, tokenizer, couple):
    placement = tokenizer.frame.placement(*couple)
    vqvae.assert_near(placement, golden["in/transl"], "placement")
    tokens = tokenizer.encode(*couple)[..., 0]
    vqvae.assert_tokens(tokens, golden["enc/tokens"], golden["enc_margin"], "tokens")


def test_decoding_is_the_originals(golden, tokenizer, couple):
    tokens = torch.from_numpy(golden["enc/tokens"])[..., None]
    with torch.no_grad():
        path = tokenizer.decode(tokens, couple[0]).path
    apart = (path - couple[0].joints[:, :, 0]) * PLACEMENT_SCALE
    vqvae.assert_near(apart, golden["dec/transl"], "placement")


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_and_their_terms_are_the_originals(golden, tokenizer, couple, mode):
    tokenizer.train(mode == "train")
    placement = torch.from_numpy(golden["in/transl"]).mT
    with torch.no_grad():
        out = tokenizer.vqvae(placement, {})
    latents = tokenizer.vqvae.encoder(placement)
    vqvae.assert_near(latents, golden[f"train/{PART}/prequant"], "latents")
    decoded = out.heads["placement"]
    if mode == "eval":
        vqvae.assert_near(decoded.mT, golden["eval/xout"], "reconstruction")
    for term, value in vqvae.losses([decoded - placement]).items():
        vqvae.assert_near(value, golden[f"{mode}/{PART}/{term}"], term)
    bend = decoded.diff(2, dim=-1).square().mean()
    vqvae.assert_near(bend, golden[f"{mode}/{PART}/regularization"], "regularisation")
    vqvae.assert_near(out.commit_loss, golden[f"{mode}/{PART}/commit"], "commitment")
    margin = golden[f"eval/{PART}/margin"]
    vqvae.assert_tokens(out.tokens[..., 0], golden[f"{mode}/{PART}/tokens"], margin, "tokens")
    total, _ = tokenizer.loss(*couple)
    vqvae.assert_near(total, golden[f"{mode}/loss_total"], "total")
    vqvae.assert_near(total, golden[f"{mode}/{PART}/loss"], "total")


def test_gradients_are_the_originals(golden, tokenizer, couple):
    total, _ = tokenizer.train().loss(*couple)
    total.backward()
    vqvae.check_gradients(tokenizer, original_keys(tokenizer), golden)


def test_a_codebook_update_is_the_originals(golden, tokenizer):
    vqvae.check_update(tokenizer.vqvae.quantizer.levels[0], golden, PART)


def test_training_moves_the_averages_as_the_original(golden, tokenizer, couple):
    level = tokenizer.vqvae.quantizer.levels[0]
    vqvae.set_averages(level, golden, PART)
    tokenizer.train().loss(*couple)
    vqvae.assert_near(level.ema_sum, golden[f"train/{PART}/k_sum_after"], PART)
    vqvae.assert_near(level.ema_count, golden[f"train/{PART}/k_elem_after"], PART)
