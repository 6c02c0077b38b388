"""The report on all songs as one page: what fine-tuning did to each of them, and the dances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from duet_rl.body.motion import Motion
from duet_rl.choreograph.files import AFTER, hold_of
from duet_rl.choreograph.finetune import read_record
from duet_rl.choreograph.rehearsal import DIVERSITY
from duet_rl.choreograph.settings import ChoreographConfig
from duet_rl.choreograph.table import Choreography, row_values
from duet_rl.choreograph.task import BEFORE, DANCE, RECORD, SongResult
from duet_rl.config import Config, to_yaml
from duet_rl.datasets.clip import FPS
from duet_rl.evaluate.page import columns, differences, table_rows
from duet_rl.evaluate.table import EvaluationRow, reasons
from duet_rl.generate.charts import Curve
from duet_rl.generate.view import FARTHEST, DanceScene
from duet_rl.mocap.npz import read_npz
from duet_rl.report.data import ReportData, Stage, TableRow
from duet_rl.report.facts import machine_facts
from duet_rl.report.page import write_report

PAGE = "report.html"
_LABEL = 14  # letters of a song's name, where there is room for few
_MOST_ROWS = 20  # songs with rows of their own
_MOST_LINES = 5  # songs in the curves
_LOOKS = "Fine-tuning, look by look of the guard"  # heading of the curves
_CURVES = {"reward": "reward", "kl": "KL", "jerk": "jerk", DIVERSITY: "diversity"}
_DANCED = "Each song is danced {seeds} times; beat f1 shuffled is what chance gives."
_TUNED = (
    "Before and after fine-tuning the seeds are the same; the guard has chosen what to keep by "
    "others."
)
_INTERVALS = "Intervals of the {rows} are over songs and seeds, those of a song are over its seeds."


def write_choreography_page(
    path: Path | str,
    found: Choreography,
    sounds: Mapping[str, Path],
    leader: Motion | None,
    config: ChoreographConfig,
    settings: Config,
) -> ReportData | None:
    """Write the page as one HTML file that needs no network; return what it says.

    Args:
        path: of the file.
        found: all songs; where none was danced to there is no page.
        sounds: the sound file of each.
        leader: of all of them, if there is one.
        config: how much is shown.
        settings: for the record.
    """
    if found.evaluation is None:
        return None
    rows = list(found.rows)
    data = ReportData(
        title=f"Dances to {len(found.songs)} songs"
        if len(found.songs) > 1
        else found.songs[0].name,
        columns=columns(found.evaluation),
        rows=[*table_rows(found.evaluation), *_song_rows(found)],
        before="",
        after="",
        runs=rows[::-1],
        differences=differences(found.evaluation, rows),
        curves=_curves(found),
        stages=[Stage(song.name, song.took, song.why) for song in found.songs],
        scenes=_scenes(found, sounds, leader, config),
        settings=to_yaml(settings),
        facts=machine_facts(),
        notes=_notes(found),
        gaps=reasons(found.evaluation),
    )
    write_report(path, data)
    return data


def _song_rows(found: Choreography) -> list[TableRow]:
    """Return rows for each of the first songs."""
    if len(found.songs) == 1:  # whose numbers are those of all
        return []
    rows = []
    labels = _labels([song.name for song in found.songs[:_MOST_ROWS]])
    for song, label in zip(found.songs, labels, strict=False):
        told = {BEFORE: song.before, AFTER: song.kept} if found.tuned else {DANCE: song.before}
        for name, numbers in told.items():
            row = EvaluationRow(name, row_values(numbers))
            cells = {measure: row.cell(measure) for measure in row.measures}
            rows.append(TableRow(f"{label}, {name}", cells))
    return rows


def _labels(names: Sequence[str]) -> list[str]:
    """Return names that are short enough for the chart, and differ."""
    short = [name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…" for name in names]
    if len(set(short)) == len(short):
        return short
    return [f"{place}. {name}"[:_LABEL] for place, name in enumerate(names, start=1)]


def _curves(found: Choreography) -> list[Curve]:
    """Return what the guard saw of the first songs."""
    curves = []
    for song in found.songs[:_MOST_LINES]:
        checks = read_record(found.out / song.name / RECORD)
        for field, name in _CURVES.items():
            values = [getattr(check, field) for check in checks]
            known = [float("nan") if value is None else value for value in values]
            steps = [check.iteration for check in checks]
            if checks:
                curves.append(Curve(name, steps, known, _LOOKS, song.name))
    return curves


def _scenes(
    found: Choreography,
    sounds: Mapping[str, Path],
    leader: Motion | None,
    config: ChoreographConfig,
) -> list[DanceScene]:
    """Return the beginnings of the first dances; one that leaves the page's reach is left out."""
    frames = round(config.shown_seconds * FPS)
    scenes: list[DanceScene] = []
    for song in found.songs:
        if len(scenes) == config.shown_songs:
            break
        folder = found.out / song.name
        dances = {
            name: read_npz(file).slice(0, frames)
            for name, file in _dances(folder, song).items()
            if file.is_file()
        }
        first = next(iter(dances.values()), None)
        led = None if leader is None or first is None else leader.slice(0, first.frames)
        seen = [*dances.values(), *([] if led is None else [led])]
        if not dances or max(float(one.joints.abs().max()) for one in seen) > FARTHEST:
            continue
        beats = [beat for beat in song.beats if first is None or beat < first.seconds]
        hold = None if led is None or song.holds is None else hold_of(song.holds, led.frames)
        scene = DanceScene(song.name, led, dances, sounds[song.name], beats, song.why, hold=hold)
        scenes.append(scene)
    return scenes


def _dances(folder: Path, song: SongResult) -> dict[str, Path]:
    """Return what can be seen of a song: before and after, or the dance."""
    dance = folder / f"{DANCE}.npz"
    if song.iteration == 0:
        return {DANCE: dance}
    return {BEFORE: folder / f"{BEFORE}.npz", AFTER: dance}


def _notes(found: Choreography) -> list[str]:
    assert found.evaluation is not None
    notes = [_DANCED.format(seeds=found.evaluation.seeds)]
    if len(found.songs) > 1:
        rows = [f'"{row}"' for row in found.rows]
        told = f"row{'s' if len(rows) > 1 else ''} {' and '.join(rows)}"
        notes.append(_INTERVALS.format(rows=told))
    if found.tuned:
        notes.insert(1, _TUNED)
        kept = sum(song.iteration > 0 for song in found.songs)
        notes.insert(0, f"{kept} of {len(found.songs)} songs have a better dance than before.")
    if len(found.songs) > _MOST_ROWS:
        notes.append(f"The first {_MOST_ROWS} songs have rows; clips.csv has all of them.")
    return [*notes, *(f"{name} failed: {why}" for name, why in found.faults.items())]
