"""Free text in the words of the captions: any order, any inflection, and no guesses."""

import pytest

from duet_rl.captions.facts import Fact
from duet_rl.captions.parse import parse, read
from duet_rl.errors import InputError

RAISES_LEFT = "transition/left arm/raises"
LEFT_UP = "state/left hand/above head"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (
            "steps back and raises both hands",
            ["travel/dancer/steps back", "symmetric/both arms/raises"],
        ),
        ("Lifting her left arm", [RAISES_LEFT]),
        ("the left arm is lifting", [RAISES_LEFT]),
        ("Over the head is his left hand.", [LEFT_UP]),
        ("left hand overhead", [LEFT_UP]),
        ("the left and the right hand are above the head", ["symmetric/both hands/above head"]),
        ("raises and lowers the left arm", [RAISES_LEFT, "transition/left arm/lowers"]),
        ("raises the left arm and the right arm", [RAISES_LEFT, "transition/right arm/raises"]),
        ("raises the left hand and bends it", [RAISES_LEFT, "transition/left arm/bends"]),
        (
            "Arms crossed, she leans to the left",
            ["state/both arms/crossed", "state/trunk/leaning left"],
        ),
        ("his right hand lies on his left shoulder", ["state/right hand/on left shoulder"]),
        ("the left hand is higher than the right hand", ["state/left hand/above right hand"]),
        ("the right hand is higher than the left hand", ["state/right hand/above left hand"]),
        ("walking forwards slowly", ["travel/dancer/steps forward", "pace/dancer/slow"]),
        ("makes half a turn to the right", ["turn/dancer/right half"]),
        ("turns left", ["turn/dancer/left"]),
        ("holds the partner's right hand", ["couple/dancer/holds partner's right hand"]),
        (
            "his left hand is in his partner's right hand",
            ["couple/left hand/holds partner's right hand"],
        ),
        ("doesn't move", ["pace/dancer/still"]),
    ],
)
def test_free_text_is_understood(text: str, keys: list[str]) -> None:
    assert [fact.key for fact in parse(text)] == keys


def test_order_is_read() -> None:
    raises, turns = parse("raises the left arm, then turns left half a turn")
    assert (turns.when, turns.other) == ("then", raises)
    first, last = parse("At first she crouches. At the end she leans back.")
    assert (first.when, last.when) == ("first", "last")
    _, beside = parse("steps back while she keeps both knees bent")
    assert beside.when == "while" and beside.other == Fact("travel", "dancer", "steps back")


def test_words_that_say_nothing_are_reported_and_not_guessed() -> None:
    reading = read("she gracefully raises the left arm and waves goodbye")
    assert [fact.key for fact in reading.facts] == [RAISES_LEFT]
    assert set(reading.left) == {"gracefully", "waves", "goodbye"}


@pytest.mark.parametrize(
    "text", ["waves goodbye", "raises an arm", "does not raise the left arm", "", "left arm"]
)
def test_what_says_nothing_is_refused(text: str) -> None:
    assert read(text).facts == ()
    with pytest.raises(InputError, match="can be checked"):
        parse(text)


def test_slips_are_refused_with_near_words() -> None:
    with pytest.raises(InputError, match=r"'rasies'.*'raises'"):
        parse("rasies the left arm and steps back")
    with pytest.raises(InputError, match="shoulder"):
        parse("has the left hand on the right shuolder")
