"""What keeps a run whole: numbers that are none, rollouts that are late, memory that is short."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from duet_rl.errors import InputError
from duet_rl.models.repeated import Repeated
from duet_rl.rl.checks import check_settings
from duet_rl.rl.collector import Collector, RolloutError
from duet_rl.rl.replay import RolloutGroup
from duet_rl.rl.settings import CollectConfig, RLConfig
from duet_rl.rl.weights import halved
from tests.rl.test_collector import Algorithm, Runners
from tests.rl.world import GPT, SETTINGS, Pair, make_pair


def spoiled(groups: list[RolloutGroup]) -> list[RolloutGroup]:
    """The groups with a reward that is no number."""
    for group in groups:
        group.rewards[0, 0, 0] = np.nan
    return groups


def test_a_step_without_numbers_is_not_taken_and_counted(pair: Pair) -> None:
    before = {k: v.clone() for k, v in pair.learner.follower.gpt.state_dict().items()}
    pair.learner.update(episodes=spoiled(pair.runner.sample()))
    after = pair.learner.follower.gpt.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert pair.learner.skips == (1, 1)
    pair.learner.update(episodes=pair.runner.sample())
    assert pair.learner.skips == (1, 0), "a good step ends the row"
    assert any(
        not torch.equal(before[k], v) for k, v in pair.learner.follower.gpt.state_dict().items()
    )


def test_late_rollouts_are_dropped_if_asked(pair: Pair) -> None:
    fresh = pair.runner.sample()
    collect = CollectConfig(max_staleness=2)
    collector = Collector(Algorithm(Runners(0, 0, []), collect=collect, new_groups=1))
    collector.algorithm.updates_done = 2
    assert collector._not_stale(fresh) == fresh
    collector.algorithm.updates_done = 3
    assert collector._not_stale(fresh) == [] and collector.dropped == len(fresh)
    lenient = Collector(
        Algorithm(Runners(0, 0, []), collect=CollectConfig(max_staleness=2, stale="reweight"))
    )
    lenient.algorithm.updates_done = 99
    assert lenient._not_stale(fresh) == fresh


def test_that_all_rollouts_were_late_is_said() -> None:
    collector = Collector(Algorithm(Runners(2, 2, [])))
    collector.dropped = 7
    with pytest.raises(RolloutError, match=r"7 came too late.*max_staleness"):
        collector.collect()


def test_weights_travel_in_half_the_bytes_and_arrive(pair: Pair) -> None:
    state = pair.learner.get_state("rl_module", inference_only=True)["rl_module"]
    half = halved(state)
    kept = pair.runner.module.gpt.state_dict()
    pair.runner.module.set_state(half[DEFAULT_MODULE_ID])
    for name, weights in pair.runner.module.gpt.state_dict().items():
        assert weights.dtype == kept[name].dtype
        torch.testing.assert_close(weights, kept[name], atol=1e-2, rtol=1e-2)


def gradients(pair: Pair, groups: list[RolloutGroup]) -> dict[str, torch.Tensor]:
    pair.learner.update(episodes=groups)
    named = pair.learner.follower.gpt.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def test_computing_layers_again_changes_no_gradient(follower: Path) -> None:
    plain = make_pair(follower, SETTINGS)
    again = make_pair(follower, SETTINGS.model_copy(update={"checkpointing": True}))
    calls: list[Any] = []
    layer = next(m for m in again.learner.follower.gpt.modules() if isinstance(m, Repeated))
    layer.register_forward_pre_hook(lambda *_: calls.append(None))
    groups = plain.runner.sample()
    wanted, found = gradients(plain, groups), gradients(again, groups)
    assert len(calls) == 2, "forward, and again in the backward pass"
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_a_run_can_do_without_the_follower_that_it_started_from(follower: Path) -> None:
    settings = SETTINGS.model_copy(update={"reference": False, "loss": "duolando"})
    pair = make_pair(follower, settings)
    assert pair.learner.follower.reference is None
    groups = pair.runner.sample()
    batch = pair.learner._learner_connector.connectors[0](
        rl_module=None, batch={}, episodes=groups
    )[DEFAULT_MODULE_ID]
    verdict = pair.learner.follower.verdict(batch[Columns.ACTIONS], batch[Columns.OBS])
    assert not verdict.kl.any()
    pair.learner.update(episodes=groups)
    with pytest.raises(InputError, match=r"rl\.reference=true"):
        check_settings(RLConfig(reference=False), GPT)


def test_half_precision_judges_nearly_alike(follower: Path) -> None:
    settings = SETTINGS.model_copy(update={"precision": "bfloat16"})
    half, whole = make_pair(follower, settings), make_pair(follower, SETTINGS)
    groups = whole.runner.sample()
    batch = whole.learner._learner_connector.connectors[0](
        rl_module=None, batch={}, episodes=groups
    )[DEFAULT_MODULE_ID]
    ours, theirs = (
        pair.learner.follower.verdict(batch[Columns.ACTIONS], batch[Columns.OBS]).log_probs
        for pair in (half, whole)
    )
    assert ours.dtype == torch.float32 and not torch.equal(ours, theirs)
    torch.testing.assert_close(ours, theirs, atol=0.1, rtol=0.1)
