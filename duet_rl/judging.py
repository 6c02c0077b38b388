"""Judging: what is measured of finished runs, by our protocol or by a published one."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from duet_rl.datasets.dd100_export import axes_of
from duet_rl.datasets.humanml3d import open_text_motions
from duet_rl.datasets.humanml3d_words import WordVectors
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.followers import entrant_of, follower_in
from duet_rl.evaluate.humanml3d_evaluator import open_evaluator
from duet_rl.evaluate.humanml3d_makers import is_pgr2m, maker_in
from duet_rl.evaluate.humanml3d_table import (
    PublishedTextTable,
    published_text_table,
    write_published_texts,
)
from duet_rl.evaluate.legacy import published
from duet_rl.evaluate.legacy_page import write_published
from duet_rl.evaluate.legacy_scores import Protocol, PublishedScores
from duet_rl.evaluate.page import PAGE, write_evaluation_page
from duet_rl.evaluate.run import evaluate
from duet_rl.evaluate.table import Evaluation, write_evaluation
from duet_rl.evaluate.text import TextDancer, TextEvaluation, evaluate_text
from duet_rl.files import require_folder
from duet_rl.generate.dd100 import export_dances
from duet_rl.generate.follower import dance_clip, load_follower
from duet_rl.generate.words import text_dancer
from duet_rl.mocap.npz import write_npz
from duet_rl.run import RunConfig


def evaluate_runs(
    config: RunConfig,
    runs: Mapping[str, Path],
    data: Path,
    out: Path,
    device: str = "cpu",
    progress: bool = True,
) -> Evaluation:
    """Measure runs (name of the row -> folder) beside truth and baselines; write page and tables.

    Args:
        config: settings.
        runs: folders of followers, of runs, or of dances.
        data: folder of the clip store.
        out: gets the page, the JSON and the CSV tables.
        device: where followers dance.
        progress: whether to show a bar.

    Raises:
        InputError: a folder is none of these, or does not fit the store.
    """
    store = DuetStore.open(data)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".dances.") as scratch:
        dances = Path(scratch)
        evaluation = measure(config, runs, store, device, progress, dances)
        write_evaluation(evaluation, out)
        write_evaluation_page(out / PAGE, evaluation, store, list(runs), dances, config)
    return evaluation


def evaluate_published(
    config: RunConfig,
    protocol: Protocol,
    runs: Mapping[str, Path],
    out: Path,
    data: Path | None = None,
    reference: Path | None = None,
    music: Path | None = None,
    models: Path | None = None,
    own_files: bool = False,
    device: str = "cpu",
    progress: bool | None = None,
) -> dict[str, PublishedScores]:
    """Return what the original scripts print of each run; write page, JSON and CSV.

    Args:
        config: settings.
        protocol: whose scripts.
        runs: name -> folder of dances, or of a follower, which then dances the split that
            `config.evaluate` names.
        out: gets the files.
        data: folder of a clip store, for what the other folders do not give.
        reference: folder of the true dances; None: those of the store.
        music: folder of music features; None: those beside the reference, or of the store.
        models: folder of the body models, for the contact frequency.
        own_files: foot skating of the followers alone.
        device: where followers dance and surfaces are compared.
        progress: whether to show bars; None: if there is a terminal.

    Raises:
        InputError: no runs, a follower without data, or a folder that cannot be used.
    """
    if not runs:
        raise InputError("no run was named; give folders of dances or of followers")
    store = None if data is None else DuetStore.open(data)
    tables = {}
    for name, folder in runs.items():
        with tempfile.TemporaryDirectory() as scratch:
            dances = _danced(config, protocol, folder, store, Path(scratch), models, device)
            found = published(
                *(protocol, dances, reference, music, store, models, own_files),
                device=device,
                progress=progress,
            )
            tables[name] = replace(found, predictions=str(folder))
    write_published(out, tables, config)
    return tables


def evaluate_texts(
    config: RunConfig, runs: Mapping[str, Path], data: Path, out: Path, device: str = "cpu"
) -> TextEvaluation:
    """Measure runs that dance to words on captions of held-out dances; write JSON, CSV, evaluator.

    Args:
        config: settings.
        runs: name of the row -> folder of a follower that hears words, or of its run; none:
            the true motions and the nearest captions alone.
        data: folder of the clip store.
        out: gets the files.
        device: where followers dance.

    Raises:
        InputError: a folder holds no follower, or one that cannot dance to words alone.
    """
    store = DuetStore.open(data)
    dancers: dict[str, TextDancer] = {}
    for name, folder in runs.items():
        place = follower_in(require_folder(folder, "a follower that hears words"))
        if place is None:
            raise InputError(
                f"{folder} holds no follower; give the folder of a follower that hears words, or "
                "of its run"
            )
        try:
            dancers[name] = text_dancer(load_follower(place, device))
        except InputError as error:
            raise InputError(f"{folder}: {error}") from error
    out.mkdir(parents=True, exist_ok=True)
    return evaluate_text(store, dancers, config.evaluate_text, out)


def evaluate_humanml3d(
    config: RunConfig,
    runs: Mapping[str, Path],
    data: Path,
    evaluator: Path,
    words: Path,
    out: Path,
    device: str = "cpu",
) -> PublishedTextTable:
    """Measure makers of motion on HumanML3D by the published protocol; write JSON and CSV.

    Args:
        config: settings.
        runs: name of the row -> folder of a follower that hears words, of its run, or of a
            converted PGR2M; none: the true motions alone.
        data: folder of the data set; KIT-ML for models of it.
        evaluator: folder of the published evaluator, see `open_evaluator`.
        words: folder of its word vectors.
        out: gets the files.
        device: where motions are made.

    Raises:
        InputError: a folder that is none of these, or that does not fit the others.
    """
    asked = config.evaluate_humanml3d
    skip_bad = config.prepare.skip_bad
    motions = open_text_motions(data, asked.split, skip_bad=skip_bad)
    vectors, judge = WordVectors.open(words), open_evaluator(evaluator)
    makers = {
        name: maker_in(folder, motions.format, asked, device) for name, folder in runs.items()
    }
    departures = [
        f"{name} heard none of the key words that the data's texts were published with"
        for name, folder in runs.items()
        if is_pgr2m(folder)
    ]
    found = published_text_table(motions, vectors, judge, makers, asked, departures)
    out.mkdir(parents=True, exist_ok=True)
    write_published_texts(found, out)
    return found


def _danced(
    config: RunConfig,
    protocol: Protocol,
    folder: Path,
    store: DuetStore | None,
    scratch: Path,
    models: Path | None,
    device: str,
) -> Path:
    """Return a folder of dances: the one that is given, or what the follower in it dances."""
    place = follower_in(require_folder(folder, "the dances"))
    if place is None:
        return folder
    if store is None:
        raise InputError(f"{folder} holds a follower, which dances with a store; give --data STORE")
    out, follower, asked = scratch / "dances", load_follower(place, device), config.evaluate
    if protocol == "duolando":  # in the original's files, whose parameters give the surfaces
        export_dances(
            *(follower, store, out, axes_of(store, config.dd100), asked.split, models),
            *(asked.sampling, config.rl.seed, config.dd100.original_length),
        )
        return out
    follower.require_fits(store, f"the follower {folder}")
    out.mkdir()
    for record in store.records(asked.split):
        danced = dance_clip(follower, store.clip(record.name), config.rl.seed, asked.sampling)
        write_npz(out / f"{record.name}.npz", danced)
    return out


def measure(
    config: RunConfig,
    runs: Mapping[str, Path],
    store: DuetStore,
    device: str = "cpu",
    progress: bool = True,
    dances: Path | None = None,
) -> Evaluation:
    """Measure runs (name of the row -> folder) beside truth and baselines.

    Args:
        config: settings.
        runs: folders of followers, of runs, or of dances.
        store: the clips.
        device: where followers dance.
        progress: whether to show a bar.
        dances: a folder that gets the first seed's dance of each clip.
    """
    rewards = config.rl.rewards.without_tokens()  # true partners have no tokens
    entrants = [entrant_of(name, folder, device) for name, folder in runs.items()]
    return evaluate(store, entrants, rewards, config.evaluate, progress, dances)
