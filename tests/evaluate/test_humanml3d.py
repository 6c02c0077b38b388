"""The published protocol on a small tree: truth scores as truth, and wrong motions as wrong."""

import math
from pathlib import Path

import pytest
import torch

from duet_rl.datasets.humanml3d import TextMotions, open_text_motions
from duet_rl.datasets.humanml3d_words import KINDS, WordVectors
from duet_rl.errors import InputError
from duet_rl.evaluate.humanml3d import PublishedTextConfig, published_text_protocol
from duet_rl.models.text_motion import TextMotionConfig, TextMotionEvaluator
from tests.datasets.humanml3d_tree import WORD_CHANNELS, write_tree, write_words

CONFIG = PublishedTextConfig(
    batch=8, repeats=3, diversity_pairs=10, multimodal_texts=2, multimodal_samples=6
)
SIZES = TextMotionConfig(movement_hidden=8, movement=8, motion_hidden=8, text_hidden=8, width=6)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[TextMotions, WordVectors, TextMotionEvaluator]:
    root: Path = tmp_path_factory.mktemp("humanml3d")
    data = open_text_motions(write_tree(root / "data", [40 + 7 * (i % 20) for i in range(19)]))
    torch.manual_seed(0)
    evaluator = TextMotionEvaluator(259, WORD_CHANNELS, len(KINDS), SIZES)
    return data, WordVectors.open(write_words(root / "words")), evaluator


def true_motions(data: TextMotions):
    """Return a maker that knows a true motion of each text."""

    def make(texts, generator):
        rows = torch.randperm(len(data.motions), generator=generator).tolist()
        by_text = {data.motions[row].lines[0].text: data.motions[row] for row in rows}
        return [data.features(by_text[text]) for text in texts]

    return make


def test_true_motions_are_near_the_truth_and_noise_is_not(world):
    data, words, evaluator = world

    def noise(texts, generator):
        return [torch.randn(60, 263, generator=generator) * 3 for _ in texts]

    near = published_text_protocol(data, words, evaluator, true_motions(data), CONFIG)
    far = published_text_protocol(data, words, evaluator, noise, CONFIG)
    assert (near.texts, near.tail) == (16, 3) and not near.reasons
    truth, ours, theirs = near.rows["truth"], near.rows["generated"], far.rows["generated"]
    assert truth["fid"].mean == pytest.approx(0, abs=1e-9)
    assert ours["fid"].mean < theirs["fid"].mean / 3
    assert far.rows["truth"].keys() == truth.keys() and "multimodality" not in truth
    assert ours["multimodality"].mean < ours["diversity"].mean
    for scores in (truth, ours, theirs):
        ranks = [scores[f"r_precision_{top}"].mean for top in (1, 2, 3)]
        assert ranks == sorted(ranks) and 0 <= ranks[0] and ranks[-1] <= 1
    assert ours["diversity"].half > 0


def test_the_same_seed_gives_the_same_numbers(world):
    data, words, evaluator = world
    pair = [
        published_text_protocol(data, words, evaluator, true_motions(data), CONFIG).rows
        for _ in range(2)
    ]
    assert pair[0] == pair[1]


def test_scores_of_too_few_are_no_numbers_and_say_why(world):
    data, words, _ = world
    few = CONFIG.model_copy(update={"diversity_pairs": 300, "multimodal_texts": 0})
    wide = TextMotionEvaluator(
        259, WORD_CHANNELS, len(KINDS), SIZES.model_copy(update={"width": 32})
    )
    found = published_text_protocol(data, words, wide, true_motions(data), few)
    assert set(found.reasons) == {"fid", "diversity"} and "singular" in found.reasons["fid"]
    assert math.isnan(found.rows["generated"]["fid"].mean)
    assert math.isnan(found.rows["generated"]["diversity"].mean)
    assert "multimodality" not in found.rows["generated"]


def test_evaluators_and_motions_of_another_kind_are_refused(world):
    data, words, evaluator = world
    make = true_motions(data)
    kit = TextMotionEvaluator(247, WORD_CHANNELS, len(KINDS), SIZES)
    with pytest.raises(InputError, match="reads 247 features"):
        published_text_protocol(data, words, kit, make, CONFIG)
    glove = TextMotionEvaluator(259, 300, len(KINDS), SIZES)
    with pytest.raises(InputError, match="reads 300"):
        published_text_protocol(data, words, glove, make, CONFIG)
    large = CONFIG.model_copy(update={"batch": 32})
    with pytest.raises(InputError, match="19 motions fill no batch of 32"):
        published_text_protocol(data, words, evaluator, make, large)
    for made in (torch.zeros(2, 263), torch.zeros(9, 251), torch.full((9, 263), torch.nan)):
        with pytest.raises(InputError, match="made"):
            published_text_protocol(
                data, words, evaluator, lambda texts, _, made=made: [made for _ in texts], CONFIG
            )
