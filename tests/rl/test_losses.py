"""What `actor_critic`, `bailando` and `duolando` promise, small enough to check by hand."""

import math
from typing import get_args

import pytest
import torch

from duet_rl.rl.losses import (
    LOSSES,
    ActorCriticConfig,
    BailandoLossConfig,
    DuolandoLossConfig,
    Experience,
    LossName,
    Verdict,
    actor_critic,
    bailando,
    duolando,
)
from duet_rl.rl.losses.advantages import group_advantages, reach
from duet_rl.rl.losses.duolando import propagate_back
from duet_rl.rl.settings import RLConfig

ROLLOUTS, STEPS, STREAMS, CODES = 6, 5, 3, 4
DEFAULT, PAPER = ActorCriticConfig(), DuolandoLossConfig()


def verdict_of(log_probs: torch.Tensor, values: torch.Tensor | None = None) -> Verdict:
    zeros = torch.zeros_like(log_probs)
    return Verdict(log_probs, zeros, zeros, zeros if values is None else values)


def sampled(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return free logits `(B, N, S, V)`, tokens drawn from them, and their log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(ROLLOUTS, STEPS, STREAMS, CODES, generator=generator)
    tokens = torch.randint(CODES, (ROLLOUTS, STEPS, STREAMS), generator=generator)
    return logits.requires_grad_(), tokens, log_probs_of(logits, tokens).detach()


def log_probs_of(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return logits.log_softmax(dim=-1).gather(-1, tokens[..., None]).squeeze(-1)


def test_a_reward_reaches_one_step_back_and_the_input_stays() -> None:
    rewards = torch.tensor([[1.0, 0.0, 2.0]])[..., None]
    before = rewards.clone()
    assert torch.allclose(propagate_back(rewards)[0, :, 0], torch.tensor([1.0, 0.4, 2.0]))
    assert torch.equal(rewards, before)
    assert torch.equal(propagate_back(rewards), propagate_back(rewards))


def test_duolando_is_lowest_where_each_probability_meets_its_target() -> None:
    rewards = torch.ones(2, 4, STREAMS)
    target = torch.sigmoid(3.0 * propagate_back(rewards))
    met = duolando(verdict_of(target.log()), Experience(rewards, target.log(), 1), PAPER)
    assert met.total.item() == pytest.approx(-STREAMS * math.log(1.001), rel=1e-3)
    missed = duolando(verdict_of((target - 0.1).log()), Experience(rewards, target.log(), 1), PAPER)
    assert missed.total > met.total


def test_duolando_lets_a_reward_below_the_centre_lower_the_token() -> None:
    log_probs = torch.full((1, 1, 1), math.log(0.5), requires_grad=True)
    experience = Experience(torch.zeros(1, 1, 1), log_probs.detach(), 1)
    duolando(verdict_of(log_probs), experience, DuolandoLossConfig(centre=0.5)).total.backward()
    assert log_probs.grad is not None and log_probs.grad.item() > 0


def test_a_token_is_credited_with_its_future_and_a_little_of_its_past() -> None:
    plain = reach(4, gamma=0.5)
    assert torch.equal(plain[1], torch.tensor([0.0, 1.0, 0.5, 0.25]))
    back = reach(4, gamma=0.5, look_back=1)
    assert torch.equal(back[1], torch.tensor([1.0, 1.0, 0.5, 0.25]))
    assert torch.equal(back[3], torch.tensor([0.0, 0.0, 1.0, 1.0]))


def test_what_a_whole_group_shares_is_no_advantage() -> None:
    shared = torch.rand(1, STEPS, STREAMS).expand(3, -1, -1)
    both = torch.cat([shared, shared + 5.0])
    assert torch.allclose(group_advantages(both, 3), torch.zeros_like(both), atol=1e-6)


def test_group_advantages_leave_each_row_out_of_its_own_baseline() -> None:
    surprise = torch.tensor([1.0, 2.0, 6.0])[:, None, None]
    assert torch.allclose(group_advantages(surprise, 3).flatten(), torch.tensor([-3.0, -1.5, 4.5]))
    assert torch.equal(group_advantages(surprise, 1), surprise)


def test_each_stream_learns_from_its_own_reward() -> None:
    logits, tokens, behaviour = sampled()
    rewards = torch.zeros(ROLLOUTS, STEPS, STREAMS)
    rewards[0, :, 1] = 1.0  # the first rollout did well, in stream 1 only
    verdict = verdict_of(log_probs_of(logits, tokens))
    actor_critic(verdict, Experience(rewards, behaviour, ROLLOUTS), DEFAULT).total.backward()
    assert logits.grad is not None
    chosen = logits.grad.gather(-1, tokens[..., None]).squeeze(-1)  # (B, N, S)
    assert (chosen[0, :, 1] < 0).all() and (chosen[1:, :, 1] > 0).all()
    assert chosen[:, :, [0, 2]].abs().max() < 1e-6


def test_a_token_that_became_rare_loses_its_weight_and_a_common_one_is_cut() -> None:
    logits, tokens, behaviour = sampled()
    rewards = torch.rand(ROLLOUTS, STEPS, STREAMS, generator=torch.Generator().manual_seed(1))
    config = ActorCriticConfig(max_ratio=2.0)

    def gradient(shift: float) -> torch.Tensor:
        """Return the gradient when the behaviour policy was `shift` nats less sure."""
        log_probs = log_probs_of(logits, tokens).detach().requires_grad_()
        experience = Experience(rewards, behaviour - shift, ROLLOUTS)
        actor_critic(verdict_of(log_probs), experience, config).total.backward()
        assert log_probs.grad is not None
        return log_probs.grad

    fresh = gradient(0.0)
    assert torch.allclose(gradient(-3.0), fresh * math.exp(-3.0), rtol=1e-4, atol=1e-7)
    assert torch.allclose(gradient(+3.0), fresh * config.max_ratio, rtol=1e-4, atol=1e-7)


def test_the_value_learns_the_return_and_a_known_value_leaves_no_advantage() -> None:
    rewards = torch.rand(ROLLOUTS, STEPS, STREAMS, generator=torch.Generator().manual_seed(2))
    config = ActorCriticConfig(normalise=False)
    credit = reach(STEPS, config.gamma, config.look_back)
    returns = torch.einsum("ij,bjs->bis", credit / credit.sum(dim=1, keepdim=True), rewards)
    log_probs = torch.full_like(rewards, -1.0)
    known = actor_critic(verdict_of(log_probs, returns), Experience(rewards, log_probs, 3), config)
    unknown = actor_critic(verdict_of(log_probs), Experience(rewards, log_probs, 3), config)
    assert known.total.item() == pytest.approx(0.0, abs=1e-6)
    assert unknown.metrics["loss/value"] > 0


@pytest.mark.parametrize("name", [name for name in get_args(LossName) if name != "own"])
def test_repeated_steps_raise_the_expected_reward(name: LossName) -> None:
    """Reward 1 for token 0, else 0: from fixed uniform samples, token 0 must win."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(CODES, (64, STEPS, STREAMS), generator=generator)
    rewards = (tokens == 0).float()
    behaviour = torch.full_like(rewards, -math.log(CODES))
    config = DuolandoLossConfig(centre=0.5) if name == "duolando" else getattr(RLConfig(), name)
    logits = torch.zeros(1, STEPS, STREAMS, CODES, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(60):
        log_probs = log_probs_of(logits.expand(64, -1, -1, -1), tokens)
        verdict = verdict_of(log_probs)._replace(proximal=log_probs.detach())
        report = LOSSES[name](verdict, Experience(rewards, behaviour, 64), config)
        optimizer.zero_grad()
        report.total.backward()
        optimizer.step()
    judged = slice(None, -1) if name == "bailando" else slice(None)  # its last step has no next
    assert (logits.softmax(dim=-1)[:, judged, :, 0] > 0.6).all()


def test_losses_leave_their_inputs_as_they_were() -> None:
    logits, tokens, behaviour = sampled()
    rewards = torch.rand(ROLLOUTS, STEPS, STREAMS)
    copies = rewards.clone(), behaviour.clone()
    verdict = verdict_of(log_probs_of(logits, tokens))
    duolando(verdict, Experience(rewards, behaviour, 2), PAPER)
    actor_critic(verdict, Experience(rewards, behaviour, 2), DEFAULT)
    assert torch.equal(rewards, copies[0]) and torch.equal(behaviour, copies[1])


def halved(counted: torch.Tensor | None, update: int = 0, **settings: float) -> torch.Tensor:
    """Return the gradients of Bailando's loss by log-probabilities and values, `(2, 1, 5, 2)`."""
    log_probs = torch.full((1, 5, 2), -1.0, requires_grad=True)
    values = torch.zeros(1, 5, 2, requires_grad=True)
    entropy = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])[None, :, None].expand(-1, -1, 2) / 2
    verdict = Verdict(log_probs, entropy, torch.zeros(1, 5, 2), values)
    rewards = torch.arange(5.0)[None, :, None].expand(-1, -1, 2)
    experience = Experience(rewards, log_probs.detach(), 1, counted, update)
    config = BailandoLossConfig(gamma=1.0, shared=True, kl_weight=0.0, **settings)
    bailando(verdict, experience, config).total.backward()
    found = [x.grad if x.grad is not None else torch.zeros_like(x) for x in (log_probs, values)]
    return torch.stack(found)


def test_bailandos_policy_learns_from_what_counts_and_its_value_from_all() -> None:
    counted = torch.tensor([[False, False, True, True, False]])
    policy, value = halved(counted)[:, 0, :, 0]
    assert policy.tolist() == pytest.approx([0, 0, -2 / 2, -3 / 2, 0])
    assert value.tolist() == pytest.approx([0, -1 / 4, -2 / 4, -3 / 4, 0])
    everything = halved(None)[0, 0, :, 0]
    assert everything.tolist() == pytest.approx([0, -1 / 4, -2 / 4, -3 / 4, 0])


def test_bailandos_steps_alternate_from_the_policy() -> None:
    taken = [halved(None, update, alternate=2) for update in range(6)]
    assert [bool(step[0].any()) for step in taken] == [True, True, False, False, True, True]
    assert [bool(step[1].any()) for step in taken] == [False, False, True, True, False, False]


def test_bailandos_entropy_is_earned_like_a_reward() -> None:
    plain, bonus = (halved(None, entropy_bonus=alpha)[0, 0, :4, 0] for alpha in (0.0, 0.5))
    assert (plain - bonus).tolist() == pytest.approx([0.5 * h / 4 for h in (1, 2, 3, 4)])
