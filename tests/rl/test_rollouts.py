"""Runner and learner: what is sampled, how it travels, and that both speak of one policy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.rl.dances import make_dances
from duet_rl.rl.env_runner import RunnerFailure
from duet_rl.rl.learner import RolloutsToBatch
from duet_rl.rl.replay import RolloutGroup
from tests.rl.world import GPT, SETTINGS, Pair, make_pair

STEPS = 12


def verdict_on(pair: Pair, groups: list[RolloutGroup]):
    """Return what the learner's policy says of the tokens in `groups`, as it trains on them."""
    lookup = RolloutsToBatch(pair.runner.dances)
    batch = lookup(rl_module=None, batch={}, episodes=groups)[DEFAULT_MODULE_ID]
    module = pair.learner.follower
    module.train()  # as RLlib does before every update
    return module.verdict(batch[Columns.ACTIONS], batch[Columns.OBS]), batch


def test_rollouts_travel_in_groups_of_one_leader_and_small(runner) -> None:
    groups = runner.sample()
    assert len(groups) == SETTINGS.leaders
    for group in groups:
        assert group.tokens.shape == (SETTINGS.rollouts, STEPS, len(GPT.classes))
        assert group.tokens.dtype == np.int16
        assert ((group.rewards >= 0) & (group.rewards <= 1)).all()
        assert (group.log_probs <= 0).all()
        assert 0 <= group.means["total"] <= 1
    assert len({(group.clip, group.frame) for group in groups}) == SETTINGS.leaders


def test_rollouts_are_sampled_and_not_all_alike(runner) -> None:
    tokens = runner.sample()[0].tokens
    assert len(np.unique(tokens.reshape(len(tokens), -1), axis=0)) == len(tokens)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_learner_judges_tokens_by_the_policy_that_sampled_them(
    follower: Path, temperature: float
) -> None:
    """Otherwise fresh rollouts would have importance ratios, and a wrong gradient."""
    settings = SETTINGS.model_copy(update={"temperature": temperature})
    pair = make_pair(follower, settings)
    groups = pair.runner.sample()
    verdict, batch = verdict_on(pair, groups)
    torch.testing.assert_close(verdict.log_probs, batch[Columns.ACTION_LOGP], atol=1e-4, rtol=1e-4)


def test_nothing_is_learned_yet_so_nothing_has_drifted(pair: Pair) -> None:
    verdict, _ = verdict_on(pair, pair.runner.sample())
    assert verdict.kl.abs().max() < 1e-5
    assert (verdict.values == 0).all()
    ceiling = torch.tensor(GPT.classes).float().log()
    assert ((verdict.entropy > 0) & (verdict.entropy <= ceiling + 1e-5)).all()


def test_a_gradient_step_moves_the_policy_and_not_its_start(pair: Pair) -> None:
    groups = pair.runner.sample()
    before = {k: v.clone() for k, v in pair.learner.follower.reference.state_dict().items()}
    pair.learner.update(episodes=groups)
    verdict, batch = verdict_on(pair, groups)
    assert verdict.kl.mean() > 0
    assert not torch.allclose(verdict.log_probs, batch[Columns.ACTION_LOGP])
    after = pair.learner.follower.reference.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_music_and_leader_are_looked_up_as_the_dancer_saw_them(pair: Pair) -> None:
    groups = pair.runner.sample()
    seen = pair.runner.dances.conditions()
    env = make_dances(pair.runner.config.env, SETTINGS.rollouts, pair.runner.config.env_config)
    lookup = RolloutsToBatch(env.unwrapped.dances)
    batch = lookup(rl_module=None, batch={}, episodes=groups)[DEFAULT_MODULE_ID]
    assert seen.keys() == batch[Columns.OBS].keys()
    for name, values in seen.items():
        assert torch.equal(batch[Columns.OBS][name], values)


def test_new_weights_reach_the_runner_with_their_version(pair: Pair) -> None:
    assert pair.runner.sample()[0].version == 0
    for _ in range(3):
        pair.learner.update(episodes=pair.runner.sample())
    pair.send_weights()
    groups = pair.runner.sample()
    assert {group.version for group in groups} == {3}
    verdict, batch = verdict_on(pair, groups)
    torch.testing.assert_close(verdict.log_probs, batch[Columns.ACTION_LOGP], atol=1e-4, rtol=1e-4)


def test_a_seed_gives_the_same_rollouts_and_every_draw_is_new(follower: Path) -> None:
    first, again = (make_pair(follower, SETTINGS, seed=5).runner for _ in range(2))
    other = make_pair(follower, SETTINGS, seed=6).runner
    tokens = [[group.tokens for group in runner.sample()] for runner in (first, again, other)]
    assert np.array_equal(tokens[0], tokens[1])
    assert not np.array_equal(tokens[0], tokens[2])
    assert not np.array_equal(tokens[0], [group.tokens for group in first.sample()])


def test_a_restored_learner_takes_the_same_next_step(follower: Path) -> None:
    one, other = (make_pair(follower, SETTINGS) for _ in range(2))
    groups = [one.runner.sample() for _ in range(3)]
    for batch in groups[:2]:
        one.learner.update(episodes=batch)
    other.learner.load_state_tensors(one.learner.state_tensors(), version=2)
    for pair in (one, other):
        pair.learner.update(episodes=groups[2])
    left, right = (pair.learner.state_tensors() for pair in (one, other))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_follower_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    """RLlib's own loading would skip what does not match."""
    wider = GPT.model_copy(update={"width": 32})
    folder = checkpoint.save(
        tmp_path / "wider",
        kind="follower",
        tensors=MultiStreamGPT(wider).state_dict(),
        config=wider,
        meta={},
    )
    with pytest.raises(InputError, match="other shape"):
        make_pair(folder, SETTINGS)


def test_an_error_in_a_runner_comes_home_as_a_report(runner) -> None:
    runner.dances.rewards = None
    answer = runner.sample_get_state_and_metrics()
    assert isinstance(answer, RunnerFailure)
    assert "TypeError" in answer.report


@pytest.mark.parametrize(
    ("env", "settings", "message"),
    [
        ("envs:DuetDanse-v0", {}, "DuetDanse"),
        ("envs:DuetDance-v0", {"data": "x", "codec": "y", "date": 1}, "date"),
        ("no_such_room:Dance-v0", {}, "no_such_room"),
    ],
)
def test_an_environment_that_cannot_be_made_is_named(env, settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_dances(env, 1, settings)
