"""What came of a search: a table, files, and the best settings as a preset."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from duet_rl.config import BASED_ON, merge
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.observe.passwords import without_password
from duet_rl.text_table import aligned
from duet_rl.tune.plot import draw_importance, draw_parallel, draw_progress
from duet_rl.tune.record import STEP, Trial
from duet_rl.tune.settings import TuneConfig
from duet_rl.tune.space import nested, short_names, show
from duet_rl.tune.trial import Job

BEST, TABLE, DATA = "best.yaml", "results.csv", "results.json"
_REASON_LENGTH = 100  # characters of a failure in the terminal
_MINUTE = 60.0  # s


@dataclass(frozen=True)
class Outcome:
    """The trials of a search, the best first, and what else is to be said.

    Args:
        config: the search.
        trials: the best first; what failed or was not measured comes last.
        best: the best trial.
        preset: file of its settings.
        product: folder of what it trained, if it was trained to its end.
        notes: plots that could not be drawn, and why.
    """

    config: TuneConfig
    trials: tuple[Trial, ...]
    best: Trial
    preset: Path
    product: Path | None
    notes: tuple[str, ...]


def write_results(job: Job, trials: list[Trial]) -> Outcome:
    """Write table, data, plots and the best preset into the folder of the search.

    Raises:
        InputError: no trial was measured.
    """
    config, out = job.config, job.out
    ordered = ranked(config, trials)
    _write_csv(config, ordered, out / TABLE)
    _write_json(config, ordered, out / DATA)
    best = next((trial for trial in ordered if trial.rows and not trial.failed), None)
    if best is None:
        (out / BEST).unlink(missing_ok=True)
        reasons = [trial.reason for trial in ordered if trial.reason] or ["the time was up"]
        raise InputError(
            f"no trial of {out} could be measured ({reasons[0]}); mend that, or raise the budget, "
            "and search again"
        )
    with atomic_path(out / BEST) as temporary:
        temporary.write_text(without_password(preset_of(config, best)))
    drawn = (draw_parallel, draw_importance, draw_progress)
    notes = [note for draw in drawn if (note := draw(config, ordered, out)) is not None]
    product = job.product(best.name) if job.is_trained(best.name) else None
    return Outcome(config, tuple(ordered), best, out / BEST, product, tuple(notes))


def ranked(config: TuneConfig, trials: list[Trial]) -> list[Trial]:
    """Return trials by their last measurement, the best first; the failed ones come last."""
    sign = 1 if config.direction == "min" else -1

    def place(trial: Trial) -> tuple[int, float, str]:
        value = trial.judged(config.judge)
        if value is None:
            return 1, 0.0, trial.name
        return 0, sign * value, trial.name

    return sorted(trials, key=place)


def preset_of(config: TuneConfig, trial: Trial) -> str:
    """Return the settings of a trial as a preset for `--preset`, without defaults."""
    own = merge(config.settings, nested(trial.values))
    base: dict[str, Any] = {} if config.preset is None else {BASED_ON: config.preset}
    steps = trial.rows[-1][STEP] if trial.rows else 0
    head = (
        f"# Found by a search for {config.stage}: {config.judge} {trial.last(config.judge):.6g} on "
        f"the val split\n# after {steps:g} steps of trial {trial.name} ({trial.status}).\n"
    )
    return head + yaml.safe_dump(merge(base, own), sort_keys=False)


def as_text(outcome: Outcome) -> str:
    """Return the table for the terminal, and what to do with the best settings."""
    config = outcome.config
    short = short_names(list(config.search))
    head = ["", *short.values(), config.judge, "step", "min", "", ""]
    rows = [
        [
            "-" if trial.failed else str(place),
            *(show(trial.values[key]) for key in config.search),
            "-" if (value := trial.judged(config.judge)) is None else f"{value:.4g}",
            f"{trial.rows[-1][STEP]:g}" if trial.rows else "0",
            f"{trial.seconds / _MINUTE:.1f}",
            trial.status,
            trial.reason[:_REASON_LENGTH],
        ]
        for place, trial in enumerate(outcome.trials, start=1)
    ]
    lines = aligned([head, *rows])
    command = "rl" if config.stage == "rl" else f"pretrain {config.stage}"
    lines.append(f"best: {outcome.best.name}; settings for `{command} --preset`: {outcome.preset}")
    if outcome.product is not None:
        lines.append(f"what it trained: {outcome.product}")
    return "\n".join([*lines, *outcome.notes])


def _write_csv(config: TuneConfig, trials: list[Trial], path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["trial", "status", *config.search, config.judge, "step", "seconds", "reason"]
        )
        for trial in trials:
            writer.writerow(
                [
                    trial.name,
                    trial.status,
                    *(trial.values[key] for key in config.search),
                    trial.judged(config.judge),
                    trial.rows[-1][STEP] if trial.rows else 0,
                    trial.seconds,
                    trial.reason,
                ]
            )


def _write_json(config: TuneConfig, trials: list[Trial], path: Path) -> None:
    content = {
        "metric": config.judge,
        "mode": config.direction,
        "trials": [_facts(trial) for trial in trials],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _facts(trial: Trial) -> Mapping[str, Any]:
    return {
        "name": trial.name,
        "status": trial.status,
        "reason": trial.reason,
        "values": dict(trial.values),
        "history": [{"step": step, "values": dict(values)} for step, values in trial.history],
        "measurements": list(trial.rows),
    }
