"""The comparison of losses: one task, one start, every loss at every staleness, several seeds."""

import json
import logging
from pathlib import Path
from typing import Any

from tqdm import tqdm

from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.generate.follower import load_follower
from duet_rl.lab.cell import Cell, LabPlan, run_cell, run_references
from duet_rl.lab.comparison import Comparison, compare
from duet_rl.lab.measure import held_out
from duet_rl.lab.plot import draw_comparison
from duet_rl.lab.results import Results
from duet_rl.lab.settings import LabConfig
from duet_rl.models.sampling import SamplingConfig
from duet_rl.models.window_gpt import WindowGPTConfig
from duet_rl.resources import start_ray
from duet_rl.rl.checks import check_settings
from duet_rl.rl.settings import RLConfig

logger = logging.getLogger(__name__)

FOLDER = "lab"  # in the run's folder
TABLE, PLOT = "losses.json", "losses.png"
_REFERENCES = "references"  # name of their line among the results
_TRAININGS_A_PROCESS = 4


def run_lab(
    lab: LabConfig,
    rl: RLConfig,
    sampling: SamplingConfig,
    follower: Path | str,
    data: Path | str,
    out: Path | str,
    progress: bool = True,
) -> Comparison:
    """Train with every loss, staleness and seed that is missing, and return what all say.

    Each training takes one core of the cluster. What is finished is in `out/lab/cells.jsonl`, and
    is done again only where its settings, the follower or the data are others. The table and the
    plot are written beside it.

    Args:
        lab: which losses, ages and seeds, and how long each training is.
        rl: rewards, learning rates and the settings of each loss.
        sampling: of the held-out dances.
        follower: the folder that all trainings begin with.
        data: folder of the clip store.
        out: folder of the run.
        progress: whether to show a bar.

    Raises:
        InputError: settings, follower and data do not fit each other, or trainings failed.
    """
    follower, data = Path(follower).resolve(), Path(data).resolve()
    plan = LabPlan(lab, rl, sampling, follower, data, _hashes_of(lab, rl, follower, data))
    results = Results(Path(out) / FOLDER)
    wanted = [None, *plan.cells]
    missing = [cell for cell in wanted if plan.key_of(cell) not in results]
    if missing:
        _run(plan, missing, results, len(wanted), progress)
    found = {cell: results[plan.key_of(cell)] for cell in plan.cells}
    comparison = compare(results[plan.key_of(None)], found)
    _write(Path(out) / FOLDER, plan, comparison, found)
    return comparison


def _hashes_of(lab: LabConfig, rl: RLConfig, follower: Path, data: Path) -> tuple[str, str]:
    """Return what follower and data are known by, after making sure that all fits.

    Raises:
        InputError: says what does not.
    """
    start, store = load_follower(follower), DuetStore.open(data)
    start.require_fits(store, f"the follower {follower}")
    store.require_couples("the comparison of losses")
    gpt = start.model.config
    if isinstance(gpt, WindowGPTConfig):
        raise InputError(
            f"{follower} is a {gpt.architecture} GPT, which few of the losses can refine; give a "
            "follower of `duet-rl pretrain` with a preset such as tiny or small"
        )
    for loss in lab.losses:
        check_settings(rl.model_copy(update={"loss": loss}), gpt)
    if not rl.reference:
        raise InputError("rl.reference is false, and the lab measures KL to it; set it to true")
    held_out(store, lab)
    return sha256_of(follower), store.hash


def _run(
    plan: LabPlan, missing: list[Cell | None], results: Results, total: int, progress: bool
) -> None:
    """Do what is missing, a core each, and add each result as it comes.

    Raises:
        InputError: some failed; those that did not are kept.
    """
    started = start_ray()
    import ray

    try:
        workers = plan.lab.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        # An algorithm that has stopped leaves some 100 MB in its process.
        task: Any = ray.remote(num_cpus=1, max_retries=1, max_calls=_TRAININGS_A_PROCESS)(_run_one)
        faults: list[str] = []
        running: dict[Any, Cell | None] = {}
        todo = list(reversed(missing))
        done_before, quiet = total - len(missing), not progress
        with tqdm(None, "lab", total, initial=done_before, unit="training", disable=quiet) as bar:
            while todo or running:
                while todo and len(running) < workers:
                    cell = todo.pop()
                    running[task.remote(plan, cell)] = cell
                (done,), _ = ray.wait(list(running), num_returns=1)
                cell = running.pop(done)
                try:
                    results.add(plan.key_of(cell), _name_of(cell), ray.get(done))
                except ray.exceptions.RayError as error:
                    faults.append(f"{_name_of(cell)} ({_last_line(error)})")
                bar.update()
    finally:
        if started:
            ray.shutdown()
    if faults:
        raise InputError(
            f"{len(faults)} of {len(missing)} trainings failed: {'; '.join(faults)}; the others "
            "are kept, and the same command tries these again"
        )


def _run_one(plan: LabPlan, cell: Cell | None) -> dict[str, Any]:
    return run_references(plan) if cell is None else run_cell(plan, cell)


def _name_of(cell: Cell | None) -> str:
    return _REFERENCES if cell is None else str(cell)


def _last_line(error: Exception) -> str:
    """Return the line of a report of Ray that says what happened."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1] if lines else 'no message'}"


def _write(
    folder: Path, plan: LabPlan, comparison: Comparison, found: dict[Cell, dict[str, Any]]
) -> None:
    """Write every number as JSON, and the plot."""
    everything = {
        **comparison.to_json(),
        "trainings": [{**cell._asdict(), **result} for cell, result in found.items()],
        "settings": {
            "lab": plan.lab.model_dump(mode="json"),
            "rl": plan.rl.model_dump(mode="json"),
            "sampling": plan.sampling.model_dump(mode="json"),
        },
        "follower_hash": plan.hashes[0],
        "data_hash": plan.hashes[1],
    }
    with atomic_path(folder / TABLE) as temporary:
        temporary.write_text(json.dumps(everything, indent=1) + "\n")
    draw_comparison(comparison, folder / PLOT)
    logger.info("%s and %s are written", folder / TABLE, folder / PLOT)
