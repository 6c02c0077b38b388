"""The settings of a search: what is tried, how it is judged, and when it is enough."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from duet_rl.config import (
    Config,
    load_preset,
    merge,
    parse_overrides,
    parse_yaml,
    preset_names,
    read_yaml,
    validate,
)
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.run import RunConfig

Stage = Literal["pose", "translation", "follower", "rl"]
Mode = Literal["min", "max"]

SEARCH, SETTINGS, SMOKE, PRESET = "search", "settings", "smoke", "preset"  # keys of the file
_KINDS = ("choice", "uniform", "loguniform", "integer")
HELD_OUT = ("val/", "rollout/")  # tags of what is measured on the val split
_FALLING = ("val/", "rollout/root_error")  # tags of what is better when it is lower


class Dimension(Config):
    """The values of one setting, by exactly one of these."""

    choice: tuple[Any, ...] | None = Field(None, min_length=2)
    uniform: tuple[float, float] | None = None  # lowest and highest
    loguniform: tuple[float, float] | None = None  # lowest and highest, each factor as likely
    integer: tuple[int, int] | None = None  # lowest and highest, both included

    @property
    def kind(self) -> str:
        """Return by what the values are given."""
        return next(name for name in _KINDS if getattr(self, name) is not None)

    @property
    def range(self) -> tuple[float, float] | None:
        """Return the lowest and highest value, where values have an order."""
        return self.uniform or self.loguniform or self.integer

    @model_validator(mode="after")
    def _one_of_them(self) -> "Dimension":
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{given or 'nothing'} is given; give one of {', '.join(_KINDS)}")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("give the lowest value, then a higher one")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError("a range of factors begins above 0")
        return self


class SchedulerConfig(Config):
    """What becomes of trials on the way.

    `asha` stops trials that are behind the others at the same point (Li et al. 2020, A System for
    Massively Parallel Hyperparameter Tuning, arXiv 1810.05934). `pbt` lets the worst members of a
    population go on from the best, with changed settings (Jaderberg et al. 2017, Population Based
    Training of Neural Networks, arXiv 1711.09846); all members meet at each exchange.
    """

    kind: Literal["asha", "none", "pbt"] = "asha"

    grace: float = Field(0.1, gt=0, lt=1)  # asha: share of a trial that is never cut short
    reduction: float = Field(3.0, gt=1)  # asha: of so many trials one goes on at each point

    interval: int = Field(20, ge=1)  # pbt: steps between exchanges
    quantile: float = Field(0.25, gt=0, le=0.5)  # pbt: share that is replaced, by as many best
    resample: float = Field(0.25, ge=0, le=1)  # pbt: probability of a fresh value, not a changed


class ResourcesConfig(Config):
    """What a trial gets; env runners of RL get a processor each beside it."""

    cpus: float = Field(1.0, gt=0)
    gpus: float = Field(0.0, ge=0)


class BudgetConfig(Config):
    """When a search ends; the first limit counts."""

    trials: int | None = Field(20, ge=1)
    hours: float | None = Field(None, gt=0)  # of search, over all calls

    @model_validator(mode="after")
    def _some_limit(self) -> "BudgetConfig":
        if self.trials is None and self.hours is None:
            raise ValueError("give a number of trials, or hours")
        return self


class JudgedConfig(Config):
    """The held-out dances by which trials of RL are judged, the same for all."""

    clips: int = Field(16, ge=1)  # of the val split, at most
    tokens: int = Field(64, ge=2)  # token steps of each, at most


class TuneConfig(Config):
    """A search for settings."""

    # A shipped preset that all trials have in common. Of a YAML file, `load_search` puts the values
    # into `settings`: trials may run where the file is not.
    preset: str | None = "tiny"
    stage: Stage  # what is trained
    settings: dict[str, Any] = Field(default_factory=dict)  # over the preset, for all trials
    search: dict[str, Dimension] = Field(min_length=1)  # dotted setting -> its values

    metric: str | None = None  # None: val/loss, or for RL rollout/total
    mode: Mode | None = None  # None: as the metric is better
    report_every: int = Field(20, ge=1)  # steps between measurements
    judged: JudgedConfig = JudgedConfig()

    scheduler: SchedulerConfig = SchedulerConfig()
    searcher: Literal["optuna", "random"] = "optuna"
    budget: BudgetConfig = BudgetConfig()
    resources: ResourcesConfig = ResourcesConfig()
    concurrent: int | None = Field(None, ge=1)  # trials at once; None: what there is room for
    retries: int = Field(1, ge=0)  # of a trial whose process is lost
    seed: int = Field(0, ge=0)  # of the search

    @field_validator("metric")
    @classmethod
    def _held_out(cls, metric: str | None) -> str | None:
        if metric is not None and not metric.startswith(HELD_OUT):
            raise ValueError(f"give what is measured on held-out dances: {' or '.join(HELD_OUT)}")
        return metric

    @property
    def judge(self) -> str:
        """Return the tag of what trials are compared by."""
        return self.metric or ("rollout/total" if self.stage == "rl" else "val/loss")

    @property
    def direction(self) -> Mode:
        """Return whether less or more of it is better."""
        return self.mode or ("min" if self.judge.startswith(_FALLING) else "max")


def load_search(path: Path, overrides: Sequence[str] = (), smoke: bool = False) -> TuneConfig:
    """Return the search in a YAML file.

    Args:
        path: the file.
        overrides: `key=value` words over it; keys of the search (`budget.trials=50`) or settings
            of all trials (`rl.iterations=200`). A dimension is replaced as a whole, or with
            `null` left out.
        smoke: whether the block `smoke` of the file is put over the rest.

    Raises:
        InputError: no such file, an unknown key, or a value of the wrong kind.
    """
    values = parse_yaml(read_yaml(require_file(path, "a search")), str(path))
    small = values.pop(SMOKE, None)
    layers = [values]
    if smoke:
        if not isinstance(small, Mapping):
            raise InputError(f"{path} has no block `{SMOKE}`; run it without --smoke")
        layers.append(dict(small))
    layers.append(_placed(parse_overrides(overrides)))
    merged: dict[str, Any] = {}
    dimensions: dict[str, Any] = {}
    for layer in layers:
        found = layer.pop(SEARCH, None) or {}
        if not isinstance(found, Mapping):
            raise InputError(f"{path}: {SEARCH} is {found!r}; give settings and their values")
        dimensions |= _flat(found)
        merged = merge(merged, layer)
    kept = {key: dimension for key, dimension in dimensions.items() if dimension is not None}
    preset = merged.get(PRESET)
    if isinstance(preset, str) and preset not in preset_names():
        common = merged.get(SETTINGS) or {}
        merged |= {PRESET: None, SETTINGS: merge(load_preset(preset), common)}
    return validate(TuneConfig, {**merged, SEARCH: kept}, str(path))


def _placed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides with the settings of trials where the file has them."""
    of_trials = {key: value for key, value in tree.items() if key in RunConfig.model_fields}
    own = {key: value for key, value in tree.items() if key not in of_trials}
    return merge(own, {SETTINGS: of_trials}) if of_trials else own


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dimensions by dotted key, also where they were written in nested mappings."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping) and not any(kind in value for kind in _KINDS)
        flat |= _flat(value, f"{prefix}{key}.") if inner and value else {f"{prefix}{key}": value}
    return flat
