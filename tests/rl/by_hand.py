"""The policy losses once more, step by step in loops, as their papers write them."""

from math import exp, log
from typing import Any, NamedTuple

import numpy as np

from duet_rl.rl.losses import Experience, Verdict


class Batch(NamedTuple):
    """Arrays `(B, N, S)`."""

    now: np.ndarray  # log-probabilities, as all of these
    before: np.ndarray
    recent: np.ndarray
    rewards: np.ndarray
    values: np.ndarray
    kl: np.ndarray
    entropy: np.ndarray
    group: int

    @classmethod
    def of(cls, verdict: Verdict, experience: Experience) -> "Batch":
        now, entropy, kl, values, recent = (
            np.asarray(part.detach()) for part in verdict if part is not None
        )
        rewards, before = (part.numpy() for part in experience[:2])
        return cls(now, before, recent, rewards, values, kl, entropy, experience.group_size)

    def ratio(self, at: tuple[int, ...]) -> float:
        return exp(self.now[at] - self.before[at])


class Terms(NamedTuple):
    policy: float
    value: float


def total(batch: Batch, terms: Terms, weights: dict[str, float]) -> float:
    return float(
        terms.policy
        + weights["value_weight"] * terms.value
        + weights["kl_weight"] * batch.kl.mean()
        - weights["entropy_weight"] * batch.entropy.mean()
    )


def credit(batch: Batch, config: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return sums of credited rewards and sums of their weights."""
    earned, mass = np.zeros_like(batch.rewards), np.zeros_like(batch.rewards)
    rows, steps, streams = batch.rewards.shape
    for b in range(rows):
        for i in range(steps):
            for s in range(streams):
                for j in range(max(0, i - config.look_back), steps):
                    weight = 1.0 if j < i else config.gamma ** (j - i)
                    earned[b, i, s] += weight * batch.rewards[b, j, s]
                    mass[b, i, s] += weight
    return earned, mass


def backwards(td_errors: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """Return `x_i = td_i + decay_i x_(i+1)`."""
    sums = np.zeros_like(td_errors)
    for i in reversed(range(td_errors.shape[1])):
        sums[:, i] = td_errors[:, i]
        if i + 1 < td_errors.shape[1]:
            sums[:, i] += decay[:, i] * sums[:, i + 1]
    return sums


def steps_of(batch: Batch, config: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rewards whose discounted sums are the credited ones, values of them, and mass."""
    earned, mass = credit(batch, config)
    rewards = earned.copy()
    rewards[:, :-1] -= config.gamma * earned[:, 1:]
    return rewards, mass * batch.values, mass


def less_the_others(surprise: np.ndarray, group: int) -> np.ndarray:
    advantages = surprise.copy()
    for b in range(len(surprise)):
        first = b - b % group
        others = [surprise[k] for k in range(first, first + group) if k != b]
        advantages[b] -= np.mean(others, axis=0)
    return advantages


def generalised(batch: Batch, config: Any) -> np.ndarray:
    rewards, values, _ = steps_of(batch, config)
    td_errors = rewards - values
    td_errors[:, :-1] += config.gamma * values[:, 1:]
    return backwards(td_errors, np.full_like(values, config.gamma * config.gae_lambda))


def advantages_of(batch: Batch, config: Any) -> np.ndarray:
    advantages = less_the_others(generalised(batch, config), batch.group)
    return advantages / advantages.std(ddof=1) if config.normalise else advantages


def value_loss(batch: Batch, config: Any) -> float:
    earned, mass = credit(batch, config)
    return float(np.mean((batch.values - earned / mass) ** 2))


def actor_critic(batch: Batch, config: Any) -> Terms:
    advantages, losses = advantages_of(batch, config), []
    for at in np.ndindex(advantages.shape):
        losses.append(-min(batch.ratio(at), config.max_ratio) * advantages[at] * batch.now[at])
    return Terms(float(np.mean(losses)), value_loss(batch, config))


def bailando(batch: Batch, config: Any) -> Terms:
    rewards, values = batch.rewards, batch.values
    if config.shared:
        rewards, values = rewards.mean(-1, keepdims=True), values.sum(-1, keepdims=True)
    rows, steps, streams = batch.now.shape
    losses, squares = [], []
    for b in range(rows):
        for i in range(steps - 1):
            td = rewards[b, i] + config.gamma * values[b, i + 1] - values[b, i]
            squares += [error**2 for error in td]
            td = np.broadcast_to(td, (streams,))
            losses.append(-sum(td[s] * batch.now[b, i, s] for s in range(streams)))
    return Terms(float(np.mean(losses)), float(np.mean(squares)))


def vtrace(batch: Batch, config: Any) -> Terms:
    rewards, values, mass = steps_of(batch, config)
    ratios = np.exp(batch.now - batch.before)
    rho, c = np.minimum(config.max_rho, ratios), np.minimum(config.max_c, ratios)
    rows, steps, streams = ratios.shape
    targets = np.zeros_like(values)
    for b, s, i in np.ndindex(rows, streams, steps):  # eq. 1, the sum over t and the product over j
        targets[b, i, s] = values[b, i, s]
        for t in range(i, steps):
            following = values[b, t + 1, s] if t + 1 < steps else 0.0
            td_error = rho[b, t, s] * (
                rewards[b, t, s] + config.gamma * following - values[b, t, s]
            )
            trace = config.gamma ** (t - i)
            for j in range(i, t):
                trace *= config.gae_lambda * c[b, j, s]
            targets[b, i, s] += trace * td_error
    surprise = rewards - values
    surprise[:, :-1] += config.gamma * targets[:, 1:]
    advantages = less_the_others(surprise, batch.group)
    advantages /= advantages.std(ddof=1)
    value = np.mean((batch.values - targets / mass) ** 2)
    return Terms(float(-np.mean(rho * advantages * batch.now)), float(value))


def ppo(batch: Batch, config: Any) -> Terms:
    advantages, losses = advantages_of(batch, config), []
    for at in np.ndindex(advantages.shape):
        weight = min(config.max_ratio, exp(batch.recent[at] - batch.before[at]))
        change = exp(batch.now[at] - batch.recent[at])
        within = min(max(change, 1 - config.clip), 1 + config.clip)
        gain = min(change * advantages[at], within * advantages[at])
        if advantages[at] < 0:
            gain = max(gain, config.dual_clip * advantages[at])
        losses.append(-weight * gain)
    return Terms(float(np.mean(losses)), value_loss(batch, config))


def topr(batch: Batch, config: Any) -> Terms:
    advantages, losses = advantages_of(batch, config), []
    for at in np.ndindex(advantages.shape):
        weight = 1.0 if advantages[at] >= 0 else min(max(batch.ratio(at), 0.0), 1.0)
        losses.append(-weight * advantages[at] * batch.now[at])
    return Terms(float(np.mean(losses)), value_loss(batch, config))


def oapl(batch: Batch, config: Any) -> Terms:
    surprise = generalised(batch, config)
    surprise /= less_the_others(surprise, batch.group).std(ddof=1)
    losses = []
    for b, i, s in np.ndindex(surprise.shape):
        first = b - b % batch.group
        group = [surprise[k, i, s] for k in range(first, first + batch.group)]
        best = config.value_beta * log(np.mean([exp(x / config.value_beta) for x in group]))
        log_ratio = batch.now[b, i, s] - batch.before[b, i, s]
        error = config.beta * log_ratio - (surprise[b, i, s] - best)
        losses.append(error**2 / (2 * config.beta))
    return Terms(float(np.mean(losses)), value_loss(batch, config))
