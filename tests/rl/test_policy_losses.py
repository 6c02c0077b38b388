"""Each policy loss against arithmetic by hand, and what it promises of good, bad and stale data."""

import math
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from duet_rl.rl.losses import (
    LOSSES,
    METRICS,
    ActorCriticConfig,
    BailandoLossConfig,
    DuolandoLossConfig,
    Experience,
    LossName,
    OAPLConfig,
    PPOConfig,
    TOPRConfig,
    Verdict,
    VTraceConfig,
)
from duet_rl.rl.losses.advantages import gae, reach
from duet_rl.rl.losses.base import ratio_metrics
from duet_rl.rl.losses.oapl import optimal_values
from duet_rl.rl.losses.vtrace import vtrace_of
from duet_rl.rl.settings import RLConfig
from tests.rl import by_hand
from tests.rl.by_hand import Batch

ROWS, STEPS, STREAMS, GROUP = 4, 5, 2, 2
WEIGHTS: dict[str, Any] = {"value_weight": 0.7, "kl_weight": 0.3, "entropy_weight": 0.2}
CREDIT: dict[str, Any] = {**WEIGHTS, "gamma": 0.5, "look_back": 1}
CONFIGS: dict[LossName, Any] = {
    "actor_critic": ActorCriticConfig(**CREDIT, gae_lambda=0.75, max_ratio=1.5),
    "bailando": BailandoLossConfig(**WEIGHTS, gamma=1.0),
    "duolando": DuolandoLossConfig(),
    "vtrace": VTraceConfig(**CREDIT, gae_lambda=0.75, max_rho=1.25, max_c=0.8),
    "ppo": PPOConfig(**CREDIT, clip=0.3, dual_clip=1.5, max_ratio=1.5),
    "topr": TOPRConfig(**CREDIT, normalise=False),
    "oapl": OAPLConfig(**CREDIT, beta=0.5, value_beta=2.0),
}
RATIO_LOSSES: tuple[LossName, ...] = ("actor_critic", "vtrace", "ppo", "topr")
FLOORED: tuple[LossName, ...] = ("actor_critic", "bailando", "vtrace", "ppo", "topr", "oapl")
DEFAULTS = RLConfig()


class Case(NamedTuple):
    verdict: Verdict
    experience: Experience


def case(seed: int = 0, stale: float = 0.5) -> Case:
    """Return a batch in double precision whose ratios spread by `stale` nats about 1."""
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.rand(ROWS, STEPS, STREAMS, generator=generator, dtype=torch.float64)

    now = -0.5 - 2 * draw()
    before, recent = now + stale * (2 * draw() - 1), now + 0.5 * stale * (2 * draw() - 1)
    verdict = Verdict(now.requires_grad_(), draw(), draw(), draw().requires_grad_(), recent)
    return Case(verdict, Experience(draw(), before, GROUP))


def on_policy(seed: int = 0) -> Case:
    verdict, experience = case(seed)
    now = verdict.log_probs.detach()
    return Case(verdict._replace(proximal=now), Experience(experience.rewards, now.clone(), GROUP))


def gradient(name: LossName, verdict: Verdict, experience: Experience, config: Any) -> Tensor:
    """Return the gradient of each token's log-probability, from the policy term alone."""
    alone = {"kl_weight": 0.0, "entropy_weight": 0.0}
    loss = LOSSES[name](verdict, experience, config.model_copy(update=alone))
    (found,) = torch.autograd.grad(loss.total, verdict.log_probs)
    return found


def one_good_one_bad(log_prob: float = math.log(0.25), behaviour: float = math.log(0.25)) -> Case:
    """Return a group of two: all rewards of the first row are 1, those of the second -1."""
    shape = (2, STEPS, STREAMS)
    rewards = torch.tensor([1.0, -1.0])[:, None, None].expand(shape)
    log_probs = torch.full(shape, log_prob, requires_grad=True)
    zeros = torch.zeros(shape)
    verdict = Verdict(log_probs, zeros, zeros, torch.zeros(shape, requires_grad=True))
    return Case(verdict, Experience(rewards, torch.full(shape, behaviour), 2))


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "duolando"])
@pytest.mark.parametrize("seed", range(3))
def test_a_loss_is_what_the_arithmetic_says(name: LossName, seed: int) -> None:
    verdict, experience = case(seed)
    batch = Batch.of(verdict, experience)
    wanted = getattr(by_hand, name)(batch, CONFIGS[name])
    loss = LOSSES[name](verdict, experience, CONFIGS[name])
    assert loss.metrics["loss/policy"].item() == pytest.approx(wanted.policy, rel=1e-6)
    assert loss.metrics["loss/value"].item() == pytest.approx(wanted.value, rel=1e-6)
    assert loss.total.item() == pytest.approx(by_hand.total(batch, wanted, WEIGHTS), rel=1e-6)


def test_bailando_can_share_reward_and_value_among_the_streams() -> None:
    verdict, experience = case()
    config = BailandoLossConfig(shared=True)
    wanted = by_hand.bailando(Batch.of(verdict, experience), config)
    loss = LOSSES["bailando"](verdict, experience, config)
    assert loss.metrics["loss/policy"].item() == pytest.approx(wanted.policy)
    assert loss.metrics["loss/value"].item() == pytest.approx(wanted.value)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_did_well_becomes_likelier_and_what_did_badly_rarer(name: LossName) -> None:
    found = gradient(name, *one_good_one_bad(), getattr(DEFAULTS, name))
    judged = slice(None, -1) if name == "bailando" else slice(None)  # its last step has no next
    assert (found[0, judged] < 0).all() and (found[1, judged] > 0).all()


def test_vtrace_on_policy_is_actor_critic() -> None:
    verdict, experience = on_policy()
    losses = [
        LOSSES["vtrace"](verdict, experience, VTraceConfig(**CREDIT)),
        LOSSES["actor_critic"](verdict, experience, ActorCriticConfig(**CREDIT)),
    ]
    assert losses[0].total.item() == pytest.approx(losses[1].total.item(), rel=1e-6)
    inputs = (verdict.log_probs, verdict.values)
    gradients = [torch.autograd.grad(loss.total, inputs) for loss in losses]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def test_vtrace_targets_on_policy_are_the_discounted_returns() -> None:
    _, experience = case()
    ones = torch.ones_like(experience.rewards)
    targets = vtrace_of(experience.rewards, 3 * ones, ones, ones, 0.5).targets
    returns = torch.einsum("ij,bjs->bis", reach(STEPS, 0.5).double(), experience.rewards)
    torch.testing.assert_close(targets, returns)


@pytest.mark.parametrize("name", ["ppo", "topr"])
def test_on_policy_it_is_the_plain_policy_gradient(name: LossName) -> None:
    verdict, experience = on_policy()
    config = {"ppo": PPOConfig(), "topr": TOPRConfig()}[name]
    plain = gradient("actor_critic", verdict, experience, ActorCriticConfig())
    torch.testing.assert_close(gradient(name, verdict, experience, config), plain)


def test_oapl_on_policy_and_without_a_soft_maximum_is_the_plain_policy_gradient() -> None:
    verdict, experience = on_policy()
    plain = gradient("actor_critic", verdict, experience, ActorCriticConfig())
    found = gradient("oapl", verdict, experience, OAPLConfig(value_beta=1e6))
    of_the_mean = (GROUP - 1) / GROUP  # its baseline holds the row itself too
    torch.testing.assert_close(found, of_the_mean * plain, rtol=1e-4, atol=1e-6)


def test_oapl_is_at_rest_where_the_log_ratio_is_the_advantage_over_beta() -> None:
    verdict, experience = on_policy()
    config = OAPLConfig(beta=0.5)
    advantages = -gradient("oapl", verdict, experience, config) * verdict.log_probs.numel()
    arrived = verdict._replace(
        log_probs=(experience.log_probs + advantages / config.beta).requires_grad_()
    )
    assert gradient("oapl", arrived, experience, config).abs().max() < 1e-12


def test_the_optimal_value_lies_between_mean_and_best_of_the_group() -> None:
    surprise = torch.tensor([0.0, 1.0, 5.0])[:, None, None]
    cold, warm, hot = (optimal_values(surprise, 3, beta)[0].item() for beta in (1e-2, 1.0, 1e4))
    assert cold == pytest.approx(5.0, abs=0.02) and hot == pytest.approx(2.0, abs=0.01)
    assert warm == pytest.approx(math.log((1 + math.e + math.e**5) / 3))


@pytest.mark.parametrize("name", RATIO_LOSSES)
@pytest.mark.parametrize("stale", [-30.0, -10.0, 10.0, 30.0, 500.0])
def test_however_stale_the_rollouts_a_token_pushes_no_more_than_a_few_times(
    name: LossName, stale: float
) -> None:
    """The behaviour policy was `stale` nats less sure of every token."""
    verdict, experience = on_policy()
    plain = gradient("actor_critic", verdict, experience, ActorCriticConfig())
    old = experience._replace(log_probs=experience.log_probs - stale)
    config = getattr(DEFAULTS, name)
    found = gradient(name, verdict, old, config)
    assert found.isfinite().all()
    # V-trace itself discounts what follows unlikely tokens, and is normalised after that.
    assert found.abs().max() <= 3 * plain.abs().max()
    assert all(metric.isfinite() for metric in LOSSES[name](verdict, old, config).metrics.values())


def test_oapl_pulls_back_in_proportion_to_the_logarithm_of_the_ratio() -> None:
    verdict, experience = on_policy()
    old = experience._replace(log_probs=experience.log_probs - 10.0)
    near, far = (
        gradient("oapl", verdict, rows, OAPLConfig(beta=0.3)) for rows in (experience, old)
    )
    torch.testing.assert_close(far, near + 0.3 * 10.0 / near.numel())


def test_topr_imitates_what_did_well_however_unlikely_and_forgets_what_did_badly() -> None:
    rare = one_good_one_bad(log_prob=-9.0, behaviour=-1.0)
    fresh = gradient("topr", *one_good_one_bad(), TOPRConfig())
    found = gradient("topr", *rare, TOPRConfig())
    torch.testing.assert_close(found[0], fresh[0])
    torch.testing.assert_close(found[1], fresh[1] * math.exp(-8.0))
    unsure = one_good_one_bad(log_prob=-1.0, behaviour=-9.0)  # likelier today: cut at 1
    torch.testing.assert_close(gradient("topr", *unsure, TOPRConfig()), fresh)


def test_topr_refuses_an_interval_that_falls() -> None:
    with pytest.raises(ValidationError, match="lowest <= highest"):
        TOPRConfig(negative=(1.0, 0.5))


def test_ppo_leaves_alone_what_changed_enough() -> None:
    verdict, experience = one_good_one_bad()
    up, down = math.log(1.3), math.log(0.7)
    for change, rests, moves in ((up, 0, 1), (down, 1, 0)):
        proximal = verdict.log_probs.detach() - change
        found = gradient("ppo", verdict._replace(proximal=proximal), experience, PPOConfig())
        assert (found[rests] == 0).all() and (found[moves] != 0).all()


def test_ppo_bounds_the_push_on_a_bad_token_that_became_much_likelier() -> None:
    verdict, experience = one_good_one_bad()
    changed = verdict._replace(proximal=verdict.log_probs.detach() - math.log(5.0))
    assert (gradient("ppo", changed, experience, PPOConfig())[1] == 0).all()
    assert (gradient("ppo", changed, experience, PPOConfig(dual_clip=None))[1] > 0).all()


def test_ppo_learns_from_stale_rollouts_because_its_policies_are_two() -> None:
    """Twice as likely as when it was danced, but not since the last few updates."""
    verdict, experience = one_good_one_bad(behaviour=math.log(0.125))
    coupled = gradient("ppo", verdict, experience, PPOConfig())
    recent = verdict._replace(proximal=verdict.log_probs.detach())
    decoupled = gradient("ppo", recent, experience, PPOConfig())
    assert (coupled[0] == 0).all() and (decoupled[0] < 0).all()


@pytest.mark.parametrize("name", FLOORED)
def test_a_token_below_the_floor_is_not_pushed_down_further(name: LossName) -> None:
    config = getattr(DEFAULTS, name).model_copy(update={"floor": -4.0})
    rare = one_good_one_bad(log_prob=-5.0, behaviour=-5.0)
    found = gradient(name, *rare, config)
    judged = slice(None, -1) if name == "bailando" else slice(None)
    assert (found[1] == 0).all() and (found[0, judged] < 0).all()
    assert LOSSES[name](*rare, config).metrics["spared"].item() == pytest.approx(0.5)
    common = gradient(name, *one_good_one_bad(), config)
    assert (common[1, judged] > 0).all()


@pytest.mark.parametrize("gae_lambda", [0.0, 0.4, 1.0])
def test_gae_is_the_sum_of_td_errors(gae_lambda: float) -> None:
    rewards, values, gamma = np.array([1.0, 0.0, 2.0]), np.array([0.5, 1.5, -1.0]), 0.5
    wanted, carried = np.zeros(3), 0.0
    for step in (2, 1, 0):
        following = values[step + 1] if step < 2 else 0.0
        td_error = rewards[step] + gamma * following - values[step]
        carried = td_error + gamma * gae_lambda * carried
        wanted[step] = carried
    returns = np.array([1 + 0.25 * 2, 0.5 * 2, 2.0])
    surprise = torch.tensor(returns - values)[None, :, None]
    assert gae(surprise, gamma, gae_lambda).flatten().tolist() == pytest.approx(wanted.tolist())


def test_the_effective_sample_size_says_how_much_of_the_data_counts() -> None:
    equal, lone = torch.full((2, 2, 2), 0.3), torch.full((2, 2, 2), 1e-9)
    lone[0, 0, 0] = 5.0
    assert ratio_metrics(equal, 2.0)["sample_size"].item() == pytest.approx(1.0)
    assert ratio_metrics(lone, 2.0)["sample_size"].item() == pytest.approx(1 / 8)
    assert ratio_metrics(lone, 2.0)["ratio_cut"].item() == pytest.approx(1 / 8)


@pytest.mark.parametrize("name", CONFIGS)
def test_all_that_is_logged_has_a_name_and_inputs_stay(name: LossName) -> None:
    verdict, experience = case()
    inputs = [part for part in (*verdict, *experience[:2]) if part is not None]
    copies = [part.detach().clone() for part in inputs]
    metrics = LOSSES[name](verdict, experience, CONFIGS[name]).metrics
    assert set(metrics) <= set(METRICS)
    assert not any(metric.requires_grad for metric in metrics.values())
    for part, copy in zip(inputs, copies, strict=True):
        assert torch.equal(part.detach(), copy)


def test_every_loss_has_a_name_a_function_and_settings() -> None:
    assert set(get_args(LossName)) == set(LOSSES) == {*CONFIGS, "own"}
    assert all(isinstance(getattr(DEFAULTS, name), type(CONFIGS[name])) for name in CONFIGS)
