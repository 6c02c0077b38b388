"""PGR2M's tokenizer gives the numbers of the original: codes, motion, losses, gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.compat.pgr2m_tokenizer import original_keys, original_state, pgr2m_tokenizer
from duet_rl.errors import InputError
from duet_rl.mocap.humanml3d import joints_of
from duet_rl.posecodes.catalogue import PGR2M392
from duet_rl.tokenizers.codes_vq import CodesVQVAE
from duet_rl.tokenizers.codes_vq_levels import LevelConfig, SoftLevel, choice_entropies
from duet_rl.tokenizers.codes_vq_residual import DroppableQuantizer, ResidualConfig
from duet_rl.tokenizers.humanml3d import Quirks, canonical, features_of
from duet_rl.tokenizers.quantizers import perplexity
from tests.golden.files import needs
from tests.golden.pgr2m_networks import (
    CLASSES,
    FOLDER,
    GRADIENT,
    Golden,
    assert_near,
    classes_in,
    read,
    rows_of,
    state_of,
)

FILE = FOLDER / "pg_tokenizer_soft.npz"
SOFT, HARD = FOLDER / "soft_quantizer_unit.npz", FOLDER / "rvq_hard_ema.npz"
TAKES = [FOLDER / f"h3d_features_{take}.npz" for take in ("60_01", "61_01")]
CUT = 10  # first frame of the clips out of their takes
SOFT_LAYERS = {"to_q": "query", "to_k": "key", "to_v": "value"} | {
    f"norm_{x}": f"{name}_norm" for x, name in (("q", "query"), ("k", "key"))
}

pytestmark = needs(FILE, SOFT, HARD, *TAKES)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read(FILE)


@pytest.fixture
def vqvae(golden: Golden) -> CodesVQVAE:
    return pgr2m_tokenizer(state_of(golden), CLASSES)


@pytest.fixture
def pose(golden: Golden) -> Tensor:
    return classes_in(rows_of(golden["multihot"], sum(CLASSES)))


def test_the_sizes_are_those_of_the_file(golden, vqvae):
    config = vqvae.config
    assert (config.width, config.code_width) == (golden["cfg_width"], golden["cfg_code_dim"])
    assert (config.codes, config.levels) == (golden["cfg_bins"], golden["cfg_levels"])
    assert (config.depth, config.halvings) == (golden["cfg_depth"], golden["cfg_down_t"])
    assert config.dilation_growth == golden["cfg_dilation_growth"]
    assert config.quantizer == "soft"


@torch.no_grad()
def test_latents_are_the_originals(golden, vqvae, pose):
    latents, told = vqvae.encoder(golden["motion"].mT).mT, vqvae.pose(pose)
    assert_near(latents, golden["z_latent"])
    assert_near(told, golden["p_latent"])
    assert_near(latents - told, golden["r_latent"])


@torch.no_grad()
def test_tokens_and_codes_are_the_originals(golden, vqvae, pose):
    tokens = vqvae.encode(golden["motion"], pose)
    assert tokens.equal(golden["indices"])
    assert_near(vqvae.quantizer.decode(tokens).mT, golden["quantized"])
    assert vqvae.encode(golden["motion"], pose, active=3).equal(golden["indices_first3"])


@torch.no_grad()
def test_motion_is_the_originals(golden, vqvae, pose):
    assert_near(vqvae(golden["motion"], pose).motion, golden["recon"])
    assert_near(vqvae.decode(pose, golden["indices"]), golden["recon_from_indices"])
    assert_near(vqvae.decode(pose, golden["indices_first3"]), golden["recon_first3"])
    assert_near(vqvae.decode(pose), golden["recon_pose_only"])


@torch.no_grad()
def test_losses_are_the_originals(golden, vqvae, pose):
    out = vqvae(golden["motion"], pose)
    assert_near(out.commit_loss, golden["vq_loss"])
    assert_near(out.entropy_loss, golden["ent_loss"])
    assert_near(golden["ent_sample"] - golden["ent_batch"], golden["ent_loss"])
    total, metrics, _ = vqvae.loss(golden["motion"], pose)
    assert_near(metrics["loss/motion"], golden["loss_recons"])
    assert_near(metrics["loss/stressed"], vqvae.config.stress * golden["loss_vel"])
    assert_near(total, golden["loss_total"])
    spread = [value for name, value in metrics.items() if "perplexity" in name]
    assert_near(torch.stack(spread).mean(), golden["perplexity"])


def test_gradients_are_the_originals(golden, vqvae, pose):
    keys, own = original_keys(vqvae.config), dict(vqvae.named_parameters())
    vqvae.config = vqvae.config.model_copy(update={"residual_dropout": 0.0, "level_dropout": 0.0})
    total, _, _ = vqvae.train().loss(golden["motion"], pose)
    assert_near(total, golden["train_loss_total"])
    total.backward()
    with np.load(FILE) as arrays:
        names = arrays["grad_names"].tolist()
    assert {keys[name] for name in names} == own.keys()
    for name, norm in zip(names, golden["grad_norms"].tolist(), strict=True):
        assert float(own[keys[name]].grad.norm()) == pytest.approx(norm, rel=GRADIENT), name
    for name, wanted in (
        ("pose.table.weight", golden["grad_posebook"]),
        ("quantizer.levels.0.codebook", golden["grad_rvq0_codebook"]),
    ):
        assert_near(own[name].grad / wanted.abs().max(), wanted / wanted.abs().max(), GRADIENT)


@pytest.mark.parametrize(("clip", "take"), [(0, "60_01"), (1, "61_01")])
@torch.no_grad()
def test_joints_become_the_originals_tokens_and_motion(golden, vqvae, clip, take):
    world = read(FOLDER / f"h3d_features_{take}.npz")["joints_raw_world"].double()
    window = slice(CUT, CUT + golden["motion"].shape[1])
    joints = canonical(world)
    motion = features_of(joints, Quirks(lost_turns=True))[None, window].float()
    pose = PGR2M392.codes(joints[:-1])[None, window][:, :: vqvae.frames_per_token]
    vqvae.set_normalisation(golden["feat_mean"], golden["feat_std"])
    tokens = vqvae.encode(motion, pose)
    assert tokens.equal(golden["indices"][clip : clip + 1])
    wanted = golden["recon"][clip : clip + 1] * golden["feat_std"] + golden["feat_mean"]
    found = vqvae.decode(pose, tokens)
    assert_near(found, wanted)
    assert_near(joints_of(found), joints_of(wanted))


def test_a_level_by_itself_is_the_originals():
    golden = read(SOFT)
    level = SoftLevel(LevelConfig(codes=16, code_width=24))
    state = {"filled": torch.tensor(1)}
    for key, tensor in state_of(golden).items():
        _, _, name = key.rpartition("attn.")
        layer, _, kind = name.partition(".")
        state[f"{SOFT_LAYERS[layer]}.{kind}" if kind else name] = tensor
    level.load_state_dict(state)
    rows = golden["x"].mT
    logits, out = level.logits(rows), level.quantise(rows)
    assert_near(logits.flatten(0, 1), golden["logits"])
    assert out.tokens.flatten().equal(golden["idx"].flatten())
    assert_near(level.lookup(out.tokens).flatten(0, 1), golden["z_hard"])
    assert_near(out.codes.mT, golden["out"])
    assert_near(out.commit_loss, golden["vq_loss"])
    assert_near(out.entropy_loss, golden["ent_loss"])
    for found, name in zip(choice_entropies(logits), ("sample_", "avg_"), strict=True):
        assert_near(found, golden[f"{name}entropy"])
    counts = torch.bincount(out.tokens.flatten(), minlength=16).float()
    assert_near(perplexity(counts), golden["perplexity"])


def test_hard_levels_fill_move_and_restart_as_the_originals():
    golden = read(HARD)
    config = ResidualConfig(
        codes=16,
        code_width=24,
        decay=float(golden["mu"]),
        restart="jukebox",
        rows="first",
        straight_through="levels",
    )
    quantizer = DroppableQuantizer(config).train()

    def held(name: str) -> Tensor:
        return torch.stack([getattr(level, name) for level in quantizer.levels])

    out = quantizer(golden["latent_init"].mT)
    assert out.tokens.equal(golden["init_indices"])
    assert_near(out.commit_loss, golden["init_vq_loss"])
    quantizer.update(out.statistics)
    assert_near(held("codebook"), golden["codebooks_after_first"])
    assert_near(held("ema_sum"), golden["code_sum_after_first"])
    assert_near(held("ema_count"), golden["code_count_after_first"])
    out = quantizer(golden["latent_step"].mT)
    assert out.tokens.equal(golden["step_indices"])
    assert_near(out.commit_loss, golden["step_vq_loss"])
    assert_near(out.codes.mT, golden["step_quantized"])
    quantizer.update(out.statistics)
    assert_near(held("codebook"), golden["codebooks_after_step"])
    quantizer.eval()
    out = quantizer(golden["latent_step"].mT)
    assert out.tokens.equal(golden["eval_indices"])
    assert_near(out.codes.mT, golden["eval_quantized"])
    assert_near(out.commit_loss, golden["eval_vq_loss"])
    used = [torch.bincount(row, minlength=16).float() for row in out.tokens.flatten(0, 1).mT]
    assert_near(torch.stack([perplexity(row) for row in used]).mean(), golden["eval_perplexity"])


def test_it_gives_the_weights_back(golden, vqvae):
    state, written = state_of(golden), original_state(vqvae)
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], tensor) for name, tensor in state.items())


def test_hard_levels_are_told_by_what_is_in_the_file(golden, pose):
    state = {name: x for name, x in state_of(golden).items() if ".attn." not in name}
    vqvae = pgr2m_tokenizer(state, CLASSES)
    assert vqvae.config.quantizer == "hard" and vqvae.initialised
    rest = vqvae.encoder(golden["motion"].mT).mT - vqvae.pose(pose)
    nearest = torch.cdist(rest, state["rvq.layers.0.codebook"][None]).argmin(-1)
    assert vqvae.encode(golden["motion"], pose)[..., 0].equal(nearest)


def test_another_number_of_pose_codes_is_refused(golden):
    with pytest.raises(InputError, match=r"pc_encoder.codebook.weight \(392, 24\), wanted \(390"):
        pgr2m_tokenizer(state_of(golden), CLASSES[:-1])


def test_a_checkpoint_with_a_layer_too_few_is_refused(golden):
    state = state_of(golden)
    del state["decoder.model.4.bias"]
    with pytest.raises(InputError, match=r"missing: decoder\.model\.4\.bias"):
        pgr2m_tokenizer(state, CLASSES)
