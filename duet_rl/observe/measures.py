"""The Prometheus metrics of a run: which there are, and which number of the log goes where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

PREFIX = "duet_rl_"  # of our names; Ray puts `ray_` before it when a node is asked
RUN_LABELS = ("run", "stage")  # of every metric: name of the run's folder, and part of the run


@dataclass(frozen=True)
class Measure:
    """One metric, a gauge.

    Args:
        name: without `duet_rl_`.
        about: what it is, with its unit.
        label: what tells its series apart beside run and stage; "" where there is one alone.
    """

    name: str
    about: str
    label: str = ""

    @property
    def full_name(self) -> str:
        """Return the name that Ray is told."""
        return PREFIX + self.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of all labels."""
        return (*RUN_LABELS, self.label) if self.label else RUN_LABELS


class Reading(NamedTuple):
    """Where a number goes: a metric, and the value of its own label."""

    measure: Measure
    value: str = ""  # of `measure.label`


ITERATION = Measure("iteration", "Iterations of RL, or steps of pretraining, that are done.")
LOSS = Measure("loss", "Loss that was learned from, by part.", "part")
GRADIENT_NORM = Measure("gradient_norm", "Norm of all gradients before clipping.")
OTHER = Measure("other", "A number of the log without a metric of its own, by its tag.", "tag")

# By the first part of the tag: `reward/foot` is the series `foot` of the metric `reward`.
FAMILIES: Mapping[str, Measure] = {
    "reward": Measure("reward", "Mean reward of the fresh rollouts, by term.", "term"),
    "loss": LOSS,
    "seconds": Measure("seconds", "Seconds of a part of an iteration; `left`: of the run.", "part"),
    "motion": Measure("motion", "Share of frozen or jittering frames in rollouts.", "measure"),
    "diversity": Measure("diversity", "Codes in use and their like, by measure.", "measure"),
    "replay": Measure("replay", "What the replay holds: groups, steps, bytes.", "measure"),
    "val": Measure("validation", "Losses on held-out choreographies, by measure.", "measure"),
    "rollout": Measure("rollout", "Scores of dances of held-out clips, by measure.", "measure"),
    "nll": Measure("nll", "Negative log-likelihood of the true tokens, by stream.", "stream"),
    "tokens": Measure("tokens", "Use of a tokenizer's codes, by measure.", "measure"),
}
_SINGLE: Mapping[str, Measure] = {
    "staleness": Measure("staleness", "Updates by which the fresh rollouts lagged, on average."),
    "healthy_runners": Measure("healthy_runners", "Env runners that are alive."),
    "restarts": Measure("runner_restarts", "Restarts of lost env runners, so far."),
    "steps_per_second": Measure("steps_per_second", "Token steps learned from, a second."),
    "tokens_per_second": Measure("tokens_per_second", "Token steps sampled by a runner, a second."),
    "requests": Measure("requests", "Rollouts asked for that have not come yet: the queue."),
    "groups": Measure("groups", "Groups of rollouts in the last iteration."),
    "dropped_groups": Measure("dropped_groups", "Groups that came too late, so far."),
    "skipped_updates": Measure("skipped_updates", "Steps without numbers to step by, so far."),
    "updates": Measure("updates", "Gradient steps of RL, so far."),
    "kl": Measure("kl", "KL divergence from the follower that RL began with, nats a token."),
    "entropy": Measure("entropy", "Entropy of the follower's choices, nats."),
    "progress": Measure("progress", "How far the stage is, 0 to 1."),
}
_READINGS: Mapping[str, Reading] = {
    **{tag: Reading(measure) for tag, measure in _SINGLE.items()},
    "loss": Reading(LOSS, "total"),
    "gradient_norm": Reading(GRADIENT_NORM),
    "grad_norm": Reading(GRADIENT_NORM),
}
MEASURES: tuple[Measure, ...] = (
    *(ITERATION, GRADIENT_NORM, OTHER),
    *FAMILIES.values(),
    *_SINGLE.values(),
)


def reading_of(tag: str) -> Reading:
    """Return the metric that a number of the log belongs to.

    Args:
        tag: as in TensorBoard.

    Example:
        >>> reading = reading_of("reward/foot")
        >>> reading.measure.full_name, reading.measure.label, reading.value
        ('duet_rl_reward', 'term', 'foot')
    """
    if tag in _READINGS:
        return _READINGS[tag]
    family, slash, rest = tag.partition("/")
    if slash and family in FAMILIES:
        return Reading(FAMILIES[family], rest)
    return Reading(OTHER, tag)
