"""Choreographies are shared out by name and seed, never divided."""

import pytest

from duet_rl.datasets.split import SplitConfig, split_choreographies
from duet_rl.errors import InputError

STYLES = {f"dance{i}": ("waltz", "tango", "salsa")[i % 3] for i in range(20)}


def test_the_same_names_and_seed_give_the_same_split() -> None:
    backwards = dict(reversed(STYLES.items()))
    assert split_choreographies(STYLES, SplitConfig()) == split_choreographies(
        backwards, SplitConfig()
    )
    assert split_choreographies(STYLES, SplitConfig(seed=1)) != split_choreographies(
        STYLES, SplitConfig()
    )


def test_the_shares_are_those_asked_for() -> None:
    splits = list(split_choreographies(STYLES, SplitConfig(val=0.1, test=0.2)).values())
    assert (splits.count("val"), splits.count("test"), splits.count("train")) == (2, 4, 14)


def test_a_small_test_split_holds_several_styles() -> None:
    splits = split_choreographies(STYLES, SplitConfig(test=0.15))
    assert {STYLES[name] for name, split in splits.items() if split == "test"} == {
        "waltz",
        "tango",
        "salsa",
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_training_keeps_a_choreography_however_few_there_are(count: int) -> None:
    few = {f"dance{i}": "waltz" for i in range(count)}
    splits = list(split_choreographies(few, SplitConfig()).values())
    assert splits.count("train") >= 1
    assert count < 3 or {"train", "val", "test"} == set(splits)


def test_a_choreography_goes_where_it_was_given() -> None:
    splits = split_choreographies(STYLES, SplitConfig(given={"dance7": "val", "dance8": "test"}))
    assert (splits["dance7"], splits["dance8"]) == ("val", "test")


def test_an_unknown_given_choreography_is_refused() -> None:
    with pytest.raises(InputError, match="polka"):
        split_choreographies(STYLES, SplitConfig(given={"polka": "val"}))


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(InputError, match="leave nothing"):
        split_choreographies(STYLES, SplitConfig(val=0.5, test=0.5))


@pytest.mark.parametrize(
    ("choreography", "is_test"),
    [
        ("Waltz_005", True),
        ("Waltz_10", True),
        ("Waltz_009", False),
        ("Waltz_001", False),
        ("BalletFolk_005", False),
        ("BalletFolk_009", True),
        ("BalletFolk_010", True),
        ("UrbanBallet_10", True),
        ("BalletFolk_015", False),
    ],
)
def test_dd100s_test_split_goes_by_genre_and_number(choreography: str, is_test: bool) -> None:
    splits = split_choreographies({choreography: "any"}, SplitConfig(rule="dd100", val=0.0))
    assert splits == {choreography: "test" if is_test else "train"}


def test_dd100s_validation_never_comes_out_of_its_test_split() -> None:
    styles = {f"Waltz_{number:03d}": "Waltz" for number in range(1, 41)}
    splits = split_choreographies(styles, SplitConfig(rule="dd100", val=0.2))
    assert sorted(name for name in splits if splits[name] == "test") == [
        f"Waltz_{number:03d}" for number in range(5, 41, 5)
    ]
    assert list(splits.values()).count("val") == 8


def test_names_that_dd100s_rule_cannot_read_are_refused() -> None:
    with pytest.raises(InputError, match="'salsa' is no choreography of DD100"):
        split_choreographies({"salsa": "salsa"}, SplitConfig(rule="dd100"))
