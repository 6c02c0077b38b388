"""Dances to words: how long they are, what they need, and which of several is taken."""

from pathlib import Path

import pytest
import torch

from duet_rl.captions.detect import holds
from duet_rl.captions.parse import parse
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.generate.prompts import spelled_out
from duet_rl.generate.words import LONGEST_SECONDS, Beside, dance_texts, dance_words, shown_of
from duet_rl.models.policy import SamplingConfig
from tests.generate.test_follower import gpt_config, save_follower
from tests.generate.text_dancer import small_readable_codec, write_text_dancer

TEXT = "raises the left arm and steps back"
PLAIN = SamplingConfig(temperature=1.0)


@pytest.fixture(scope="module")
def dancer(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    return load_follower(write_text_dancer(tmp_path_factory.mktemp("words") / "follower"))


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Follower:
    """One who is told of music and leader, and does without."""
    folder = tmp_path_factory.mktemp("words") / "partner"
    return load_follower(write_text_dancer(folder, stop=False, told=0.5))


def test_a_dance_lasts_as_long_as_it_is_asked_to(dancer: Follower) -> None:
    for seconds in (0.1, 1.0, 2.05):
        (dance,) = dance_words(dancer, TEXT, Beside(seconds=seconds))
        assert dance.motion.seconds == pytest.approx(seconds, abs=0.5 / 30)
        assert dance.motion.fps == 30


def test_else_it_ends_where_the_dancer_ends_it(dancer: Follower) -> None:
    dances = dance_words(dancer, TEXT, sampling=PLAIN, samples=12)
    lengths = {dance.motion.frames for dance in dances}
    assert len(lengths) > 3 and all(frames % 4 == 0 for frames in lengths)
    assert max(lengths) < LONGEST_SECONDS * 30


def test_what_a_dance_is_does_not_depend_on_what_follows_its_stop(dancer: Follower) -> None:
    free = dance_texts(dancer, [TEXT] * 6, 240, Beside(), 3, PLAIN)
    alone = dance_texts(dancer, [TEXT] * 6, 240, Beside(), 3, PLAIN)
    assert all(torch.equal(a.joints, b.joints) for a, b in zip(free, alone, strict=True))
    again = Follower(dancer.codec, dancer.model, {})
    longer = dance_texts(again, [TEXT] * 6, 600, Beside(), 3, PLAIN)
    for short, long in zip(free, longer, strict=True):
        if short.frames < 240:
            assert torch.equal(short.joints, long.joints)


def test_one_seed_is_one_dance_and_words_matter(dancer: Follower) -> None:
    def joints(text: str, seed: int, guidance: float = 1.0) -> torch.Tensor:
        sampling = SamplingConfig(guidance=guidance)
        return dance_words(dancer, text, Beside(seconds=2.0), seed, sampling)[0].motion.joints

    assert torch.equal(joints(TEXT, 3), joints(TEXT, 3))
    assert not torch.equal(joints(TEXT, 3), joints(TEXT, 4))
    assert not torch.equal(joints(TEXT, 3, 8.0), joints("turns right", 3, 8.0))
    assert torch.equal(joints(TEXT, 3, 0.0), joints("turns right", 3, 0.0))


def test_what_is_shown_is_what_can_be_checked(dancer: Follower) -> None:
    (dance,) = dance_words(dancer, "the left arm is bent; the trunk is upright")
    assert list(dance.shown) == list(parse("the left arm is bent; the trunk is upright"))
    for fact, shown in dance.shown.items():
        assert shown == holds(fact, dance.motion.joints)


def test_the_best_of_several_shows_most(dancer: Follower) -> None:
    text = "the left arm is raised and the right knee is bent and both hands are together"
    beside = Beside(seconds=1.0)
    each = dance_words(dancer, text, beside, 5, PLAIN, samples=8)
    best = dance_words(dancer, text, beside, 5, PLAIN, samples=2, best_of=4)
    assert len(best) == 2
    for index, one in enumerate(best):
        four = each[4 * index : 4 * index + 4]
        assert one.facts_shown == max(dance.facts_shown for dance in four)
        assert any(torch.equal(one.motion.joints, dance.motion.joints) for dance in four)


def test_words_go_with_a_leader_with_music_with_both_or_alone(partner: Follower, couple) -> None:
    leader, music = couple.leader, torch.randn(couple.leader.frames, 54)
    told = [
        dance_words(partner, TEXT, beside, 1)[0].motion
        for beside in (
            Beside(leader, music),
            Beside(leader),
            Beside(music=music, seconds=leader.seconds),
            Beside(seconds=leader.seconds),
        )
    ]
    assert all(motion.frames == leader.frames for motion in told)
    assert len({float(motion.joints.sum()) for motion in told}) == len(told)


def test_of_a_couple_facts_are_checked_on_both(partner: Follower, couple) -> None:
    text = "the dancer faces the partner"
    (dance,) = dance_words(partner, text, Beside(couple.leader, torch.zeros(37, 54)))
    facts = parse(text)
    assert dance.shown == shown_of(facts, dance.motion.joints, couple.leader.joints)


def test_a_dancer_who_lacks_something_says_so(dancer: Follower, tmp_path: Path, couple) -> None:
    needy = load_follower(write_text_dancer(tmp_path / "needy", stop=False, told=0.0))
    codec = small_readable_codec("leader")
    deaf = load_follower(save_follower(tmp_path / "deaf", gpt_config(codec), codec))
    music = torch.zeros(37, 54)
    refused = [
        (deaf, Beside(couple.leader, music), "hears no words"),
        (needy, Beside(), "--leader and --music"),
        (needy, Beside(couple.leader), "give --music"),
        (dancer, Beside(couple.leader), "leave out --leader"),
        (dancer, Beside(music=music), "leave out --music"),
    ]
    for follower, beside, told in refused:
        with pytest.raises(InputError, match=told):
            dance_words(follower, TEXT, beside)


def test_a_leader_says_how_long_it_is(partner: Follower, couple) -> None:
    with pytest.raises(InputError, match="leave out --seconds"):
        dance_words(partner, TEXT, Beside(couple.leader, seconds=1.0))
    with pytest.raises(InputError, match=r"music lasts 0\.1 s and the dance 2\.0 s"):
        dance_words(partner, TEXT, Beside(music=torch.zeros(3, 54), seconds=2.0))


def test_a_follower_may_be_told_words_in_a_batch(partner: Follower, couple) -> None:
    leader = couple.leader.slice(0, 36)
    music = torch.zeros(2, 36, 54)
    strong = SamplingConfig(guidance=8.0)
    told = partner.dance([leader] * 2, music, 1, strong, text=[TEXT, "turns right"])
    assert told.joints.shape == (2, 36, 55, 3)
    untold = partner.dance([leader] * 2, music, 1, strong)
    assert not torch.equal(told.joints, untold.joints)
    with pytest.raises(InputError, match="1 texts were given for 2 dances"):
        partner.dance([leader] * 2, music, text=[TEXT])


def test_what_is_said_in_other_words_is_told_in_one() -> None:
    """The word of a fact is the same however it is said; what is no fact is told as it is."""
    first, second = (spelled_out(text) for text in ("raises the left arm", "lifts her left arm"))
    assert first.split()[0] == second.split()[0] == "transition_left_arm_raises"
    assert first.endswith(" raises the left arm")
    placed = spelled_out("at the end he turns left by a quarter").split()
    assert placed[:2] == ["turn_dancer_left_quarter", "when_last"]
    assert spelled_out("sways like a willow") == "sways like a willow"
    assert spelled_out("") == ""
