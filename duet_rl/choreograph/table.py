"""What is told of all songs: a line each, the evaluation of before and after, and JSON."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.choreograph.files import AFTER
from duet_rl.choreograph.rehearsal import DIVERSITY, REWARD
from duet_rl.choreograph.task import BEFORE, DANCE, SongResult
from duet_rl.evaluate.table import Evaluation, EvaluationRow, write_evaluation
from duet_rl.files import atomic_path
from duet_rl.text_table import aligned

JSON = "choreograph.json"  # of all songs, in their folder
_SHOWN = {  # measure -> head of its column
    REWARD: "reward",
    "beat_f1": "beat F1",
    "beat_f1_shuffled": "by chance",
    "foot_slide": "slide m/s",
    "jerk": "jerk m/s^3",
    DIVERSITY: "diversity m",
    "frozen_share": "frozen",
}

Numbers = Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Choreography:
    """What became of all songs.

    Args:
        out: their folder.
        songs: those that were danced to, in the order they were given.
        faults: name of each other one -> why not.
        evaluation: of all dances; None where there is none.
    """

    out: Path
    songs: tuple[SongResult, ...]
    faults: Mapping[str, str]
    evaluation: Evaluation | None

    @property
    def tuned(self) -> bool:
        """Whether followers were fine-tuned to the songs."""
        return any(song.after is not None for song in self.songs)

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows of the evaluation."""
        return (BEFORE, AFTER) if self.tuned else (DANCE,)


def evaluation_of(songs: Sequence[SongResult]) -> Evaluation | None:
    """Return the dances of all songs as an evaluation, whose clips are the songs."""
    if not songs:
        return None
    tuned = any(song.after is not None for song in songs)
    rows = [EvaluationRow(BEFORE if tuned else DANCE, _values([song.before for song in songs]))]
    if tuned:
        rows.append(EvaluationRow(AFTER, _values([song.kept for song in songs])))
    marks = json.dumps([song.fingerprint for song in songs])
    seeds = max(len(values) for values in songs[0].before.values())
    return Evaluation(
        rows, [song.name for song in songs], seeds, hashlib.sha256(marks.encode()).hexdigest()
    )


def as_text(found: Choreography) -> str:
    """Return the table of all songs, a line each; means over the seeds, before -> after."""
    lines = []
    if found.songs:
        head = ["song", "s", *_SHOWN.values(), *(["KL"] if found.tuned else []), "took s"]
        lines = aligned([head, *(_cells(song, found.tuned) for song in found.songs)])
    if found.tuned:
        lines += ["", *(f"{song.name}: {song.why}" for song in found.songs)]
    lines += [f"{song.name}: {why}" for song in found.songs for why in song.missing]
    lines += [f"{name} failed: {why}" for name, why in found.faults.items()]
    return "\n".join(lines)


def write_tables(found: Choreography) -> None:
    """Write the JSON of all songs, and the files of the evaluation beside it."""
    known: dict[str, Any] = {
        "songs": [song.model_dump(mode="json") for song in found.songs],
        "failed": dict(found.faults),
    }
    with atomic_path(found.out / JSON) as temporary:
        temporary.write_text(json.dumps(known, indent=1) + "\n")
    if found.evaluation is not None:
        write_evaluation(found.evaluation, found.out)


def row_values(numbers: Numbers) -> dict[str, Float[Tensor, "1 seeds"]]:
    """Return the numbers of one song as those of an evaluation of it alone."""
    return _values([numbers])


def _values(songs: Sequence[Numbers]) -> dict[str, Float[Tensor, "songs seeds"]]:
    """Return a value for each song and seed, NaN where a measure does not apply."""
    names = dict.fromkeys(name for song in songs for name in song)
    seeds = max(len(values) for song in songs for values in song.values())
    nothing: tuple[float | None, ...] = (None,) * seeds
    return {
        name: torch.tensor([[_float(x) for x in song.get(name, nothing)] for song in songs])
        for name in names
    }


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _cells(song: SongResult, tuned: bool) -> list[str]:
    cells = [song.name, f"{song.seconds:.0f}"]
    for measure in _SHOWN:
        before, after = _mean(song.before, measure), _mean(song.kept, measure)
        cells.append(before if song.iteration == 0 else f"{before} -> {after}")
    if tuned:
        cells.append("-" if song.kl is None else f"{song.kl:.2f}")
    return [*cells, f"{song.took:.0f}"]


def _mean(numbers: Numbers, measure: str) -> str:
    found = [value for value in numbers.get(measure, ()) if value is not None]
    return f"{sum(found) / len(found):.3g}" if found else "-"
