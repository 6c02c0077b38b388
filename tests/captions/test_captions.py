"""Captions: what they say is true of their motion, and is read from them again, all of it."""

import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from duet_rl.captions.accuracy import ALL, fact_accuracy
from duet_rl.captions.captioner import MOST, WINDOW, Captioner, caption_of
from duet_rl.captions.detect import facts_of, true_among
from duet_rl.captions.facts import Fact, Stated
from duet_rl.captions.parse import parse, read
from duet_rl.captions.sayings import SAYINGS, sayable
from duet_rl.datasets.synthetic import SyntheticConfig, synthesize
from duet_rl.errors import InputError
from tests.captions.figures import HANGING, UP, carried, reaching, still, turning

FRAMES = 120
DRAWN = 3000  # captions of facts drawn at random
EVERY = sorted(sayable(), key=lambda fact: fact.key)


def drawn(generator: torch.Generator) -> list[Stated]:
    """Return facts of all kinds with stretches, as a motion might show them."""
    stated = []
    for _ in range(1 + _below(8, generator)):
        start = _below(FRAMES - 12, generator)
        stop = start + 12 + _below(FRAMES - 12 - start + 1, generator)
        stated.append(Stated(EVERY[_below(len(EVERY), generator)], start, min(stop, FRAMES)))
    return stated


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


@pytest.fixture(scope="module")
def dancers() -> list[tuple[Tensor, Tensor]]:
    """Windows of synthetic couples: a dancer and the partner, seen from both."""
    found = []
    for number in range(6):
        duet = synthesize(number, SyntheticConfig(seconds=8.0)).duet
        pair = duet.follower.joints, duet.leader.joints
        for one, other in (pair, pair[::-1]):
            found += [(one[i : i + FRAMES], other[i : i + FRAMES]) for i in (0, FRAMES)]
    return found


def captions(motions: list[tuple[Tensor, Tensor]], each: int = 1) -> Iterator[tuple[int, str]]:
    generator = torch.Generator().manual_seed(0)
    captioner = Captioner.fit([m for m, _ in motions], [p for _, p in motions])
    for index, (joints, partner) in enumerate(motions):
        stated = facts_of(joints, partner)
        for _ in range(each):
            yield index, caption_of(stated, len(joints), generator, captioner).text


def test_thousands_of_captions_come_back_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    said: set[Fact] = set()
    for _ in range(DRAWN):
        stated = drawn(generator)
        caption = caption_of(stated, FRAMES, generator)
        assert read(caption.text) == (caption.facts, ()), caption.text
        assert all(true_among(fact, stated, FRAMES) for fact in caption.facts), caption.text
        assert 1 <= len(caption.facts) <= MOST
        said |= set(caption.facts)
    assert {fact.when for fact in said} == {"", "first", "last", "then", "while"}
    assert {fact.bare for fact in said} == set(EVERY)


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.key)
def test_every_fact_is_said_in_several_ways_that_are_read_alone(fact: Fact) -> None:
    assert len(set(SAYINGS[fact])) >= 2
    for way in SAYINGS[fact]:
        for whose in ("the", "his", "their"):
            assert parse(f"The dancer {way.format(p=whose)}.") == (fact,)


def test_captions_are_true_of_their_own_motion_and_seldom_of_another(
    dancers: list[tuple[Tensor, Tensor]],
) -> None:
    motions, partners = [m for m, _ in dancers], [p for _, p in dancers]
    texts = [text for _, text in captions(dancers)]
    own = fact_accuracy(texts, motions, partners)
    half = len(texts) // 2
    other = fact_accuracy(texts[half:] + texts[:half], motions, partners)
    assert own[ALL].said == other[ALL].said >= len(texts)
    assert own[ALL].share == 1
    assert other[ALL].share < 0.6
    alone = fact_accuracy(texts, motions)
    assert alone["couple"].true == 0 and alone["couple"].said > 0


def test_captions_of_real_shapes_come_back_exactly(dancers: list[tuple[Tensor, Tensor]]) -> None:
    for _, text in captions(dancers, each=10):
        assert read(text).left == (), text
        assert 1 <= len(read(text).facts) <= MOST


def test_every_motion_of_two_seconds_has_a_caption_also_a_quiet_one() -> None:
    generator = torch.Generator().manual_seed(0)
    quiet = Captioner().caption(still(2.0), generator)
    assert quiet.text and quiet.facts
    texts = {Captioner().caption(still(2.0), generator).text for _ in range(40)}
    assert any("still" in text or "hardly" in text for text in texts)


def test_the_same_seed_gives_the_same_caption_and_another_one_other_words() -> None:
    stated = facts_of(turning(carried(reaching(left_arm=(HANGING, UP)), 1, 2, ahead=1), 2, 3, 90))
    texts = [
        caption_of(stated, FRAMES, torch.Generator().manual_seed(seed)).text
        for seed in (0, 0, *range(1, 20))
    ]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 10


def test_what_is_rare_is_said_first() -> None:
    common, rare = still(4.0), turning(still(4.0), 1.0, 2.5, 180)
    captioner = Captioner.fit([common] * 9 + [rare])
    ranked = captioner.ranked(facts_of(rare))
    assert ranked[0].fact == Fact("turn", "dancer", "left half")
    assert captioner.rarity(ranked[0].fact) > captioner.rarity(Fact("state", "trunk", "upright"))
    unseen = Fact("state", "trunk", "leaning back")
    assert captioner.rarity(unseen) > captioner.rarity(ranked[0].fact)


def test_what_was_counted_is_plain_numbers_that_can_be_kept() -> None:
    captioner = Captioner.fit([still(4.0), carried(still(8.0), 1, 2, ahead=1)])
    assert captioner.windows == 1 + 2 * WINDOW // WINDOW
    assert captioner.often["state/trunk/upright"] == 1.0
    kept = Captioner(json.loads(json.dumps(dict(captioner.often))), captioner.windows)
    assert kept == captioner


def test_texts_and_motions_are_as_many() -> None:
    with pytest.raises(InputError, match="one text a motion"):
        fact_accuracy(["stands still"], [])
