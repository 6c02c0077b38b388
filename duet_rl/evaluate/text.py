"""Text to motion on one's own dances: held-out captions, makers of motion, truth and controls."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.captions.captioner import Captioner
from duet_rl.captions.detect import facts_of, true_among
from duet_rl.captions.facts import KINDS, Stated
from duet_rl.captions.parse import read
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.table_files import write_json, write_rows
from duet_rl.evaluate.text_evaluator import (
    FEWEST_FRAMES,
    EvaluatorConfig,
    LocalEvaluator,
    train_evaluator,
)
from duet_rl.evaluate.text_scores import TEXT_MEASURES, mean_over_takes, text_scores
from duet_rl.evaluate.text_windows import (
    TextWindow,
    cut_windows,
    dancers_of,
    fullest_caption,
    spread_over,
)
from duet_rl.metrics.cell import Cell
from duet_rl.metrics.duet import Measure
from duet_rl.text_table import aligned

TRUTH, NEAREST = "true motion", "nearest caption"
SHUFFLED = "{}, others' texts"  # the control of a row: its motions beside the texts of others
JSON, TABLE, EVALUATOR = "text.json", "text.csv", "text_evaluator"

FACTS = "Facts of the texts that the motions show"
FACT_MEASURES: dict[str, Measure] = {
    "facts": Measure("share", "higher", "facts of a text that its motion shows", FACTS),
    **{
        f"facts_{kind}": Measure("share", "higher", f"the same, of the kind {kind}", FACTS)
        for kind in KINDS
        if kind != "couple"  # each dances alone
    },
}
MEASURES = {**TEXT_MEASURES, **FACT_MEASURES}
_AT_ONCE = 64  # texts danced to together
_COLUMNS = "row group measure unit better mean low high samples reason".split()
_SIGNS = {"higher": " ^", "lower": " v", "true": " =", "": ""}

TextDancer = Callable[[Sequence[str], int, int], Sequence[Float[Tensor, "_ _ 3"]]]
"""Texts, frames and a seed in; the joints of a dance to each out, 30 fps, metres."""


class TextEvaluateConfig(Config):
    """On which dances texts and motions are compared."""

    split: Split = "test"
    reference: Split = "train"  # the evaluator learns it, and FID holds motions against it
    seconds: float = Field(4.0, gt=0)  # of a piece of a dance, which a caption tells of
    step: float = Field(0.5, gt=0)  # s from piece to piece that the evaluator learns from
    held_out_step: float = Field(2.0, gt=0)  # s from piece to piece that is scored
    most: int = Field(256, ge=1)  # pieces that are scored, and of the reference in FID
    draws: int = Field(4, ge=1)  # captions drawn of a scored piece, of which the fullest is taken
    samples: int = Field(2, ge=1)  # dances made to each text
    pool: int = Field(32, ge=2)
    mirrored: bool = True  # the evaluator learns from mirrored dances, too
    seed: int = 0
    evaluator: EvaluatorConfig = EvaluatorConfig()


@dataclass(frozen=True, eq=False)
class TextEvaluation:
    """What was measured, row by row.

    Args:
        rows: name -> measure of `MEASURES` -> number with interval, or the reason for none.
        texts: that were danced to.
        label: of the evaluator.
        data_hash: of the store.
    """

    rows: dict[str, dict[str, Cell]]
    texts: tuple[str, ...]
    label: str
    data_hash: str

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "evaluator": self.label,
            "texts": list(self.texts),
            "data_hash": self.data_hash,
            "rows": {
                row: {name: _json_of(cell) for name, cell in cells.items()}
                for row, cells in self.rows.items()
            },
        }


def evaluate_text(
    store: DuetStore,
    dancers: Mapping[str, TextDancer],
    config: TextEvaluateConfig = TextEvaluateConfig(),
    out: Path | None = None,
    evaluator: LocalEvaluator | None = None,
) -> TextEvaluation:
    """Return how well dances to held-out captions fit them.

    Every dancer of the store counts by himself. Beside the dancers stand the true motions, those
    of the training captions whose facts are most alike, and each row once more with its motions
    held against the texts of other takes: what is scored there is not the text.

    Args:
        store: couples or soloists.
        dancers: name of the row -> what dances to texts.
        config: which pieces, and how the evaluator is trained.
        out: a folder that gets the evaluator, the JSON and the table.
        evaluator: a trained one; None trains one on `config.reference`.

    Raises:
        InputError: no piece to learn from or to score, or a dancer whose dances cannot be used.
    """
    _require_names(dancers, config)
    known = dancers_of(store, config.reference)
    learned = cut_windows(known, config.seconds, config.step, config.mirrored)
    held_out = cut_windows(dancers_of(store, config.split), config.seconds, config.held_out_step)
    _require_windows(store, config, learned, held_out)
    scored = spread_over(held_out, config.most)
    captioner = Captioner.fit([motion.joints for _, motion in known])
    generator = torch.Generator().manual_seed(config.seed)
    texts, told = (
        [fullest_caption(window, config.draws, generator, captioner).text for window in windows]
        for windows in (scored, learned)
    )
    motions = {
        TRUTH: [[_of_window(window)] for window in scored],
        NEAREST: [[_of_window(learned[row])] for row in _nearest(texts, told)],
    }
    frames = len(scored[0].joints)
    for name, dancer in dancers.items():
        motions[name] = _danced(name, dancer, texts, frames, config)
    evaluator = evaluator or _trained(learned, captioner, config)
    if out is not None:
        evaluator.save(out / EVALUATOR)
    others = _others(scored, generator)
    reference = spread_over(learned, config.most)
    rows = {}
    for name, made in motions.items():
        wrong = [made[row] for row in others]
        for row, of_row in ((name, made), (SHUFFLED.format(name), wrong)):
            rows[row] = _row(texts, of_row, scored, reference, evaluator, config.pool)
    found = TextEvaluation(rows, tuple(texts), evaluator.label, store.hash)
    if out is not None:
        write_text_evaluation(found, out)
    return found


def write_text_evaluation(evaluation: TextEvaluation, folder: Path | str) -> None:
    """Write the table as `text.json` and `text.csv`."""
    folder = Path(folder)
    write_json(folder / JSON, evaluation.to_json())
    write_rows(folder / TABLE, _lines(evaluation))


def as_text(evaluation: TextEvaluation) -> str:
    """Return the tables as text: a line a row, mean and interval a column."""
    lines = []
    for group in (TEXT_MEASURES, FACT_MEASURES):
        title = next(iter(group.values())).group
        head = [title, *(f"{x.replace('_', ' ')}{_SIGNS[group[x].better]}" for x in group)]
        body = [
            [row, *("-" if not (i := cells[x].interval) else f"{i:.3g}" for x in group)]
            for row, cells in evaluation.rows.items()
        ]
        lines += [*aligned([head, *body]), ""]
    reasons = {
        f"- {name.replace('_', ' ')}: {cell.reason}"
        for cells in evaluation.rows.values()
        for name, cell in cells.items()
        if cell.interval is None and cell.reason
    }
    lines.append(
        f"{len(evaluation.texts)} texts; [95 % bootstrap interval over takes]; ^ higher, v lower "
        f"is better, = nearer to the true motion; the evaluator is {evaluation.label}: compare "
        "with no numbers of another one"
    )
    return "\n".join([*lines, *sorted(reasons)])


class _Made(NamedTuple):
    """A motion, and all that can be said of it."""

    joints: Float[Tensor, "T 55 3"]
    stated: Sequence[Stated]


def _trained(
    learned: Sequence[TextWindow], captioner: Captioner, config: TextEvaluateConfig
) -> LocalEvaluator:
    """Return an evaluator that has learned these pieces, with a new caption at every step."""
    return train_evaluator(
        [window.joints for window in learned],
        lambda row, source: learned[row].caption(source, captioner).text,
        config.evaluator,
    )


def _of_window(window: TextWindow) -> _Made:
    return _Made(window.joints, window.stated)


def _row(
    texts: Sequence[str],
    made: Sequence[Sequence[_Made]],
    scored: Sequence[TextWindow],
    reference: Sequence[TextWindow],
    evaluator: LocalEvaluator,
    pool: int,
) -> dict[str, Cell]:
    takes = [window.take for window in scored]
    cells = text_scores(
        texts,
        [[motion.joints for motion in of_text] for of_text in made],
        [window.joints for window in reference],
        evaluator,
        takes,
        [window.take for window in reference],
        pool,
    )
    return cells | _fact_cells(texts, made, takes)


def _fact_cells(
    texts: Sequence[str], made: Sequence[Sequence[_Made]], takes: Sequence[str]
) -> dict[str, Cell]:
    """Return which share of the facts of a text its motions show, kind by kind."""
    values: dict[str, list[list[float]]] = {name: [] for name in FACT_MEASURES}
    for text, motions in zip(texts, made, strict=True):
        facts = read(text).facts
        shown = [[true_among(f, x.stated, len(x.joints)) for f in facts] for x in motions]
        for name, rows in values.items():
            said = [name in ("facts", f"facts_{fact.kind}") for fact in facts]
            rows.append([_share(true, said) for true in shown])
    cells = {}
    for name, rows in values.items():
        table = torch.tensor(rows)
        told = int(torch.isfinite(table[:, 0]).sum())
        cells[name] = mean_over_takes(table, takes, f"{told} texts")
    return cells


def _share(true: Sequence[bool], said: Sequence[bool]) -> float:
    """Return which share of what was said is true; NaN if nothing was."""
    count = sum(said)
    return sum(t and s for t, s in zip(true, said, strict=True)) / count if count else math.nan


def _danced(
    name: str, dancer: TextDancer, texts: Sequence[str], frames: int, config: TextEvaluateConfig
) -> list[list[_Made]]:
    """Return the dances to each text."""
    parts = [texts[first : first + _AT_ONCE] for first in range(0, len(texts), _AT_ONCE)]
    by_seed = []
    for sample in range(config.samples):
        first = config.seed + sample * len(parts)
        dances = [x for i, part in enumerate(parts) for x in dancer(part, frames, first + i)]
        shapes = {tuple(x.shape[1:]) for x in dances}
        shortest = min((len(x) for x in dances), default=0)
        if len(dances) != len(texts) or shapes != {(55, 3)} or shortest < FEWEST_FRAMES:
            raise InputError(
                f"{name} danced {len(dances)} dances of {shortest} frames or more, with joints "
                f"{sorted(shapes)}, to {len(texts)} texts; wanted one each, (55, 3), of "
                f"{FEWEST_FRAMES} frames or more"
            )
        by_seed.append(dances)
    made = [[_Made(x.cpu(), facts_of(x.cpu())) for x in dances] for dances in by_seed]
    return [list(of_text) for of_text in zip(*made, strict=True)]


def _nearest(texts: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return for each text which of the known ones shares most facts with it."""
    sets = [frozenset(read(text).facts) for text in known]
    found = []
    for text in texts:
        wanted = frozenset(read(text).facts)
        alike = [len(wanted & facts) / max(1, len(wanted | facts)) for facts in sets]
        found.append(max(range(len(sets)), key=alike.__getitem__))
    return found


def _others(scored: Sequence[TextWindow], generator: torch.Generator) -> list[int]:
    """Return for each piece another one, of another take where there is one."""
    takes = [window.take for window in scored]
    found = []
    for row, take in enumerate(takes):
        rows = [i for i, other in enumerate(takes) if other != take]
        rows = rows or [i for i in range(len(takes)) if i != row]
        found.append(rows[int(torch.randint(len(rows), (), generator=generator))])
    return found


def _require_names(dancers: Mapping[str, TextDancer], config: TextEvaluateConfig) -> None:
    for name in (TRUTH, NEAREST):
        if name in dancers:
            raise InputError(f"a row is called {name!r} already; name the run NAME=RUN")
    if round(config.seconds * FPS) < FEWEST_FRAMES:
        raise InputError(f"pieces of {config.seconds:g} s are too short; give them a second")


def _require_windows(
    store: DuetStore,
    config: TextEvaluateConfig,
    learned: Sequence[TextWindow],
    held_out: Sequence[TextWindow],
) -> None:
    for split, windows in ((config.reference, learned), (config.split, held_out)):
        if len(windows) < 2:
            raise InputError(
                f"the split {split!r} of {store.path} has {len(windows)} pieces of "
                f"{config.seconds:g} s; two or more are wanted: choose another split or shorter "
                "pieces"
            )


def _lines(evaluation: TextEvaluation) -> Iterator[Sequence[object]]:
    """Return the lines of the table: one a row and measure."""
    yield _COLUMNS
    for row, cells in evaluation.rows.items():
        for name, cell in cells.items():
            known, numbers = MEASURES[name], cell.interval or ("", "", "")
            facts = (row, known.group, name, known.unit, known.better)
            yield [*facts, *numbers, cell.samples, cell.reason]


def _json_of(cell: Cell) -> dict[str, Any]:
    told: dict[str, Any] = {"samples": cell.samples, "reason": cell.reason}
    return told | (cell.interval._asdict() if cell.interval else {"mean": None})
