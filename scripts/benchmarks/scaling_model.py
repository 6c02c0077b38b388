"""A model of off-policy RL with many runners: what limits it, and how stale its rollouts are.

It follows the program event by event. A runner takes the newest weights over, dances and scores one
whole batch, and waits until the driver takes that. The driver takes all rollouts that are ready, at
least enough for a gradient step, lets the learner learn from them, and publishes its weights; then
it looks again. Weights travel from node to node by reference: a node fetches a version once, from
any node that has it. Nothing here is measured: `Costs` come from outside.
"""

import heapq
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Limit = Literal["generation", "weights", "driver", "learner", "staleness"]

JITTER = 0.05  # rollouts take up to this share more or less: runners do not stay in step
ROLLOUTS_EACH = 12  # rollouts that a runner is followed for, about
WARM_UP = 0.4  # share of these rollouts that is not counted
BUSY = 0.8  # useful share of the runners' time from which on only more of them would help


@dataclass(frozen=True)
class Costs:
    """What everything takes: seconds, bytes, env steps (one token step of one dance each)."""

    # Runners
    rollout_steps: int  # env steps of a runner's whole batch
    rollout_s: float  # to dance and score it
    load_s: float = 0.0  # to take fetched weights over
    runners_a_node: int = 64

    # Weights and rollouts on their way
    weights_bytes: float = 0.0
    rollout_bytes: float = 0.0
    bandwidth: float = math.inf  # bytes/s, of each node in either direction
    publish_s: float = 0.0  # to copy the learner's weights to where nodes can fetch them

    # Driver
    take_s: float = 0.0  # for each rollout
    loop_s: float = 0.0  # for each look at what is ready

    max_staleness: int | None = None  # updates; the driver drops older rollouts

    # Learner
    update_steps: int = 1  # fresh env steps of a gradient step, the last one of a look fewer
    past_share: float = 0.0  # remembered env steps beside each fresh one
    learn_rate: float = math.inf  # env steps a second and GPU
    launch_s: float = 0.0  # of a gradient step, however many GPUs
    gradient_bytes: float = 0.0
    gpu_bandwidth: float = math.inf  # bytes/s between learners' GPUs

    def learn_s(self, steps: int, gpus: int) -> float:
        """Return how long the learner takes for `steps` fresh env steps."""
        updates = math.ceil(steps / self.update_steps)
        # A ring of GPUs sends each gradient on almost twice.
        reduce_s = 2 * (gpus - 1) / gpus * self.gradient_bytes / self.gpu_bandwidth
        compute_s = steps * (1 + self.past_share) / (self.learn_rate * gpus)
        return updates * (self.launch_s + reduce_s) + compute_s


@dataclass(frozen=True)
class Outcome:
    """How a fleet of runners and a learner do together."""

    runners: int
    gpus: int
    env_steps_per_s: float  # learned from
    learner_use: float  # share of the time that the learner learns
    driver_use: float  # share that the driver takes rollouts in, during which nothing is learned
    publish_use: float  # share that weights are published, during which nothing is learned
    generating: float  # share of the runners' time in which they dance and score
    fetching: float  # share of the runners' time in which they wait for weights
    staleness: float  # updates between sampling and learning, mean
    staleness_most: float
    dropped: float  # share of the rollouts that came too late
    limit: Limit  # what to have more of, or less work for


class Nodes:
    """Which node has which weights from when on, and until when each one's network is busy."""

    def __init__(self, count: int, transfer_s: float) -> None:
        self.transfer_s = transfer_s
        self._sends = [0.0] * (count + 1)  # busy until; node 0 is the learner's
        self._has: dict[int, float] = {}  # node -> when the newest version is there

    def publish(self, when: float) -> None:
        self._has = {0: when}

    def fetch(self, node: int, now: float) -> float:
        """Return when `node` has the newest version."""
        if node not in self._has:
            free = {source: max(now, self._sends[source], t) for source, t in self._has.items()}
            source = min(free, key=lambda one: (free[one], one))
            self._has[node] = self._sends[source] = free[source] + self.transfer_s
        return max(now, self._has[node])


@dataclass
class _Tally:
    """Seconds by what they went for, and what was learned, since counting began."""

    seconds: Counter[str]
    steps: int
    dropped: int
    ages: list[int]

    @classmethod
    def empty(cls) -> "_Tally":
        return cls(Counter(), 0, 0, [])


def simulate(costs: Costs, runners: int, gpus: int = 1, seed: int = 0) -> Outcome:
    """Return what `runners` runners and a learner on `gpus` GPUs come to."""
    rng = np.random.default_rng(seed)
    transfer_s = costs.weights_bytes / costs.bandwidth
    nodes = Nodes(math.ceil(runners / costs.runners_a_node), transfer_s)
    take_s = costs.take_s + costs.rollout_bytes / costs.bandwidth
    version, tally = 0, _Tally.empty()
    held = [0] * runners  # version of each runner's weights
    flying: list[tuple[float, int]] = []  # when whose rollout is ready

    def begin(runner: int, now: float) -> None:
        start = now
        if held[runner] < version:
            start = nodes.fetch(1 + runner // costs.runners_a_node, now) + costs.load_s
            held[runner] = version
        took = costs.rollout_s * (1 + JITTER * rng.uniform(-1, 1))
        tally.seconds["fetch"] += start - now
        tally.seconds["generate"] += took
        heapq.heappush(flying, (start + took, runner))

    for runner in range(runners):
        begin(runner, costs.rollout_s * rng.uniform(0, 1))  # they do not all begin at once
    needed = max(1, math.ceil(costs.update_steps / costs.rollout_steps))
    now = began = 0.0
    target = ROLLOUTS_EACH * max(runners, needed)  # rollouts
    taken_ever, warm = 0, False
    while taken_ever < target:
        if not warm and taken_ever >= WARM_UP * target:
            warm, began, tally = True, now, _Tally.empty()
        fresh: list[int] = []  # versions
        while len(fresh) < needed:
            now = max(now, flying[0][0]) + costs.loop_s
            ready = []
            while flying and flying[0][0] <= now:
                ready.append(heapq.heappop(flying)[1])
            oldest = 0 if costs.max_staleness is None else version - costs.max_staleness
            kept = [held[runner] for runner in ready if held[runner] >= oldest]
            fresh += kept
            tally.dropped += len(ready) - len(kept)
            taken_ever += len(ready)
            for runner in ready:
                begin(runner, now)
            now += take_s * len(ready)
            tally.seconds["drive"] += costs.loop_s + take_s * len(ready)
        steps = len(fresh) * costs.rollout_steps
        learn_s = costs.learn_s(steps, gpus)
        for place, sampled in enumerate(fresh):
            tally.ages.append(version + place * costs.rollout_steps // costs.update_steps - sampled)
        now += learn_s + costs.publish_s
        version += math.ceil(steps / costs.update_steps)
        nodes.publish(now)
        tally.seconds.update({"learn": learn_s, "publish": costs.publish_s})
        tally.steps += steps
    return _outcome(tally, runners, gpus, now - began)


def _outcome(tally: _Tally, runners: int, gpus: int, elapsed: float) -> Outcome:
    share = {name: seconds / elapsed for name, seconds in tally.seconds.items()}
    generating, fetching = (min(1.0, share[name] / runners) for name in ("generate", "fetch"))
    loop: dict[Limit, float] = {
        "learner": share["learn"],
        "driver": share["drive"],
        "weights": share["publish"],
    }
    limit: Limit = "generation"
    dropped = tally.dropped / (tally.dropped + len(tally.ages))
    if dropped > 1 - BUSY:
        limit = "staleness"
    elif generating < BUSY:  # something keeps the runners waiting: their weights, or the loop
        waits_for_loop = 1 - generating - fetching
        limit = "weights" if fetching > waits_for_loop else max(loop, key=lambda name: loop[name])
    return Outcome(
        runners=runners,
        gpus=gpus,
        env_steps_per_s=tally.steps / elapsed,
        learner_use=share["learn"],
        driver_use=share["drive"],
        publish_use=share["publish"],
        generating=generating,
        fetching=fetching,
        staleness=float(np.mean(tally.ages)),
        staleness_most=float(np.max(tally.ages)),
        dropped=dropped,
        limit=limit,
    )


def colocated(costs: Costs) -> Outcome:
    """Return what one GPU comes to that dances and learns by turns."""
    rollouts = max(1, math.ceil(costs.update_steps / costs.rollout_steps))
    steps = rollouts * costs.rollout_steps
    seconds = {
        "generate": rollouts * costs.rollout_s,
        "drive": rollouts * costs.take_s + costs.loop_s,
        "learn": costs.learn_s(steps, 1),
        "publish": costs.publish_s + costs.load_s,
    }
    whole = sum(seconds.values())
    share = {name: part / whole for name, part in seconds.items()}
    limits: dict[str, Limit] = {
        "generate": "generation",
        "drive": "driver",
        "learn": "learner",
        "publish": "weights",
    }
    return Outcome(
        runners=1,
        gpus=1,
        env_steps_per_s=steps / whole,
        learner_use=share["learn"],
        driver_use=share["drive"],
        publish_use=share["publish"],
        generating=share["generate"],
        fetching=0.0,
        staleness=(math.ceil(steps / costs.update_steps) - 1) / 2,
        staleness_most=math.ceil(steps / costs.update_steps) - 1,
        dropped=0.0,
        limit=limits[max(share, key=lambda name: share[name])],
    )


def best_split(dancing: Costs, gpus: int) -> Outcome:
    """Return the best way to share GPUs out between dancing and learning; `gpus` counts all."""
    if gpus == 1:
        return colocated(dancing)
    splits = (simulate(dancing, runners, gpus - runners) for runners in range(1, gpus))
    best = max(splits, key=lambda outcome: outcome.env_steps_per_s)
    return replace(best, gpus=gpus)
