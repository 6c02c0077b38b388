"""The plots of a search: parallel coordinates, importance of the settings, and progress."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duet_rl.files import atomic_path
from duet_rl.tune.record import STEP, Trial
from duet_rl.tune.settings import Dimension, TuneConfig
from duet_rl.tune.space import label, short_names, show

PARALLEL, IMPORTANCE, PROGRESS = "parallel.png", "importance.png", "progress.png"
FEWEST = 8  # trials of which importance says anything
_TREES = 128  # of the forest that importance is read off
_NAMED = 5  # best trials that are told apart in the plot of progress
_DPI = 144
_GREY, _BLUE = "#bbbbbb", "#4477aa"
_MAP = "viridis"
_ROOM = 0.06  # of an axis, beyond its lowest and highest value
_TEXT_HALO = 2.5  # points


def draw_parallel(config: TuneConfig, trials: Sequence[Trial], out: Path) -> str | None:
    """Draw each measured trial as a line through its values to its measurement.

    Returns:
        Why nothing was drawn, if so.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    shown = _measured(config, trials)
    keys, short = list(config.search), short_names(list(config.search))
    scores = np.array([_last(config, trial) for trial in shown])
    figure = Figure((2.4 + 1.3 * len(keys), 4.8), _DPI)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    norm = Normalize(scores.min(), scores.max() if np.ptp(scores) else scores.min() + 1)
    colours = ScalarMappable(norm, _MAP if config.direction == "max" else f"{_MAP}_r")
    heights = np.array(
        [[_height(config.search[key], trial.values[key]) for key in keys] for trial in shown]
    )
    lines = np.column_stack([heights, norm(scores)])
    for trial, line, score in reversed(list(zip(shown, lines, scores, strict=True))):
        dashes = "-" if trial.status == "finished" else ":"
        colour = colours.to_rgba(score)
        axes.plot(range(len(keys) + 1), line, color=colour, alpha=0.9, linestyle=dashes)
    for place, key in enumerate(keys):
        _mark_axis(axes, place, config.search[key])
    for end in (0.0, 1.0):
        _write(axes, len(keys), end, f"{norm.inverse(end):.4g}")
    for place in range(len(keys) + 1):
        axes.axvline(place, color=_GREY, linewidth=1, zorder=0)
    axes.set_xticks(range(len(keys) + 1), [*short.values(), config.judge])
    axes.set_yticks([])
    axes.set_xlim(-_ROOM, len(keys) + 0.5)
    axes.set_ylim(-_ROOM, 1 + _ROOM)
    axes.spines[:].set_visible(False)
    last = "; values at the end" if config.scheduler.kind == "pbt" else ""
    title = f"{len(shown)} trials; dotted: not trained to the end{last}"
    axes.set_title(title, loc="left", fontsize="medium")
    figure.colorbar(colours, ax=axes, label=config.judge, shrink=0.9)
    _save(figure, out / PARALLEL)
    return None


def draw_importance(config: TuneConfig, trials: Sequence[Trial], out: Path) -> str | None:
    """Draw how much of the differences between trials each setting explains.

    It is functional ANOVA (Hutter et al. 2014, An Efficient Approach for Assessing Hyperparameter
    Importance, ICML) as Optuna computes it, of the measurements at the last step that all these
    trials were measured at: what was stopped early is compared with the others as they were then.

    Returns:
        Why nothing was drawn, if so.
    """
    found = importance(config, trials)
    if isinstance(found, str):
        (out / IMPORTANCE).unlink(missing_ok=True)
        return f"no importance: {found}"
    from matplotlib.figure import Figure

    step, count, shares = found
    short = short_names(list(config.search))
    figure = Figure((6.4, 1.4 + 0.42 * len(shares)), _DPI)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    order = sorted(shares, key=lambda key: shares[key])
    bars = axes.barh([short[key] for key in order], [shares[key] for key in order], color=_BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlim(0, 1.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"share of the variance of {config.judge} that it explains")
    axes.set_title(f"{count} trials, as they were at step {step:g}", loc="left", fontsize="medium")
    _save(figure, out / IMPORTANCE)
    return None


def importance(
    config: TuneConfig, trials: Sequence[Trial]
) -> tuple[float, int, dict[str, float]] | str:
    """Return a step, a number of trials and the share of each setting; or why there is none."""
    if config.scheduler.kind == "pbt":
        return "the settings of a population change on the way"
    shown = _measured(config, trials)
    if len(shown) < FEWEST:
        return f"{len(shown)} trials were measured, of {FEWEST} or more it would say something"
    common = set.intersection(*({row[STEP] for row in trial.rows} for trial in shown))
    if not common:
        return "the trials were measured at no common step"
    step = max(common)
    at_step = [next(row for row in trial.rows if row[STEP] == step) for trial in shown]
    scores = [row[config.judge] for row in at_step]
    if len(set(scores)) == 1:
        return f"all trials measured the same at step {step:g}"
    try:
        import optuna
    except ImportError:
        return "Optuna is not installed; install it with `pip install 'duet-rl[tune]'`"
    spaces = {key: _distribution(dimension) for key, dimension in config.search.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=config.seed))
    for trial, score in zip(shown, scores, strict=True):
        marks = {key: label(trial.values[key]) for key in config.search}
        done = optuna.trial.create_trial(params=marks, distributions=spaces, value=score)
        study.add_trial(done)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, seed=config.seed)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return step, len(shown), {key: float(shares[key]) for key in config.search}


def draw_progress(config: TuneConfig, trials: Sequence[Trial], out: Path) -> str | None:
    """Draw the measurements of each trial against steps; the best five are named.

    Returns:
        Why nothing was drawn, if so.
    """
    from matplotlib.figure import Figure

    shown = _measured(config, trials)
    figure = Figure((9.0, 4.6), _DPI)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    for place, trial in enumerate(reversed(shown)):
        rank = len(shown) - place - 1
        steps = [row[STEP] for row in trial.rows]
        values = [row[config.judge] for row in trial.rows]
        best = rank < _NAMED
        name = f"{rank + 1}. {trial.name.rsplit('.', 1)[0]}"
        axes.plot(
            steps,
            values,
            marker="." if len(steps) > 1 else "o",
            color=f"C{rank}" if best else _GREY,
            linewidth=1.8 if best else 1.0,
            label=name if best else None,
        )
    axes.set_xlabel("step")
    axes.set_ylabel(f"{config.judge}, val split")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.4)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower left", frameon=False, fontsize="small"
    )
    _save(figure, out / PROGRESS)
    return None


def _measured(config: TuneConfig, trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.rows and not trial.failed]


def _last(config: TuneConfig, trial: Trial) -> float:
    value = trial.last(config.judge)
    assert value is not None
    return value


def _height(dimension: Dimension, value: Any) -> float:
    """Return where a value lies on its axis, 0 to 1."""
    if dimension.choice is not None:
        marks = [label(one) for one in dimension.choice]
        return marks.index(label(value)) / (len(marks) - 1)
    assert dimension.range is not None
    low, high = dimension.range
    if dimension.loguniform is not None:
        low, high, value = np.log(low), np.log(high), np.log(value)
    return float((value - low) / (high - low))


def _mark_axis(axes: Any, place: int, dimension: Dimension) -> None:
    ends = dimension.choice or dimension.range or ()
    for end in ends:
        _write(axes, place, _height(dimension, end), show(end))


def _write(axes: Any, place: int, height: float, text: str) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=_TEXT_HALO, foreground="white")]
    where = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (place, height), fontsize="small", path_effects=halo, **where)


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choice is not None:
        return CategoricalDistribution([label(value) for value in dimension.choice])
    if dimension.integer is not None:
        return IntDistribution(*dimension.integer)
    assert dimension.range is not None
    return FloatDistribution(*dimension.range, log=dimension.loguniform is not None)


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
