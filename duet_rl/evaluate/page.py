"""The page of an evaluation: who is ahead, all tables, curves over the clips, and the dances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from duet_rl.body.motion import Motion
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.baselines import NEAREST, PLANTED, TRUTH
from duet_rl.evaluate.dances import FARTHEST, kept_dance
from duet_rl.evaluate.scores import REWARD_PREFIX, TOTAL
from duet_rl.evaluate.table import Evaluation, describe, reasons, title
from duet_rl.generate.charts import Curve
from duet_rl.generate.view import DanceScene
from duet_rl.metrics.bootstrap import Interval, bootstrap_mean
from duet_rl.observe.trackers import shown
from duet_rl.report.data import Column, Difference, ReportData, TableRow
from duet_rl.report.facts import machine_facts
from duet_rl.report.page import write_report

PAGE = "report.html"
DECIDES = REWARD_PREFIX + TOTAL
_CURVES = (DECIDES, "foot_slide", "root_error", "facing_error", "contact_f1", "beat_f1", "jerk")
_LINES = 5  # in a chart, at most
_SCENES = ("worst", "median", "best")


def write_evaluation_page(
    path: Path | str,
    evaluation: Evaluation,
    store: DuetStore,
    runs: Sequence[str],
    dances: Path,
    settings: Config,
) -> ReportData:
    """Write the page as one HTML file that needs no network; return what it says.

    Args:
        path: of the file.
        evaluation: all rows.
        store: where the clips are.
        runs: names of the rows that are compared side by side; others stand beside them.
        dances: folder with the first seed's dance of each clip, as `evaluate` leaves it.
        settings: for the record.
    """
    data = ReportData(
        title=" against ".join(runs) if runs else "Baselines",
        columns=columns(evaluation),
        rows=table_rows(evaluation),
        before="",
        after="",
        runs=runs,
        differences=differences(evaluation, runs),
        curves=curves_over_clips(evaluation, runs),
        scenes=telling_scenes(evaluation, store, runs, dances),
        settings=shown(settings),
        facts={**machine_facts(), "data hash": store.hash[:16]},
        notes=notes_on(evaluation, store, runs),
        gaps=reasons(evaluation),
    )
    write_report(path, data)
    return data


def notes_on(evaluation: Evaluation, store: DuetStore, runs: Sequence[str]) -> list[str]:
    """Return what a reader must know of the data, and how the runs stand to who only remembers."""
    rendered = [record.name for record in store.records() if record.music_source == "rendered"]
    learned = {record.name for record in store.records("train")} & set(evaluation.clips)
    which = "of the training itself" if learned else "that were kept from the training"
    notes = [
        f"Measured on {len(evaluation.clips)} clips {which}, "
        f"{evaluation.seeds} sampling seeds each; data: {store.summary()}."
    ]
    if rendered:
        notes.append(
            f"{len(rendered)} takes have no recorded music: theirs was rendered at a tempo "
            "estimated from the feet, so the beat columns mean little."
        )
    for run in runs:
        found = {name: paired_difference(evaluation, run, name) for name in (NEAREST, PLANTED)}
        more = " and ".join(f"{gain:+.3f} to {name}" for name, gain in found.items() if gain)
        if more:
            notes.append(f"{run}: {title(DECIDES)} {more}, paired.")
    return notes


def columns(evaluation: Evaluation) -> list[Column]:
    """Return the columns of the tables."""
    known = {measure: describe(measure) for measure in evaluation.measures}
    return [
        Column(key, title(key), one.unit, one.better, one.group, one.meaning)
        for key, one in known.items()
    ]


def table_rows(evaluation: Evaluation) -> list[TableRow]:
    """Return the rows of the tables."""
    return [
        TableRow(row.name, {key: row.cell(key) for key in row.measures}) for row in evaluation.rows
    ]


def paired_difference(
    evaluation: Evaluation, run: str, other: str, measure: str = DECIDES
) -> Interval | None:
    """Return how much more of a measure one row has than another, clip by clip and seed by seed.

    Chance in both dances widens the interval, and what makes a clip hard for both does not. None
    where there is no such row, or no clip to which the measure applies for both.
    """
    rows = {row.name: row for row in evaluation.rows}
    if run not in rows or other not in rows:
        return None
    ours, theirs = rows[run].values.get(measure), rows[other].values.get(measure)
    if ours is None or theirs is None:
        return None
    more = ours - theirs  # one that is not sampled is the same for every seed
    return bootstrap_mean(more) if torch.isfinite(more).any() else None


def differences(evaluation: Evaluation, runs: Sequence[str]) -> list[Difference]:
    """Return the paired differences of the total reward between all runs."""
    pairs = [(run, other) for run in runs for other in runs if run != other]
    found = [(*pair, paired_difference(evaluation, *pair)) for pair in pairs]
    return [Difference(run, other, gain) for run, other, gain in found if gain is not None]


def curves_over_clips(evaluation: Evaluation, runs: Sequence[str]) -> list[Curve]:
    """Return, for the measures that tell most, the clips' values from the lowest to the highest."""
    names = [name for name in _beside(runs) if name in {row.name for row in evaluation.rows}]
    if len(names) > _LINES:  # the first runs, and who they are held against
        names = [*names[: _LINES - 2], *names[-2:]]
    curves = []
    for measure in _CURVES:
        for name in names:
            values = evaluation.row(name).values.get(measure)
            if values is None or not torch.isfinite(values).any():
                continue
            means = values.nanmean(1)
            ordered = means[torch.isfinite(means)].sort().values.tolist()
            share = np.linspace(0, 100, len(ordered)).round(1).tolist()
            heading = "Clips from the lowest to the highest value, 0 to 100 %"
            curves.append(Curve(title(measure), share, ordered, heading, name))
    return curves


def telling_scenes(
    evaluation: Evaluation, store: DuetStore, runs: Sequence[str], dances: Path
) -> list[DanceScene]:
    """Return the dances of the clips in which the first run is worst, median and best.

    It is ranked by the total reward of the dances that are shown, those of the first seed. A clip
    so far from the origin that the page cannot draw it is left out.
    """
    judge = next(iter(runs), NEAREST)
    if judge not in {row.name for row in evaluation.rows}:
        return []
    reward = evaluation.row(judge).values[DECIDES][:, 0]
    order = reward.argsort().tolist()
    places = {0: _SCENES[0], len(order) // 2: _SCENES[1], len(order) - 1: _SCENES[2]}
    scenes = []
    for place, word in places.items():
        clip = store.clip(evaluation.clips[order[place]])
        if not clip.solo and clip.duet.leader.joints.abs().max() > FARTHEST:
            continue  # nor would anybody be seen beside him
        followers = {
            name: motion
            for name in _beside(runs)
            if (motion := _danced(dances, name, clip)) is not None
        }
        told = f"{word} of {len(order)} clips by the total reward of {judge}: "
        scenes.append(_scene(clip, followers, f"{told}{reward[order[place]]:.3f}", word))
    return scenes


def _beside(runs: Sequence[str]) -> list[str]:
    """Return the rows that are looked at: the runs, the truth, and what is hard to beat."""
    return [*runs, TRUTH, PLANTED]


def _scene(clip: DuetClip, followers: Mapping[str, Motion], note: str, word: str) -> DanceScene:
    return DanceScene(
        name=f"{word}: {clip.name}",
        leader=None if clip.solo else clip.duet.leader,
        followers=followers,
        audio=clip.audio,
        audio_start=clip.audio_start / FPS,
        beats=[round(frame / FPS, 3) for frame in clip.beats.nonzero()[:, 0].tolist()],
        hold=None if clip.solo else clip.hold,
        note=f"{note}; {clip.style}, music {clip.music_source}",
    )


def _danced(dances: Path, row: str, clip: DuetClip) -> Motion | None:
    """Return a dance as positions; only they are drawn."""
    if row == TRUTH:
        seen = clip.duet.follower.joints.abs().max() <= FARTHEST
        return clip.duet.follower if seen else None
    joints = kept_dance(dances, row, clip.name)
    if joints is None:
        return None
    still = torch.eye(3).expand(*joints.shape[:2], 3, 3)
    return Motion(joints, still, clip.duet.follower.skeleton, FPS)
