"""RL of a Duolando follower: it learns in windows, from beginnings that are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.models.duolando import DuolandoGPT, DuolandoGPTConfig
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.rewards.base import RewardMixConfig, RewardWeights
from duet_rl.rl.algorithm import DuetRLConfig
from duet_rl.rl.checks import check_settings
from duet_rl.rl.losses import DuolandoLossConfig
from duet_rl.rl.replay import RolloutGroup
from duet_rl.rl.settings import RLConfig
from tests.envs.dancers import FiveStreamCodec, walking_couple
from tests.rl.world import SETTINGS, Pair, pair_of

GPT = DuolandoGPTConfig(
    classes=FiveStreamCodec.spec.classes,
    width=16,
    heads=2,
    base_layers=1,
    head_layers=1,
    condition_layers=1,
    dropout=0.2,
    block=4,
    look_forward=2,
)
TRACKING = RewardMixConfig(
    weights=RewardWeights(contact=0, foot=0, beat=0, consistency=0, tracking=1)
)
DUOLANDO = SETTINGS.model_copy(
    update={
        "loss": "duolando",
        "rewards": TRACKING,
        "duolando": DuolandoLossConfig(alpha=20, centre=0.9),
        "window_stride": 3,
        "lr": 6e-3,
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("rl") / "duolando"
    tensors = DuolandoGPT(GPT).state_dict()
    return checkpoint.save(path, kind="follower", tensors=tensors, config=GPT, meta={})


def make(folder: Path, settings: RLConfig) -> Pair:
    env = {
        "data": [walking_couple(name, 72, seed) for seed, name in enumerate("abc")],
        "codec": FiveStreamCodec(),
        "rewards": settings.rewards.model_dump(),
        "dance": {
            "seconds": settings.seconds,
            "group_size": settings.rollouts,
            "leader": "tokens",
            "beyond": GPT.look_forward,
        },
    }
    return pair_of(DuetRLConfig.of(settings, folder, GPT.model_dump(), env, 0))


def batch_of(pair: Pair) -> tuple[dict[str, Any], list[RolloutGroup]]:
    groups = pair.runner.sample()
    connector = pair.learner._learner_connector.connectors[0]
    return connector(rl_module=None, batch={}, episodes=groups)[DEFAULT_MODULE_ID], groups


@pytest.mark.slow
def test_it_begins_as_the_true_follower_and_learns_where_to_dance(folder: Path) -> None:
    pair, rewards = make(folder, DUOLANDO), []
    for _ in range(25):
        fresh = pair.runner.sample()
        assert all((group.tokens[:, 0] == [0, 0, 0, 0, 2]).all() for group in fresh)
        pair.learner.update(episodes=fresh)
        pair.send_weights()
        rewards.append(np.mean([group.means["total"] for group in fresh]))
    assert rewards[0] < 0.8
    assert np.mean(rewards[-5:]) > 0.9


def test_a_window_is_judged_as_it_was_rolled_out(folder: Path) -> None:
    """The first window of a dance has the history that the dancer had."""
    pair = make(folder, DUOLANDO.model_copy(update={"window_stride": 1, "temperature": 0.7}))
    batch, groups = batch_of(pair)
    tokens = batch[Columns.ACTIONS]
    dances = sum(len(group.tokens) for group in groups)
    steps = groups[0].tokens.shape[1]
    assert tokens.shape[1] == GPT.block + 1 and len(tokens) == dances * (steps - GPT.block)
    verdict = pair.learner.follower.verdict(tokens, batch[Columns.OBS])
    first = verdict.log_probs[:: steps - GPT.block, 1 : GPT.block]
    wanted = np.concatenate([group.log_probs for group in groups])[:, 1 : GPT.block]
    torch.testing.assert_close(first, torch.from_numpy(wanted), atol=1e-4, rtol=1e-4)


def test_the_likeliest_tokens_are_rolled_out_if_asked(folder: Path) -> None:
    pair = make(folder, DUOLANDO.model_copy(update={"greedy": True}))
    (group, *_) = pair.runner.sample()
    assert (group.tokens == group.tokens[:1]).all()  # one leader, one dance
    assert len({tuple(row.ravel()) for row in make(folder, DUOLANDO).runner.sample()[0].tokens}) > 1


@pytest.mark.parametrize("dropout", [False, True])
def test_dropout_is_as_asked_and_only_in_training(folder: Path, dropout: bool) -> None:
    pair = make(folder, DUOLANDO.model_copy(update={"dropout": dropout}))
    batch, _ = batch_of(pair)
    module = pair.learner.follower
    module.train()
    once, again = (
        module.verdict(batch[Columns.ACTIONS], batch[Columns.OBS]).log_probs for _ in range(2)
    )
    assert torch.equal(once, again) != dropout
    assert not any(part.training for part in module.reference.modules())


def test_the_rate_falls_at_the_milestones(folder: Path) -> None:
    pair = make(folder, DUOLANDO.model_copy(update={"milestones": (2, 4), "decay": 0.5}))
    rates = []
    for done in range(6):
        pair.learner.begin_iteration(done)
        pair.learner.update(episodes=pair.runner.sample())
        rates.append(pair.learner._adams()["policy"].param_groups[0]["lr"] / DUOLANDO.lr)
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])


def test_settings_that_it_cannot_live_with_are_refused() -> None:
    with pytest.raises(InputError, match=r"rl\.loss=duolando"):
        check_settings(RLConfig(), GPT)
    with pytest.raises(InputError, match=r"rl\.greedy=false"):
        check_settings(RLConfig(greedy=True), MultiStreamGPTConfig())
