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


def test_choreographies_for_rl_come_out_of_training_alone() -> None:
    before = split_choreographies(STYLES, SplitConfig())
    after = split_choreographies(STYLES, SplitConfig(rl=0.2))
    moved = {name for name in STYLES if after[name] != before[name]}
    assert len(moved) == 4
    assert {before[name] for name in moved} == {"train"} and {after[n] for n in moved} == {"rl"}


def test_without_a_share_nothing_is_kept_for_rl() -> None:
    assert "rl" not in split_choreographies(STYLES, SplitConfig()).values()


def test_rl_never_refines_on_dd100s_test_split() -> None:
    styles = {f"Waltz_{number:03d}": "Waltz" for number in range(1, 41)}
    plain = split_choreographies(styles, SplitConfig(rule="dd100", val=0.2))
    splits = split_choreographies(styles, SplitConfig(rule="dd100", val=0.2, rl=0.2))
    assert sum(split == "rl" for split in splits.values()) == 8
    assert all(splits[name] == plain[name] for name in splits if plain[name] != "train")


def test_shares_that_leave_nothing_beside_rl_are_refused() -> None:
    with pytest.raises(InputError, match=r"split\.rl 0\.7 leave nothing"):
        split_choreographies(STYLES, SplitConfig(rl=0.7))


def test_what_rl_got_stays_with_it_as_the_store_grows() -> None:
    config = SplitConfig(rl=0.2)
    known = split_choreographies(STYLES, config)
    more = {**STYLES, **{f"new{i}": "waltz" for i in range(20)}}
    grown = split_choreographies(more, config, known)
    assert all(grown[name] == split for name, split in known.items())
    assert sum(split == "rl" for split in grown.values()) == 8
