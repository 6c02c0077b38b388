"""Reward terms of one's own: named by settings, weighed and credited like the others."""

from typing import Any

import pytest
import torch
from torch import Tensor

from duet_rl.config import resolve, to_yaml
from duet_rl.errors import InputError
from duet_rl.rewards.base import RewardInput, RewardMix, RewardMixConfig
from tests.couple import beats, joints_of, stepping_couple

HERE = "tests.rewards.test_own"


def height(data: RewardInput, metres: float = 2.0) -> Tensor:
    return data.follower[..., 1].amax(-1) / metres


def to_couples(data: RewardInput) -> Tensor | None:
    return None if data.leader is None else torch.ones(data.follower.shape[:2])


def one_number(data: RewardInput) -> Tensor:
    return data.follower.mean()


def no_number(data: RewardInput) -> Tensor:
    return height(data) / 0


def given(alone: bool = False) -> RewardInput:
    follower, leader = joints_of(stepping_couple(2.0))
    return RewardInput(follower, None if alone else leader, beats(2.0))


def mix(**terms: Any) -> RewardMix:
    return RewardMix(RewardMixConfig.model_validate({"own": terms}))


def test_it_counts_by_its_weight_and_is_credited_to_its_parts() -> None:
    term = {"function": f"{HERE}:height", "weight": 3.0, "parts": ("upper",)}
    plain, terms = RewardMix()(given()), mix(tall={**term, "settings": {"metres": 4.0}})(given())
    tall = height(given(), 4.0).unflatten(1, (-1, 4)).mean(-1)
    torch.testing.assert_close(terms.tokens(4)["tall"], tall)
    shares = sum(plain.weights.values())
    torch.testing.assert_close(
        terms.total(4), (plain.total(4) * shares + 3 * tall) / (shares + 3), atol=1e-6, rtol=0
    )
    with_it, without = terms.per_stream(["upper", "lower"], 4).unbind(-1)
    old = plain.per_stream(["upper", "lower"], 4)
    assert not torch.allclose(with_it, old[..., 0])
    torch.testing.assert_close(without, old[..., 1])


def test_it_may_be_the_only_term_and_may_have_nothing_to_say() -> None:
    none = dict.fromkeys(("contact", "foot", "beat", "consistency", "tracking"), 0.0)
    own = {"couples": {"function": f"{HERE}:to_couples"}}
    config = RewardMixConfig.model_validate({"weights": none, "own": own})
    assert set(RewardMix(config)(given()).per_frame) == {"couples"}
    with pytest.raises(InputError, match="no reward is left"):
        RewardMix(config)(given(alone=True))
    assert config.without_tokens() == config


def test_words_of_the_command_line_name_it_and_it_goes_through_yaml() -> None:
    words = [f"own.tall.function={HERE}:height", "own.tall.settings.metres=3", "own.tall.weight=2"]
    config = resolve(RewardMixConfig, None, words)
    assert config.own["tall"].weight == 2 and "metres: 3" in to_yaml(config)
    assert "tall" in RewardMix(config)(given()).per_frame


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"function": "nowhere.at_all:f"}, r"no module 'nowhere'.*PYTHONPATH"),
        ({"function": f"{HERE}:hight"}, r"has no 'hight'"),
        ({"function": f"{HERE}.height"}, r"write package\.module:name"),
        ({"function": f"{HERE}:HERE"}, r"is no function"),
        ({"function": f"{HERE}:height", "parts": ["arm"]}, r"has 'arm'; take some of upper"),
    ],
)
def test_what_cannot_be_called_is_refused_before_the_run(term: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mix(tall=term)


@pytest.mark.parametrize(
    ("name", "message"), [("one_number", r"\(\).*\(1, 60\)"), ("no_number", "not finite")]
)
def test_scores_that_mean_nothing_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mix(mine={"function": f"{HERE}:{name}"})(given())


@pytest.mark.parametrize("name", ["foot", "total", "my term"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a term"):
        resolve(RewardMixConfig, None, [f"own.{name}.function={HERE}:height"])
