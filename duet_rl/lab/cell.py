"""One training of the comparison: a loss, an age of rollouts and a seed; and what it led to."""

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from duet_rl import checkpoint
from duet_rl.datasets.store import DuetStore
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.lab.measure import Numbers, held_out, measure_baselines, measure_follower
from duet_rl.lab.settings import LabConfig
from duet_rl.models.follower import build_gpt
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.sampling import SamplingConfig
from duet_rl.rl.collapse import SHARE_LIMITS, CollapseWatch, diversity
from duet_rl.rl.losses import LOSSES, LossName
from duet_rl.rl.replay import ReplayConfig, RolloutGroup
from duet_rl.rl.run import env_settings_of
from duet_rl.rl.settings import CollectConfig, HardwareConfig, RLConfig

START = "start"  # the row of the follower that all trainings begin with
NOT_A_NUMBER = "not a number"  # what became of a loss that had none, three steps in a row
_WATCHED = 16  # gradient steps whose rollouts are looked at together
_LAST_SHARE = 4  # the end of a training: its last quarter


class Cell(NamedTuple):
    """What differs from one training to the next."""

    loss: LossName
    staleness: int  # gradient steps
    seed: int

    def __str__(self) -> str:
        return f"{self.loss} at staleness {self.staleness}, seed {self.seed}"


@dataclass(frozen=True)
class LabPlan:
    """What all trainings of a comparison share."""

    lab: LabConfig
    rl: RLConfig
    sampling: SamplingConfig  # of the dances that are measured
    follower: Path  # the folder that all begin with
    data: Path
    hashes: tuple[str, str]  # of the follower's files and of the data

    @property
    def cells(self) -> list[Cell]:
        """All trainings, seed by seed, so that what was stopped early compares all losses."""
        lab = self.lab
        return [
            Cell(loss, staleness, seed)
            for seed in range(lab.seeds)
            for staleness in lab.staleness
            for loss in lab.losses
        ]

    def settings_of(self, cell: Cell) -> RLConfig:
        """Return the settings of one training: one gradient step an iteration, no replay."""
        lab = self.lab
        changes = {
            "loss": cell.loss,
            "seed": cell.seed,
            "iterations": lab.updates,
            "env_runners": 0,
            "min_env_runners": None,
            "leaders": lab.leaders,
            "rollouts": lab.rollouts,
            "seconds": lab.seconds,
            "new_groups": lab.leaders,
            "batch_groups": lab.leaders,
            "passes": 1,
            "collect": CollectConfig(),
            "hardware": HardwareConfig(),
            "replay": ReplayConfig(capacity=0, first=0, past_a_batch=0),
        }
        return self.rl.model_copy(update=changes)

    def key_of(self, cell: Cell | None) -> str:
        """Return a hash of all that the result of a training, or of no training, depends on."""
        measured = {"splits", "windows", "window_seconds", "dances"}
        facts: dict[str, Any] = {
            "hashes": self.hashes,
            "measured": self.lab.model_dump(mode="json", include=measured),
            "sampling": self.sampling.model_dump(mode="json"),
            "rewards": self.rl.rewards.model_dump(mode="json"),
            "look_ahead": self.rl.look_ahead,
            "temperature": self.rl.temperature,
        }
        if cell is not None:
            # The settings of other losses have no influence on it.
            others = {str(loss) for loss in LOSSES if loss != cell.loss}
            settings = self.settings_of(cell).model_dump(mode="json", exclude=others)
            facts |= {"settings": settings, "staleness": cell.staleness}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_references(plan: LabPlan) -> dict[str, Any]:
    """Return how the start does, the true partners and the nearest neighbours: row -> numbers."""
    torch.set_num_threads(1)
    start, store = load_follower(plan.follower), DuetStore.open(plan.data)
    rows = {START: _measured(plan, start, start, store)}
    if not plan.rl.rewards.weights.duolando:  # of which true partners have none
        rows |= measure_baselines(store, held_out(store, plan.lab), plan.rl.rewards)
    return rows


def run_cell(plan: LabPlan, cell: Cell) -> dict[str, Any]:
    """Return what a training led to.

    Returns:
        `measured`: numbers of held-out dances; `training`: the mean numbers of its last quarter;
        `collapsed`: tag -> what was wrong with the rollouts, and from which step on.
    """
    torch.set_num_threads(1)
    start, store = load_follower(plan.follower), DuetStore.open(plan.data)
    training, collapsed, weights = _train(plan, cell, start)
    gpt = build_gpt(start.model.config).eval()
    checkpoint.load_module(gpt, weights, "the follower in training")
    now = Follower(start.codec, gpt, start.meta)
    measured = _measured(plan, now, start, store)
    return {"measured": measured, "training": training, "collapsed": collapsed}


def _measured(plan: LabPlan, follower: Follower, start: Follower, store: DuetStore) -> Numbers:
    assert isinstance(start.model, MultiStreamGPT)
    return measure_follower(
        follower,
        start.model,
        held_out(store, plan.lab),
        plan.rl.rewards,
        plan.sampling,
        plan.rl.temperature,
        plan.rl.look_ahead,
        plan.lab.dances,
    )


def _train(
    plan: LabPlan, cell: Cell, start: Follower
) -> tuple[Numbers, dict[str, str], dict[str, torch.Tensor]]:
    """Return the last numbers of a training, what collapsed, and the weights."""
    from duet_rl.lab.late import LateRLConfig  # RLlib loads only when it is needed
    from duet_rl.rl.algorithm import NotANumberError

    logging.getLogger("ray.rllib").setLevel(logging.ERROR)  # its warnings are about its own past
    settings, gpt = plan.settings_of(cell), start.model.config
    env_settings = env_settings_of(settings, gpt, plan.follower, plan.data)
    config = LateRLConfig.of(settings, plan.follower, gpt.model_dump(), env_settings, 0)
    config.staleness = cell.staleness
    algorithm: Any = config.build_algo()
    watch, seen = _RolloutWatch(start.codec.spec.names), []
    try:
        for step in range(1, settings.iterations + 1):
            try:
                results = algorithm.train()
            except NotANumberError as error:  # the weights are those before these steps
                watch.collapsed[NOT_A_NUMBER] = f"step {step}: {error}"
                break
            seen.append(algorithm.numbers(results))
            watch.look(step, seen[-1], algorithm.fresh)
        weights = algorithm.follower_tensors()
    finally:
        algorithm.stop()
    return last_means(seen), watch.collapsed, weights


def last_means(seen: Sequence[Numbers]) -> Numbers:
    """Return the mean of each number over the last quarter of `seen`.

    Steps in which it was no number are left out, and so is what never was one: JSON has none.
    """
    last = seen[-max(1, len(seen) // _LAST_SHARE) :]
    known = {tag: [numbers[tag] for numbers in last if tag in numbers] for tag in last[-1]}
    finite = {tag: [value for value in of if math.isfinite(value)] for tag, of in known.items()}
    return {tag: float(np.mean(values)) for tag, values in finite.items() if values}


class _RolloutWatch:
    """Watches the rollouts of some steps together: those of one use few codes anyway."""

    def __init__(self, streams: Sequence[str]) -> None:
        self.collapsed: dict[str, str] = {}  # tag -> what was wrong first
        self._streams, self._watch = streams, CollapseWatch()
        self._tokens: list[np.ndarray] = []
        self._shares: list[Numbers] = []

    def look(self, step: int, numbers: Numbers, fresh: Sequence[RolloutGroup]) -> None:
        """Take in the rollouts of one step."""
        self._tokens += [group.tokens for group in fresh]
        self._shares.append({tag: numbers[tag] for tag in SHARE_LIMITS})
        if len(self._shares) < _WATCHED:
            return
        together = diversity(self._tokens, self._streams)
        for tag in SHARE_LIMITS:
            together[tag] = float(np.mean([shares[tag] for shares in self._shares]))
        for tag, line in self._watch.collapsed(together).items():
            self.collapsed.setdefault(tag, f"step {step}: {line}")
        self._tokens, self._shares = [], []
