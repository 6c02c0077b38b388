"""Codebooks: they learn, keep their state, and do not depend on the number of workers."""

import pytest
import torch

from duet_rl.tokenizers.quantizers import (
    ResidualQuantizer,
    VectorQuantizer,
    VectorQuantizerConfig,
    perplexity,
    reduce_statistics,
    usage,
)

CONFIG = VectorQuantizerConfig(codes=8, code_width=3, decay=0.8)


def clusters(seed: int, centres: int = 8, rows: int = 128) -> torch.Tensor:
    """Rows around a few fixed points, `(4, rows / 4, 3)`."""
    points = 5 * torch.randn(centres, 3, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(centres, (4, rows // 4), generator=generator)
    return points[which] + 0.05 * torch.randn(4, rows // 4, 3, generator=generator)


def learn(quantizer: ResidualQuantizer, steps: range) -> None:
    quantizer.train()
    for step in steps:
        quantizer.update(reduce_statistics(quantizer(clusters(step)).statistics))


def error(quantizer: ResidualQuantizer, rows: torch.Tensor) -> float:
    return float((quantizer.decode(quantizer.encode(rows)) - rows).norm(dim=-1).mean())


def test_codebook_finds_the_clusters():
    quantizer = ResidualQuantizer(CONFIG.model_copy(update={"codes": 24}))
    learn(quantizer, range(60))
    assert error(quantizer, clusters(1000)) < 0.15


def test_codes_are_the_nearest_ones():
    quantizer = VectorQuantizer(CONFIG)
    quantizer.initialise(clusters(0))
    rows = clusters(1)
    expected = torch.cdist(rows, quantizer.codebook[None]).argmin(-1)
    assert torch.equal(quantizer.nearest(rows), expected)


def test_second_level_codes_what_the_first_left():
    one, two = ResidualQuantizer(CONFIG), ResidualQuantizer(CONFIG, levels=2)
    for quantizer in (one, two):
        quantizer.train()
        for step in range(40):
            rows = torch.randn(4, 64, 3, generator=torch.Generator().manual_seed(step))
            quantizer.update(quantizer(rows).statistics)
    rows = torch.randn(4, 64, 3)
    assert two.encode(rows).shape == (4, 64, 2)
    assert error(two, rows) < 0.7 * error(one, rows)


def test_code_that_nothing_is_near_to_is_restarted():
    quantizer = ResidualQuantizer(CONFIG)
    learn(quantizer, range(3))
    level = quantizer.levels[0]
    level.codebook[0] = 1e3
    level.ema_sum[0] = 1e3 * level.ema_count[0]
    learn(quantizer, range(3, 40))
    assert level.codebook[0].norm() < 50
    assert usage(torch.bincount(quantizer.encode(clusters(50)).flatten(), minlength=8).float()) == 1


def test_jukebox_moves_a_code_until_it_is_used_once_a_batch():
    quantizer = VectorQuantizer(CONFIG.model_copy(update={"restart": "jukebox"}))
    latents = clusters(0)
    quantizer.initialise(latents)
    quantizer.codebook[0] = 1e3  # far from all rows
    seen, own_sum, own_count = [], quantizer.ema_sum[0].clone(), 1.0
    for step in range(3):
        rows = clusters(step)
        quantizer.update(quantizer.statistics(rows, quantizer.nearest(rows).clamp_min(1)))
        own_sum, own_count = CONFIG.decay * own_sum, CONFIG.decay * own_count
        torch.testing.assert_close(quantizer.ema_sum[0], own_sum)  # never set back
        assert float(quantizer.ema_count[0]) == pytest.approx(own_count)
        seen.append(quantizer.codebook[0].clone())
        assert (rows.flatten(0, 1) == seen[-1]).all(-1).any()
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])


def test_batch_smaller_than_the_codebook_gives_distinct_codes():
    quantizer = VectorQuantizer(VectorQuantizerConfig(codes=32, code_width=3))
    quantizer.initialise(clusters(0, rows=8))
    assert len(quantizer.codebook.unique(dim=0)) == 32


def test_gradient_goes_straight_to_the_latents():
    quantizer = ResidualQuantizer(CONFIG).train()
    latents = clusters(0).requires_grad_()
    weights = torch.randn_like(latents)
    (quantizer(latents).codes * weights).sum().backward()
    torch.testing.assert_close(latents.grad, weights)


def test_commitment_pulls_latents_to_their_codes():
    quantizer = ResidualQuantizer(CONFIG)
    learn(quantizer, range(5))
    latents = clusters(9).requires_grad_()
    out = quantizer(latents)
    out.commit_loss.backward()
    moved = latents.detach() - 10 * latents.grad
    before, after = out.commit_loss, quantizer.eval()(moved).commit_loss
    assert after < before


def test_evaluation_changes_nothing():
    quantizer = ResidualQuantizer(CONFIG)
    learn(quantizer, range(3))
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer.eval()
    assert quantizer(clusters(7)).statistics == ()
    assert all(torch.equal(before[name], value) for name, value in quantizer.state_dict().items())


def test_resumed_learning_equals_unbroken_learning():
    unbroken, stopped, resumed = (ResidualQuantizer(CONFIG, levels=2) for _ in range(3))
    learn(unbroken, range(20))
    learn(stopped, range(10))
    resumed.load_state_dict(stopped.state_dict())
    learn(resumed, range(10, 20))
    for name, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_perplexity_counts_the_codes_in_use():
    assert float(perplexity(torch.tensor([5.0, 5, 5, 0]))) == pytest.approx(3)
    assert float(perplexity(torch.tensor([7.0, 0, 0, 0]))) == pytest.approx(1)
    assert float(usage(torch.tensor([7.0, 1, 0, 0]))) == 0.5


def test_workers_that_gathered_nothing_have_nothing_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duet_rl.tokenizers.quantizers.world_size", lambda: 2)
    assert reduce_statistics([]) == []
