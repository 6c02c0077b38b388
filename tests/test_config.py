"""Configs: defaults, presets, overrides, and what they refuse."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Discriminator, Tag

from duet_rl.config import (
    Config,
    merge,
    parse_overrides,
    preset_names,
    resolve,
    to_yaml,
    validate,
)
from duet_rl.errors import InputError


class Optimiser(Config):
    lr: float = 1e-3
    steps: int = 10


class Jump(Config):
    height: float = 0.3


class Turn(Config):
    jump: bool = False  # called as the other kind's tag is
    angle: float = 1.0


def _step(given: Any) -> str:
    return "turn" if "angle" in given or "jump" in given else "jump"


Step = Annotated[Annotated[Jump, Tag("jump")] | Annotated[Turn, Tag("turn")], Discriminator(_step)]


class Steps(Config):
    one: Step = Jump()
    many: tuple[Step, ...] = ()


class Run(Config):
    optimiser: Optimiser = Optimiser()
    extra: Optimiser | None = None
    seed: int = 0


def test_scientific_notation_arrives_as_a_number() -> None:
    assert resolve(Run, None, ["optimiser.lr=1e-4"]).optimiser.lr == 1e-4


def test_the_word_none_is_refused_where_a_number_is_wanted() -> None:
    with pytest.raises(InputError, match=r"optimiser\.steps.*'None'"):
        resolve(Run, None, ["optimiser.steps=None"])


def test_an_unknown_key_is_named_with_the_nearest_and_the_allowed_ones() -> None:
    with pytest.raises(InputError, match=r"optimiser\.step.*did you mean 'steps'.*lr, steps"):
        resolve(Run, None, ["optimiser.step=3"])


def test_an_unknown_key_inside_an_optional_model_lists_that_models_keys() -> None:
    with pytest.raises(InputError, match=r"extra\.foo.*lr, steps"):
        resolve(Run, None, ["extra.foo=3"])


@pytest.mark.parametrize("where", ["one", "many.0"])
@pytest.mark.parametrize(
    "step, told",
    [
        ({"angle": 1, "hight": 2}, "{where}.hight'; allowed here: angle, jump$"),
        ({"hight": 2}, "{where}.hight'; did you mean 'height'. allowed here: height$"),
        ({"jump": "high"}, "{where}.jump: .*'high'"),
    ],
)
def test_an_unknown_key_of_one_of_several_kinds_lists_the_keys_of_that_kind(
    where: str, step: dict[str, Any], told: str
) -> None:
    values = {"one": step} if where == "one" else {"many": [step]}
    with pytest.raises(InputError, match=told.format(where=where)):
        validate(Steps, values)


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("optimiser: {lr: 0.5, steps: 7}\n")
    run = resolve(Run, file, ["optimiser.steps=9"])
    assert (run.optimiser.lr, run.optimiser.steps, run.seed) == (0.5, 9, 0)


@pytest.mark.parametrize("word", ["seed", "=3", "a..b=1", ".=1"])
def test_a_word_that_is_no_override_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="override"):
        parse_overrides([word])


def test_setting_a_part_of_a_value_is_refused() -> None:
    with pytest.raises(InputError, match="has a value already"):
        parse_overrides(["seed=1", "seed.deep=2"])


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        resolve(Run, file)


@pytest.mark.parametrize("text", ["lr: 1\nsteps: 2\nlr: 3", "lr: 1\nnext: {a: 1, a: 2}"])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "twice.yaml").write_text(text)
    with pytest.raises(InputError, match=r"twice\.yaml .* stands twice .*line \d"):
        resolve(Optimiser, tmp_path / "twice.yaml")


def test_a_merged_mapping_may_be_written_over(tmp_path: Path) -> None:
    (tmp_path / "merged.yaml").write_text("<<: {lr: 1, steps: 2}\nlr: 3")
    assert resolve(Optimiser, tmp_path / "merged.yaml") == Optimiser(lr=3, steps=2)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="tiny"):
        resolve(Run, "no_such_preset")
    assert {"tiny", "small", "duolando", "live"} <= set(preset_names())


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Run().seed = 1  # type: ignore[misc]


def test_yaml_round_trip_keeps_every_setting(tmp_path: Path) -> None:
    run = resolve(Run, None, ["optimiser.lr=3e-5", "seed=4"])
    file = tmp_path / "resolved.yaml"
    file.write_text(to_yaml(run))
    assert resolve(Run, file) == run


def test_merge_leaves_its_inputs_alone() -> None:
    base = {"a": {"b": 1}}
    assert merge(base, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
def test_numbers_without_end_are_no_settings(number: str):
    with pytest.raises(InputError, match=r"optimiser\.lr.*finite number"):
        validate(Run, parse_overrides([f"optimiser.lr={number}"]))
