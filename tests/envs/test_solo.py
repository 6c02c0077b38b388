"""SoloDance-v0: the same dance without a leader."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from duet_rl.datasets.solo import as_soloist
from duet_rl.errors import InputError
from envs.dance import open_dances
from envs.solo import solo_settings
from tests.envs.conftest import SECONDS
from tests.envs.dancers import SidestepCodec

SOLO = "envs:SoloDance-v0"
TERMS = {"beat", "consistency", "foot"}


@pytest.fixture(scope="module")
def alone(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "data": [as_soloist(clip) for clip in settings["data"]]}


def test_it_is_a_gymnasium_environment(alone: dict[str, Any]) -> None:
    env = gymnasium.make(SOLO, **alone)
    check_env(env.unwrapped, skip_render_check=True)


def test_a_soloist_hears_music_and_sees_nobody(alone: dict[str, Any]) -> None:
    env = gymnasium.make(SOLO, **alone)
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"music", "tokens"}


def test_it_rewards_beat_feet_and_body(alone: dict[str, Any]) -> None:
    env = gymnasium.make(SOLO, **alone)
    env.reset(seed=0)
    _, reward, *_, info = env.step(env.action_space.sample())
    assert set(info["reward_terms"]) == TERMS
    assert float(reward) == pytest.approx(np.mean([*info["reward_terms"].values()]), abs=1e-6)


def test_followers_of_couples_can_dance_alone(
    settings: dict[str, Any], alone: dict[str, Any]
) -> None:
    rewards = []
    for data in (settings, alone):
        env = gymnasium.make(SOLO, **data)
        env.reset(seed=1)
        rewards.append([env.step(env.action_space.sample() * 0)[1] for _ in range(3)])
    assert rewards[0] == rewards[1]


def test_the_vector_face_is_so_many_soloists(alone: dict[str, Any]) -> None:
    many = gymnasium.make_vec(SOLO, 2, vectorization_mode="vector_entry_point", **alone)
    observations, _ = many.reset(seed=4)
    for index in range(2):
        one, _ = gymnasium.make(SOLO, **alone).reset(seed=4 + index)
        np.testing.assert_array_equal(observations["music"][index], one["music"])


def test_a_picture_of_a_soloist_shows_one_body(settings: dict[str, Any]) -> None:
    blue, coral = 2, 0

    def tint(solo: bool) -> int:
        """Return how much bluer than red the bluest body pixel is."""
        data = [as_soloist(clip) if solo else clip for clip in settings["data"]]
        more = solo_settings(None, {"seconds": SECONDS}) if solo else (None, {"seconds": SECONDS})
        dances = open_dances(data, SidestepCodec(), rewards=more[0], dance=more[1])
        dances.restart([np.random.default_rng(0)])
        picture = dances.draw(0, 160, 90).astype(int)
        return int((picture[..., blue] - picture[..., coral]).max())

    assert tint(solo=False) > 60, "a leader is blue"
    assert tint(solo=True) < 30, "and a soloist has none"


def test_a_split_without_clips_is_told_as_such(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no clips to dance to; choose another split"):
        gymnasium.make(SOLO, **{**settings, "data": []})
