"""The local evaluator learns whose text is whose, and its scores say what they are taken over."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.evaluate.text_evaluator import (
    EvaluatorConfig,
    LocalEvaluator,
    motion_features,
    train_evaluator,
)
from duet_rl.evaluate.text_scores import TEXT_MEASURES, text_scores
from duet_rl.models.text import TextConfig
from duet_rl.models.text_motion import TextMotionConfig
from tests.couple import joints_of, moved, stepping_couple, turned

SMALL = EvaluatorConfig(
    network=TextMotionConfig(
        movement_hidden=16, movement=16, motion_hidden=16, text_hidden=16, width=8, dropout=0.0
    ),
    text=TextConfig(buckets=64, width=16, layers=0, heads=2),
    steps=120,
    batch=32,
    lr=1e-2,
)
ARMS = ("left", "right")
HEIGHTS = ("low", "middle", "high")
WAYS = ("still", "forward", "back", "aside")
TEXTS = [f"the {arm} arm goes {high}, {way}" for arm in ARMS for high in HEIGHTS for way in WAYS]


@cache
def follower() -> Tensor:
    return joints_of(stepping_couple())[0][0]


def dance(text: str, seed: int = 0, frames: int = 48) -> Tensor:
    """Return a body whose arm and way are those of the text."""
    generator = torch.Generator().manual_seed(seed)
    joints = follower()[:frames].clone()
    rise = torch.linspace(0, 1, frames) * (0.3 + 0.3 * HEIGHTS.index(text.split()[4][:-1]))
    hand = 20 + ARMS.index(text.split()[1])
    joints[:, [hand - 2, hand], 1] += rise[:, None]
    x, z = {"still": (0, 0), "forward": (0, 1), "back": (0, -1), "aside": (1, 0)}[text.split()[-1]]
    path = torch.linspace(0, 1, frames)[:, None] * torch.tensor([x, 0.0, z])
    noise = 0.001 * torch.randn(joints.shape, generator=generator)
    return moved(turned((joints + path[:, None] + noise)[None], seed / 3), x=seed / 5)[0]


@pytest.fixture(scope="module")
def evaluator() -> LocalEvaluator:
    dances = [dance(text, seed) for seed in range(4) for text in TEXTS]
    return train_evaluator(dances, lambda row, _: TEXTS[row % len(TEXTS)], SMALL)


def scores(evaluator: LocalEvaluator, texts: list[str], samples: int = 2, pool: int = 16):
    made = [[dance(text, 10 + i) for i in range(samples)] for text in TEXTS]
    references = [dance(text, 20) for text in TEXTS]
    return text_scores(texts, made, references, evaluator, pool=pool)


def test_it_finds_motions_it_never_saw_by_their_texts_and_not_by_others(evaluator):
    found, shuffled = scores(evaluator, TEXTS), scores(evaluator, TEXTS[7:] + TEXTS[:7])
    assert set(found) == set(TEXT_MEASURES)
    assert found["r_precision_1"].interval.low > 0.5 > shuffled["r_precision_3"].interval.high
    near, far = found["matching_distance"].interval, shuffled["matching_distance"].interval
    assert near.high < far.low
    assert abs(found["fid"].interval.mean) < shuffled["matching_distance"].interval.mean
    assert found["multimodality"].interval.mean < found["diversity"].interval.mean


def test_what_means_nothing_has_a_reason_and_no_number(evaluator):
    found = scores(evaluator, TEXTS, samples=1, pool=32)
    assert found["r_precision_1"].interval is None
    assert "24 different texts do not fill a pool of 32" in found["r_precision_1"].reason
    assert found["multimodality"].interval is None and found["multimodality"].reason
    alone = text_scores(TEXTS, [[dance(text)] for text in TEXTS], [], evaluator, pool=16)
    assert alone["fid"].interval is None and "no true motions" in alone["fid"].reason
    few = text_scores(TEXTS[:2], [[dance(t)] for t in TEXTS[:2]], [dance(TEXTS[0])], evaluator)
    assert few["fid"].interval is None and few["matching_distance"].interval is not None


def test_intervals_resample_takes_and_not_texts(evaluator):
    made = [[dance(text, 10)] for text in TEXTS]
    references = [dance(text, 20) for text in TEXTS]
    apart = text_scores(TEXTS, made, references, evaluator, pool=16)
    one_take = ["a"] * 12 + ["b"] * 12
    together = text_scores(TEXTS, made, references, evaluator, one_take, pool=16)
    assert "24 takes" in apart["matching_distance"].samples
    assert "2 takes" in together["matching_distance"].samples


def test_neither_the_place_nor_the_facing_in_the_room_matters(evaluator):
    here = dance(TEXTS[5])
    there = moved(turned(here[None], 2.0), x=4.0, z=-3.0)[0]
    torch.testing.assert_close(motion_features(there), motion_features(here), atol=2e-3, rtol=0)
    embedded = evaluator.embed_motions([here, there])
    torch.testing.assert_close(embedded[0], embedded[1], atol=1e-2, rtol=0)


def test_motions_of_other_lengths_in_the_batch_change_nothing(evaluator):
    long, short = dance(TEXTS[0]), dance(TEXTS[1], frames=16)
    alone = evaluator.embed_motions([short])[0]
    torch.testing.assert_close(evaluator.embed_motions([long, short])[1], alone, atol=1e-5, rtol=0)


def test_it_is_the_same_after_it_was_saved_and_after_it_was_trained_again(evaluator, tmp_path):
    loaded = LocalEvaluator.load(evaluator.save(tmp_path / "evaluator"))
    assert torch.equal(loaded.embed_texts(TEXTS), evaluator.embed_texts(TEXTS))
    brief = SMALL.model_copy(update={"steps": 2})
    dances = [dance(text) for text in TEXTS]
    pair = [train_evaluator(dances, lambda row, _: TEXTS[row], brief) for _ in range(2)]
    assert torch.equal(*(one.embed_motions(dances) for one in pair))


def test_motions_that_cannot_be_used_are_refused(evaluator):
    with pytest.raises(InputError, match="7 frames"):
        evaluator.embed_motions([dance(TEXTS[0], frames=7)])
    with pytest.raises(InputError, match="NaN"):
        evaluator.embed_motions([dance(TEXTS[0]) * math.nan])
    with pytest.raises(InputError, match="1 motions"):
        train_evaluator([dance(TEXTS[0])], lambda row, _: TEXTS[row], SMALL)
    with pytest.raises(InputError, match="as many motions for each"):
        text_scores(TEXTS[:2], [[dance(TEXTS[0])]], [], evaluator)
