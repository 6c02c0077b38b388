"""Pose codes tell most of a motion, levels add what is left, and any level may be left out."""

import math

import pytest
import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.tokenizers.codes_vq import CodesVQConfig, CodesVQVAE
from duet_rl.tokenizers.codes_vq_levels import choice_entropies
from duet_rl.tokenizers.codes_vq_residual import DroppableQuantizer, ResidualConfig
from duet_rl.tokenizers.spec import DROPPED
from duet_rl.tokenizers.workers import micro_batch

CHANNELS, FRAMES, CLASSES = 6, 32, (3, 2)
LEVELS = 3
SMALL = CodesVQConfig(
    width=16,
    code_width=8,
    depth=1,
    codes=16,
    levels=LEVELS,
    level_dropout=0.5,
    residual_dropout=0.2,
    commit=0.2,
)
SMALL_LEVELS = {"codes": 4, "code_width": 8, "levels": LEVELS, "seed": 1}
KINDS = ("hard", "soft")
WAYS: dict[str, dict[str, object]] = {
    "hard": {},
    "soft": {"quantizer": "soft"},
    "all latents": {"rest": "latents"},
}


def motions(seed: int, clips: int = 8) -> tuple[Tensor, Tensor]:
    """Waves whose first channel goes by the pose codes, and the rest by what these do not tell."""
    generator = torch.Generator().manual_seed(seed)
    steps = FRAMES // 4
    pose = torch.stack(
        [torch.randint(n, (clips, steps), generator=generator) for n in CLASSES], dim=-1
    )
    told = (pose[..., :1] - 1.0 + 0.5 * pose[..., 1:]).repeat_interleave(4, dim=1)
    phase = 2 * math.pi * torch.rand(clips, 1, 1, generator=generator)
    shift = torch.arange(CHANNELS - 1)
    time = torch.arange(FRAMES)[None, :, None] / 8
    return torch.cat([told, torch.sin(phase + shift + time)], dim=-1), pose


def trained(way: str, steps: int = 250) -> CodesVQVAE:
    torch.manual_seed(0)
    config = SMALL.model_copy(update=WAYS[way])
    vqvae = CodesVQVAE(config, CHANNELS, CLASSES, stressed=(0, 1)).train()
    optimiser = torch.optim.Adam(vqvae.parameters(), lr=5e-3)
    for step in range(steps):
        optimiser.zero_grad()
        total, _, statistics = vqvae.loss(*motions(step))
        total.backward()
        optimiser.step()
        vqvae.quantizer.update(statistics)
    return vqvae.eval()


@pytest.fixture(scope="module", params=WAYS)
def vqvae(request: pytest.FixtureRequest) -> CodesVQVAE:
    return trained(request.param)


def fresh(**changes: object) -> CodesVQVAE:
    torch.manual_seed(0)
    return CodesVQVAE(SMALL.model_copy(update=changes), CHANNELS, CLASSES)


@torch.no_grad()
def test_pose_codes_alone_tell_the_motion_and_levels_the_rest(vqvae):
    motion, pose = motions(1000)
    kept = [vqvae.encode(motion, pose, active) for active in range(LEVELS + 1)]
    errors = [(vqvae.decode(pose, tokens) - motion).square() for tokens in kept]
    assert errors[0][..., 0].mean() < 0.1 * motion[..., 0].square().mean()
    means = [float(error.mean()) for error in errors]
    assert means == sorted(means, reverse=True), "every level brings the motion nearer"
    assert means[-1] < 0.6 * means[0]


@torch.no_grad()
def test_a_level_that_is_left_out_adds_nothing(vqvae):
    motion, pose = motions(1000)
    tokens = vqvae.encode(motion, pose)
    cut = tokens.clone()
    cut[..., 1:] = DROPPED
    assert vqvae.encode(motion, pose, active=1).equal(cut)
    first = vqvae.quantizer.each(tokens)[0]
    torch.testing.assert_close(vqvae.quantizer.decode(cut), first)
    assert vqvae.decode(pose, torch.full_like(tokens, DROPPED)).equal(vqvae.decode(pose))


@torch.no_grad()
def test_forward_says_what_encode_and_decode_say(vqvae):
    motion, pose = motions(1000)
    out = vqvae(motion, pose)
    assert out.tokens.equal(vqvae.encode(motion, pose))
    torch.testing.assert_close(out.motion, vqvae.decode(pose, out.tokens), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_units_do_not_change_the_tokens(vqvae):
    motion, pose = motions(1000)
    mean, std = torch.linspace(-1, 1, CHANNELS), torch.linspace(0.5, 2, CHANNELS)
    wanted, decoded = vqvae.encode(motion, pose), vqvae.decode(pose)
    vqvae.set_normalisation(mean, std)
    try:
        assert vqvae.encode(motion * std + mean, pose).equal(wanted)
        torch.testing.assert_close(vqvae.decode(pose), decoded * std + mean)
    finally:
        vqvae.set_normalisation(torch.zeros(CHANNELS), torch.ones(CHANNELS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_that_is_loaded_keeps_its_codes_in_training(kind):
    first = fresh(quantizer=kind).train()
    first.loss(*motions(0))
    again = fresh(quantizer=kind).train()
    assert first.initialised and not again.initialised
    again.load_state_dict(first.state_dict())
    before = [level.codebook.clone() for level in again.quantizer.levels]
    again.loss(*motions(1))
    assert again.initialised
    after = [level.codebook for level in again.quantizer.levels]
    assert all(map(torch.equal, before, after))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_without_residual_teach_the_pose_codes_and_leave_the_encoder(kind):
    vqvae = fresh(quantizer=kind, residual_dropout=1.0).train()
    filled = vqvae(*motions(0)).tokens
    assert (filled != DROPPED).all(), "the first batch fills every level"
    total, metrics, statistics = vqvae.loss(*motions(1))
    total.backward()
    assert not statistics and not any("perplexity" in name for name in metrics)
    assert not any(p.grad.any() for p in vqvae.encoder.parameters())
    assert vqvae.pose.table.weight.grad.abs().sum() > 0


def test_level_dropout_always_keeps_the_first_level():
    vqvae = fresh(level_dropout=1.0, residual_dropout=0.0).train()
    vqvae(*motions(0))
    counts = set()
    for _ in range(30):
        out = vqvae(*motions(1))
        counts.add(int((out.tokens != DROPPED).sum(-1).unique()))
        assert len(out.statistics) == int((out.tokens[0, 0] != DROPPED).sum())
        vqvae.quantizer.update(out.statistics)
    assert counts == {1, 2, 3}
    assert (vqvae.eval()(*motions(1)).tokens != DROPPED).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_gradient_whatever_a_step_leaves_out(kind):
    vqvae = fresh(quantizer=kind, level_dropout=0.7, residual_dropout=0.3).train()
    vqvae(*motions(0))
    for _ in range(12):
        vqvae.zero_grad()
        total, _, statistics = vqvae.loss(*motions(1))
        total.backward()
        assert all(p.grad is not None for p in vqvae.parameters())
        vqvae.quantizer.update(statistics)


def test_the_gradient_of_every_level_makes_as_many_times_that_of_one_pass():
    latents = torch.randn(2, 8, 8)
    once, levels = (
        DroppableQuantizer(ResidualConfig(**SMALL_LEVELS, straight_through=kind)).train()
        for kind in ("once", "levels")
    )
    gradients = []
    for quantizer in (once, levels):
        rows = latents.clone().requires_grad_()
        (quantizer(rows).codes * torch.arange(8.0)).sum().backward()
        gradients.append(rows.grad)
    torch.testing.assert_close(gradients[0], torch.arange(8.0).expand(2, 8, 8))
    torch.testing.assert_close(gradients[1], LEVELS * gradients[0])


@pytest.mark.parametrize("kind", KINDS)
def test_codebooks_are_filled_with_the_first_rows_of_all_pieces_of_a_batch(kind):
    rows = torch.randn(4, 2, 8)
    config = ResidualConfig(**SMALL_LEVELS, quantizer=kind, rows="first")
    whole, pieces = DroppableQuantizer(config).levels[0], []
    whole.initialise(rows)
    for index in range(2):
        piece = DroppableQuantizer(config).levels[0]
        with micro_batch(index, 2):
            piece.initialise(rows[2 * index : 2 * index + 2])
        pieces.append(piece.codebook)
    assert whole.codebook.equal(rows.flatten(0, 1)[:4])
    assert (pieces[0] + pieces[1]).equal(whole.codebook)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_few_rows_do_not_stay_equal(kind):
    config = ResidualConfig(**SMALL_LEVELS, quantizer=kind, rows="first")
    level = DroppableQuantizer(config).levels[0]
    level.initialise(torch.randn(1, 2, 8))
    assert len(level.codebook.unique(dim=0)) == 4


def test_entropies_tell_sure_choices_from_unsure_and_even_ones_from_single():
    sure = 10 * torch.eye(4)
    each, mean = choice_entropies(sure)
    assert each < 1e-6 and mean == pytest.approx(math.log(4), abs=1e-3)
    each, mean = choice_entropies(sure[:1].expand(8, 4))
    assert each < 1e-6 and abs(mean) < 1e-3
    each, _ = choice_entropies(torch.zeros(8, 4))
    assert each == pytest.approx(math.log(4), abs=1e-6)


@torch.no_grad()
def test_a_causal_tokenizer_takes_a_clip_piece_by_piece():
    torch.manual_seed(0)
    vqvae = CodesVQVAE(SMALL, CHANNELS, CLASSES, causal=True).train()
    vqvae(*motions(0))
    vqvae.eval()
    motion, pose = motions(1, clips=2)
    tokens = vqvae.encode(motion, pose)
    into, back, heard, shown = {}, {}, [], []
    for start in range(0, FRAMES, 8):
        steps = slice(start // 4, start // 4 + 2)
        heard.append(vqvae.encode(motion[:, start : start + 8], pose[:, steps], cache=into))
        shown.append(vqvae.decode(pose[:, steps], tokens[:, steps], cache=back))
    assert torch.cat(heard, dim=1).equal(tokens)
    torch.testing.assert_close(torch.cat(shown, dim=1), vqvae.decode(pose, tokens))


def test_what_does_not_fit_is_refused():
    vqvae = fresh().eval()
    motion, pose = motions(0)
    with pytest.raises(InputError, match="32 frames come with pose codes of 7 tokens"):
        vqvae.encode(motion, pose[:, :7])
    with pytest.raises(InputError, match="30 frames do not divide"):
        vqvae.encode(motion[:, :30], pose)
    with pytest.raises(InputError, match="hold class 9 in stream 1"):
        vqvae.decode(torch.full_like(pose, 9).clamp(max=torch.tensor([2, 9])))
    with pytest.raises(InputError, match="have 2 levels"):
        vqvae.decode(pose, torch.zeros(8, 8, 2, dtype=torch.int64))
    with pytest.raises(InputError, match="codes from 0 to 16"):
        vqvae.decode(pose, torch.arange(8 * 8 * 3).view(8, 8, 3).clamp(max=16))
    with pytest.raises(InputError, match="causal=True"):
        vqvae.decode(pose, cache={})


def test_noise_chooses_among_near_codes_in_training_alone():
    level = DroppableQuantizer(ResidualConfig(**SMALL_LEVELS, choice_noise=0.5)).levels[0]
    level.codebook.copy_(torch.arange(4.0)[:, None].expand(4, 8) / math.sqrt(8))
    level.updates.fill_(1)
    rows = torch.zeros(200, 10, 8)
    assert torch.equal(level.eval().quantise(rows).tokens, torch.zeros(200, 10, dtype=torch.long))
    drawn = level.train().quantise(rows).tokens
    share = torch.bincount(drawn.flatten(), minlength=4) / drawn.numel()
    wanted = torch.softmax(-torch.arange(4.0).square() / 0.5, 0)
    torch.testing.assert_close(share, wanted, atol=0.03, rtol=0)


def test_noise_does_not_depend_on_how_a_batch_is_cut():
    level = DroppableQuantizer(ResidualConfig(**SMALL_LEVELS, choice_noise=1.0)).levels[0].train()
    torch.manual_seed(0)
    rows = torch.randn(6, 5, 8)
    level.initialise(rows)
    whole = level.quantise(rows).tokens
    pieces = []
    for index in range(2):
        with micro_batch(index, 2):
            pieces.append(level.quantise(rows[3 * index : 3 * index + 3]).tokens)
    assert torch.equal(torch.cat(pieces), whole)
