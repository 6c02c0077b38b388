"""What decides in a search: who proposes values, and which trials go on."""

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from duet_rl.errors import InputError
from duet_rl.tune.record import PROGRESS, Trial
from duet_rl.tune.settings import Dimension, TuneConfig
from duet_rl.tune.space import label, name_of
from duet_rl.tune.trial import EXCHANGE_STEP, Job

MEMBER = "member_"  # and a number: what a trial of a population is called, whose values change
_PERCENT = 100


def needs_optuna(config: TuneConfig) -> bool:
    """Return whether Optuna proposes the values; a population draws its first ones itself."""
    return config.searcher == "optuna" and config.scheduler.kind != "pbt"


def require_optuna() -> None:
    """Raise `InputError` if Optuna is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            "searcher is optuna, which is not installed; install it with "
            "`pip install 'duet-rl[tune]'`, or set searcher=random"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def domains(config: TuneConfig) -> dict[str, Any]:
    """Return the space in Ray Tune's words."""
    return {key: _domain(dimension) for key, dimension in config.search.items()}


def marks_of(config: TuneConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values by which Tune knows those of a trial."""
    return {key: label(values[key]) for key in config.search}


def make_searcher(config: TuneConfig, ended: Sequence[Trial], again: Sequence[Trial]) -> Any:
    """Return who proposes values: first those of `again`, then new ones, knowing of `ended`.

    Nothing is learned of those that failed.
    """
    points = [marks_of(config, trial.values) for trial in again]
    if not needs_optuna(config):
        from ray.tune.search import BasicVariantGenerator

        # Another seed for what comes later, or the same values would be drawn again.
        seed = config.seed + len(ended)
        return BasicVariantGenerator(points_to_evaluate=points or None, random_state=seed)
    from optuna.samplers import TPESampler
    from ray.tune.search.optuna import OptunaSearch

    searcher = OptunaSearch(
        OptunaSearch.convert_search_space(domains(config)),
        metric=config.judge,
        mode=config.direction,
        points_to_evaluate=points or None,
        sampler=TPESampler(seed=config.seed + len(ended)),
    )
    for trial in ended:
        if (value := trial.judged(config.judge)) is not None:
            searcher.add_evaluated_point(marks_of(config, trial.values), value)
    return searcher


def make_scheduler(config: TuneConfig, ended: Iterable[Trial]) -> Any:
    """Return who says which trials go on; `ended` ones are remembered, to compare with."""
    from ray.tune.schedulers import FIFOScheduler

    from duet_rl.tune.halving import Halving
    from duet_rl.tune.population import Population

    settings = config.scheduler
    if settings.kind == "none":
        return FIFOScheduler()
    if settings.kind == "asha":
        asha: Any = Halving(
            time_attr=PROGRESS,
            max_t=_PERCENT,
            grace_period=max(1, round(_PERCENT * settings.grace)),
            reduction_factor=settings.reduction,
        )
        sign = 1 if config.direction == "max" else -1
        for trial in ended:
            for row in () if trial.failed else trial.rows:
                known = SimpleNamespace(trial_id=trial.name)
                asha._brackets[0].on_result(known, row[PROGRESS], sign * row[config.judge])
        return asha
    random.seed(config.seed)  # by which the exchanges are drawn
    return Population(
        time_attr=EXCHANGE_STEP,
        perturbation_interval=settings.interval,
        quantile_fraction=settings.quantile,
        resample_probability=settings.resample,
        hyperparam_mutations={key: _mutation(one) for key, one in config.search.items()},
        custom_explore_fn=partial(within, config=config),
        require_attrs=False,
        log_config=False,
        synch=True,
    )


def within(marks: dict[str, Any], config: TuneConfig) -> dict[str, Any]:
    """Return changed values brought back into their ranges, which Tune leaves."""
    brought = dict(marks)
    for key, dimension in config.search.items():
        if dimension.range is not None:
            low, high = dimension.range
            brought[key] = min(max(marks[key], low), high)
    return brought


class Names:
    """Names the trials: by what differs, members of a population by number.

    Args:
        job: what all trials have in common.
        taken: names that no new trial may get.
        members: names of the members of a population that train.
    """

    def __init__(self, job: Job, taken: Iterable[str], members: Sequence[str] = ()) -> None:
        self._job, self._taken, self._members = job, set(taken), members
        self._named: dict[str, str] = {}

    def __call__(self, trial: Any) -> str:
        """Return the name of one of Tune's trials, always the same."""
        if trial.trial_id not in self._named:
            name = self._name(trial)
            self._taken.add(name)
            self._named[trial.trial_id] = name
        return self._named[trial.trial_id]

    def _name(self, trial: Any) -> str:
        if self._members:
            return self._members[int(trial.trial_id.rsplit("_", 1)[1])]
        name = again = name_of(self._job.values(trial.config))
        times = 1
        while again in self._taken:  # of few choices, the same ones may be proposed again
            times += 1
            again = f"{name}.{times}"
        return again


def _domain(dimension: Dimension) -> Any:
    from ray import tune

    if dimension.choice is not None:
        return tune.choice([label(value) for value in dimension.choice])
    if dimension.integer is not None:
        low, high = dimension.integer
        return tune.randint(low, high + 1)
    if dimension.loguniform is not None:
        return tune.loguniform(*dimension.loguniform)
    assert dimension.uniform is not None
    return tune.uniform(*dimension.uniform)


def _mutation(dimension: Dimension) -> Any:
    if dimension.choice is not None:  # in their order: a change goes to a neighbour
        return [label(value) for value in dimension.choice]
    return _domain(dimension)
