"""The single and the vector environment are one dance, and gymnasium's own."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv

import envs
from duet_rl.errors import InputError
from envs.duet import PICTURE, DuetDanceEnv
from envs.vector import DuetDanceVectorEnv

ID = f"envs:{envs.DUET_DANCE}"
SEED = 7


def make_vec(count: int, settings: dict[str, Any], **more: Any) -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec(
        ID, num_envs=count, vectorization_mode="vector_entry_point", **settings, **more
    )


def test_gymnasium_finds_both_faces_by_name(settings) -> None:
    assert isinstance(gymnasium.make(ID, **settings).unwrapped, DuetDanceEnv)
    assert isinstance(make_vec(2, settings).unwrapped, DuetDanceVectorEnv)


def test_the_environment_checker_of_gymnasium_is_content(settings) -> None:
    env = gymnasium.make(ID, render_mode="rgb_array", **settings)
    check_env(env.unwrapped)


def test_the_vector_face_is_so_many_single_faces(settings) -> None:
    """Two episodes long: the step after the last begins the next dances in both."""
    ours = make_vec(2, settings)
    theirs = SyncVectorEnv([lambda: gymnasium.make(ID, **settings)] * 2)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    left, right = ours.reset(seed=SEED), theirs.reset(seed=SEED)
    assert_same(left, right)
    theirs.action_space.seed(SEED)
    for _ in range(30):
        actions = theirs.action_space.sample()
        assert_same(ours.step(actions), theirs.step(actions))


def test_the_same_seed_gives_the_same_dance_and_another_seed_another(settings) -> None:
    env = gymnasium.make(ID, **settings)
    picks = [env.reset(seed=seed)[1] for seed in (3, 3, *range(20))]
    assert picks[0] == picks[1]
    assert len({tuple(pick.values()) for pick in picks}) > 5


def test_a_window_can_be_asked_for(settings) -> None:
    env = gymnasium.make(ID, **settings)
    assert env.reset(options={"pick": (2, 1)})[1] == {"clip": 2, "frame": 1}
    infos = make_vec(2, settings).reset(options={"picks": [(0, 4), (2, 1)]})[1]
    assert infos["clip"].tolist() == [0, 2] and infos["frame"].tolist() == [4, 1]


def test_the_reward_is_the_weighted_mean_of_the_terms_in_info(settings) -> None:
    weights = {"contact": 1.0, "foot": 3.0, "beat": 0, "consistency": 0, "tracking": 0}
    env = gymnasium.make(ID, rewards={"weights": weights}, **settings)
    env.reset(seed=SEED)
    _, reward, terminated, truncated, info = env.step(np.array([1, 0]))
    terms = info["reward_terms"]
    assert set(terms) == {"contact", "foot"}
    assert reward == pytest.approx((terms["contact"] + 3 * terms["foot"]) / 4, abs=1e-6)
    assert 0 <= reward <= 1 and not terminated and not truncated


def test_the_picture_shows_the_couple_move(settings) -> None:
    env = gymnasium.make(ID, render_mode="rgb_array", **settings)
    env.reset(seed=SEED)
    before = env.render()
    env.step(np.array([4, 2]))
    after = env.render()
    assert before.shape == (PICTURE[1], PICTURE[0], 3) and before.dtype == np.uint8
    assert (before != after).any()
    assert gymnasium.make(ID, **settings).unwrapped.render() is None


def test_an_unknown_render_mode_is_refused(settings) -> None:
    with pytest.raises(InputError, match="rgb_array"):
        DuetDanceEnv(render_mode="human", **settings)


def test_stable_baselines_trains_on_it_unmodified(settings) -> None:
    from stable_baselines3 import PPO

    env = gymnasium.make(ID, **settings)
    trainer = PPO("MultiInputPolicy", env, n_steps=48, batch_size=24, n_epochs=2, seed=0)
    trainer.learn(96)
    observation, _ = env.reset(seed=SEED)
    action, _ = trainer.predict(observation)
    assert env.action_space.contains(action)
    assert trainer.num_timesteps == 96


def assert_same(left: Any, right: Any) -> None:
    """Compare what two environments returned, however deep; rounding of floats is let pass."""
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, tuple):
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left.dtype == right.dtype
        np.testing.assert_allclose(left, right, atol=1e-5)
