"""Scores of texts and motions in one space: known answers, chance, order, and what is refused."""

import math

import pytest
import torch

from duet_rl.metrics.reconstruction import acceleration_error, joint_errors, mpjpe, pa_mpjpe
from duet_rl.metrics.text import (
    draw_pairs,
    over_repeats,
    published_r_precision,
    r_precision,
    spread,
)

CHANCE = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) / 32


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_motions_that_lie_on_their_texts_are_found():
    texts = noise(70, 4)
    for found in (published_r_precision(texts, texts), r_precision(texts, texts).mean(0)):
        torch.testing.assert_close(found, torch.ones(3, dtype=torch.float64))


def test_motions_that_know_nothing_of_their_texts_are_found_by_chance():
    found = r_precision(noise(2000, 4), noise(2000, 4, seed=1)).mean(0)
    torch.testing.assert_close(found, CHANCE, atol=0.01, rtol=0)


def test_one_answer_for_all_is_no_find():
    assert not r_precision(noise(64, 4), torch.zeros(64, 4)).any()


def test_the_mended_r_precision_depends_on_no_order_and_leaves_out_no_text():
    texts, motions = noise(45, 4), noise(45, 4) + 0.7 * noise(45, 4, seed=1)
    order = torch.randperm(45, generator=torch.Generator().manual_seed(2))
    found = r_precision(texts, motions)
    torch.testing.assert_close(r_precision(texts[order], motions[order]), found[order])
    assert len(found) == 45 and (found.diff(dim=1) >= 0).all()
    published = published_r_precision(texts, motions)
    assert not torch.equal(published_r_precision(texts[order], motions[order]), published)
    assert torch.equal(published_r_precision(texts[:32], motions[:32]), published), "the tail"
    assert not torch.equal(published_r_precision(texts, motions, drop_tail=False), published)


def test_too_few_motions_for_a_pool_are_no_number():
    texts = noise(31, 4)
    assert published_r_precision(texts, texts).isnan().all()
    assert r_precision(texts, texts).isnan().all()
    assert not r_precision(texts, texts, pool=31).isnan().any()


def test_a_motion_of_the_same_words_is_no_wrong_answer():
    texts = noise(40, 4).repeat_interleave(2, 0)
    motions = texts + 0.01 * noise(80, 4, seed=1)
    same = [index // 2 for index in range(80)]
    assert r_precision(texts, motions)[:, 0].mean() < 0.95
    assert (r_precision(texts, motions, same=same) == 1).all()


def test_pairs_may_be_drawn_so_that_none_is_held_against_itself():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_pairs(5, 5, generator) for _ in range(20)]
    assert any((pairs.first == pairs.second).any() for pairs in drawn), "as published"
    pairs = draw_pairs(5, 5, generator, distinct=True)
    assert (pairs.first != pairs.second).all() and len(set(pairs.first.tolist())) == 5


def test_one_motion_of_a_text_has_no_spread():
    assert spread(noise(3, 1, 4)).isnan().all()
    two = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
    assert spread(two).item() == pytest.approx(5)


def test_repeats_have_an_interval_and_one_alone_has_none():
    told = over_repeats([1.0, 3.0])
    assert told.mean == 2 and told.half == pytest.approx(1.96 / math.sqrt(2))
    assert math.isnan(over_repeats([1.0]).half)


def test_errors_of_a_body_look_through_where_it_stands_and_how_it_is_turned():
    truth = noise(2, 9, 5, 3)
    aside = truth + torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(mpjpe(aside, truth), torch.zeros(2), atol=1e-6, rtol=0)
    turn = torch.linalg.qr(noise(3, 3, seed=1)).Q
    turn = turn * turn.det()  # no reflection
    likened = 0.5 * aside @ turn
    assert mpjpe(likened, truth).min() > 0.1
    torch.testing.assert_close(pa_mpjpe(likened, truth), torch.zeros(2), atol=1e-5, rtol=0)
    mirrored = truth * torch.tensor([-1.0, 1.0, 1.0])
    assert pa_mpjpe(mirrored, truth).min() > 0.1
    assert pa_mpjpe(torch.zeros_like(truth), truth).isfinite().all(), "a body of one point"


def test_the_root_has_no_error_and_is_counted_only_as_published():
    joints, truth = noise(1, 9, 5, 3), noise(1, 9, 5, 3, seed=1)
    errors = joint_errors(joints, truth)[0]
    assert errors[0] == 0 < errors[1:].min()
    assert mpjpe(joints, truth).item() == pytest.approx(errors[1:].mean().item())
    assert mpjpe(joints, truth, count_root=True).item() == pytest.approx(errors.mean().item())


def test_acceleration_sees_no_steady_drift_and_knows_the_frame_rate():
    time = torch.arange(30.0)[None, :, None, None]
    still = torch.zeros(1, 30, 2, 3)
    drift = still + 0.1 * time
    torch.testing.assert_close(acceleration_error(drift, still), torch.zeros(1), atol=1e-5, rtol=0)
    falling = still + torch.tensor([0.0, 1.0, 0.0]) * 0.5 * 9.81 * (time / 30) ** 2
    assert acceleration_error(falling, still, fps=30).item() == pytest.approx(9.81, rel=1e-2)
    assert acceleration_error(drift[:, :2], still[:, :2]).isnan().all()
