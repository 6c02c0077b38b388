"""What surrounds the losses: the recent policy, frozen layers, normalised rewards."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.rl.checks import check_settings
from duet_rl.rl.losses import BailandoLossConfig, PPOConfig
from duet_rl.rl.losses.rewards import RewardScale
from duet_rl.rl.settings import RLConfig
from tests.rl.world import SETTINGS, Pair, make_pair

PPO = SETTINGS.model_copy(update={"loss": "ppo", "ppo": PPOConfig(proximal_decay=0.75)})


def learn(pair: Pair, updates: int = 1) -> None:
    for _ in range(updates):
        pair.learner.update(episodes=pair.runner.sample())


def weights_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: weights.clone() for name, weights in module.state_dict().items()}


def test_the_proximal_policy_is_a_moving_average_of_the_weights(follower: Path) -> None:
    pair = make_pair(follower, PPO)
    module = pair.learner.follower
    assert module.proximal is not None
    wanted = weights_of(module.gpt)
    for _ in range(3):
        learn(pair)
        for name, now in module.gpt.state_dict().items():
            if now.is_floating_point():
                wanted[name] = 0.75 * wanted[name] + 0.25 * now
    for name, found in module.proximal.state_dict().items():
        torch.testing.assert_close(found, wanted[name])


def test_only_ppo_keeps_a_recent_policy_and_runners_never_do(follower: Path) -> None:
    assert make_pair(follower, SETTINGS).learner.follower.proximal is None
    pair = make_pair(follower, PPO)
    state = pair.learner.get_state("rl_module", inference_only=True)
    assert not any("proximal" in str(part) for part in state["rl_module"]["default_policy"])


@pytest.mark.parametrize(
    "settings", [PPO, SETTINGS.model_copy(update={"normalise_rewards": "running"})]
)
def test_a_resumed_learner_goes_on_as_the_unbroken_one(follower: Path, settings: RLConfig) -> None:
    unbroken, resumed = make_pair(follower, settings), make_pair(follower, settings)
    learn(unbroken, 2)
    resumed.learner.load_state_tensors(unbroken.learner.state_tensors(), version=2)
    groups = unbroken.runner.sample()
    for pair in (unbroken, resumed):
        pair.learner.update(episodes=groups)
    ours, theirs = resumed.learner.state_tensors(), unbroken.learner.state_tensors()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_frozen_layers_and_all_below_them_stay_as_pretrained(follower: Path) -> None:
    bailando = {"loss": "bailando", "bailando": BailandoLossConfig(), "frozen_layers": 1}
    pair = make_pair(follower, SETTINGS.model_copy(update=bailando))
    before = weights_of(pair.learner.follower.gpt)
    learn(pair, 2)
    after = pair.learner.follower.gpt.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    above = ("trunk.norm", "heads", "value")
    assert changed and all(name.startswith(above) for name in changed)


def test_no_more_layers_can_be_frozen_than_there_are() -> None:
    with pytest.raises(InputError, match=r"frozen_layers is 5.*4 layers"):
        check_settings(RLConfig(frozen_layers=5), MultiStreamGPTConfig(layers=4))
    check_settings(RLConfig(frozen_layers=4), MultiStreamGPTConfig(layers=4))


def test_bailando_may_learn_from_the_likeliest_tokens() -> None:
    check_settings(RLConfig(loss="bailando", greedy=True), MultiStreamGPTConfig())


def test_normalised_by_the_batch_each_stream_has_mean_0_and_deviation_1() -> None:
    rewards = torch.rand(4, 5, 2) * torch.tensor([0.1, 9.0]) + 3.0
    found = RewardScale("batch")(rewards)
    torch.testing.assert_close(found.mean((0, 1)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std((0, 1), correction=0), torch.ones(2))


def test_running_moments_are_those_of_all_rewards_together() -> None:
    first, second = torch.rand(4, 5, 2), 2 + 3 * torch.rand(6, 5, 2)
    scale, together = RewardScale("running"), torch.cat([first, second])
    scale(first)
    found = scale(second)
    wanted = (second - together.mean((0, 1))) / together.std((0, 1), correction=0)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("by", ["batch", "running"])
def test_a_reward_that_never_varies_is_not_blown_up(by: str) -> None:
    rewards = torch.ones(3, 4, 2)
    rewards[0, 0, 1] += 1e-6
    assert RewardScale(by)(rewards).abs().max() < 1e-2
