"""Followers measured side by side, from Python."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.storage.mirror import fetched
from duet_rl.storage.places import is_uri

if TYPE_CHECKING:
    from duet_rl.evaluate.table import Evaluation

Runs: TypeAlias = Mapping[str, Path | str] | Iterable[Path | str] | Path | str


def compare(
    runs: Runs,
    data: Path | str,
    settings: Iterable[str] = (),
    *,
    out: Path | str | None = None,
    preset: str = "tiny",
    device: str = "cpu",
    progress: bool = False,
) -> "Evaluation":
    """Measure followers on held-out clips, beside the truth, baselines and noise.

    It is the strict protocol of `duet-rl evaluate`. `evaluation.row(name).interval(measure)` is a
    mean with its bootstrap interval, `evaluation.to_json()` all of it.

    Args:
        runs: name -> folder of a follower, of a run, or of dances; or folders alone, whose names
            are those of the rows.
        data: folder or URI of a clip store.
        settings: over the preset, such as `evaluate.seeds=5`.
        out: a folder that gets the page and the tables; None: nothing is written.
        preset: a shipped preset, or a YAML file.
        device: where followers dance.
        progress: whether to show a bar.

    Raises:
        InputError: a folder is none of these, does not fit the store, or a setting is wrong.
    """
    from duet_rl.datasets.store import DuetStore
    from duet_rl.judging import evaluate_runs, measure
    from duet_rl.run import RunConfig

    config, store = resolve(RunConfig, preset, list(settings)), fetched(data)
    folders = {name: fetched(folder) for name, folder in _named(runs)}
    if out is None:
        return measure(config, folders, DuetStore.open(store), device, progress)
    return evaluate_runs(config, folders, store, Path(out), device, progress)


def _named(runs: Runs) -> Iterator[tuple[str, Path | str]]:
    """Yield folders with their names.

    Raises:
        InputError: two of one name.
    """
    if isinstance(runs, Mapping):
        yield from runs.items()
        return
    seen: dict[str, Path | str] = {}
    for run in [runs] if isinstance(runs, Path | str) else runs:
        name = Path(os.path.abspath(run)).name if not is_uri(run) else str(run).split("/")[-1]
        if name in seen:
            raise InputError(
                f"two runs are called {name!r}: {seen[name]} and {run}; give a mapping, name -> run"
            )
        seen[name] = run
        yield name, run
