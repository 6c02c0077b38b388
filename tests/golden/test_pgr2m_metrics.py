"""Our metrics of text and motion give the numbers of the original's scripts."""

from functools import cache

import pytest
import torch
from torch import Tensor

from duet_rl.metrics.frechet import frechet_distance, moments, published_fid
from duet_rl.metrics.reconstruction import published_errors
from duet_rl.metrics.text import (
    Pairs,
    diversity,
    matching_distance,
    multimodality,
    published_r_precision,
    r_precision,
)
from tests.golden.files import needs
from tests.golden.pgr2m_networks import FOLDER, Golden, read

FILE = FOLDER / "metrics.npz"
FID = 1e-6  # relative
SINGULAR = 1e-3  # relative, of fewer vectors than dimensions
RELATIVE = 1e-6

pytestmark = needs(FILE)


@cache
def golden() -> Golden:
    return read(FILE)


def number(name: str) -> float:
    return float(golden()[name])


def double(name: str) -> Tensor:
    return golden()[name].double()


def test_fid_is_the_originals():
    real, generated = double("real"), double("gen")
    assert published_fid(generated, real) == pytest.approx(number("fid"), rel=FID)
    assert published_fid(real, real) == pytest.approx(0, abs=1e-9)
    mended = float(frechet_distance(moments(generated), moments(real)))
    assert mended == pytest.approx(number("fid"), rel=FID)


def test_fid_of_too_few_is_the_originals_real_part():
    few = published_fid(double("gen")[:20], double("real"))
    assert few == pytest.approx(number("fid_singular20"), rel=SINGULAR)


@pytest.mark.parametrize(("pool", "name"), [(32, "r_precision"), (256, "r_precision_pool256")])
def test_r_precision_is_the_originals(pool, name):
    texts, motions = golden()["text"], golden()["gen"]
    assert published_r_precision(texts, motions, pool).tolist() == golden()[name].tolist()


def test_the_mended_r_precision_is_the_originals_over_many_orders():
    texts, motions = golden()["text"], golden()["gen"]
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(200):
        order = torch.randperm(len(texts), generator=generator)
        found.append(published_r_precision(texts[order], motions[order]))
    shuffled, ours = torch.stack(found).mean(0), r_precision(texts, motions).mean(0)
    torch.testing.assert_close(ours, shuffled, atol=0.005, rtol=0)
    whole = r_precision(texts, motions, pool=len(texts)).mean(0)
    torch.testing.assert_close(whole, double("r_precision_pool256"), atol=1e-9, rtol=0)


def test_matching_distance_diversity_and_multimodality_are_the_originals():
    drawn = [Pairs(golden()[f"{x}_first"], golden()[f"{x}_second"]) for x in ("diversity", "mm")]
    found = {
        "mm_dist": float(matching_distance(golden()["text"], golden()["gen"]).mean()),
        "diversity_100": diversity(golden()["gen"], drawn[0]),
        "multimodality_5": multimodality(golden()["mm_act"], drawn[1]),
    }
    for name, value in found.items():
        assert value == pytest.approx(number(name), rel=RELATIVE), name


def test_joint_errors_are_the_originals():
    errors = published_errors(golden()["jm_pred"], golden()["jm_gt"])
    assert errors.mpjpe == pytest.approx(number("mpjpe"), rel=RELATIVE)
    assert errors.pa_mpjpe == pytest.approx(number("pampjpe"), rel=1e-5)
    assert errors.acceleration == pytest.approx(number("accel"), rel=RELATIVE)
    torch.testing.assert_close(errors.joints, golden()["jpe"], rtol=1e-5, atol=1e-8)


def test_the_originals_millimetres_part_positions_from_accelerations():
    millimetres = [1000 * golden()[name] for name in ("jm_pred", "jm_gt")]
    errors = published_errors(*millimetres, factor=1000.0)
    assert errors.mpjpe == pytest.approx(number("mpjpe"), rel=1e-5)
    assert errors.acceleration == pytest.approx(1e6 * number("accel"), rel=1e-5)
