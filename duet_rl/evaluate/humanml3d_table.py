"""The published protocol's numbers of several makers of motion: table, JSON and CSV."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet_rl.datasets.humanml3d import HUMANML3D, TextMotions
from duet_rl.datasets.humanml3d_words import WordVectors
from duet_rl.evaluate.humanml3d import (
    GENERATED,
    NAMES,
    TRUTH,
    MotionMaker,
    PublishedTextConfig,
    PublishedTextScores,
    published_text_protocol,
)
from duet_rl.evaluate.humanml3d_evaluator import PublishedEvaluator
from duet_rl.evaluate.humanml3d_makers import HumanML3DEvaluateConfig
from duet_rl.evaluate.table_files import write_json, write_rows
from duet_rl.metrics.text import Repeated
from duet_rl.models.text_motion import TextMotionConfig
from duet_rl.text_table import aligned

LABEL = "published protocol"
TRUE_ROW = "true motion"
JSON, TABLE = "humanml3d.json", "humanml3d.csv"
_DIGITS = 3
_SIGNS = {"matching_distance": " v", "fid": " v", "diversity": " =", "multimodality": ""}


@dataclass(frozen=True, eq=False)
class PublishedTextTable:
    """What the published protocol says of makers of motion.

    Args:
        rows: name -> score -> mean and half of the interval.
        texts: scored in each repeat.
        tail: texts of each repeat that fill no batch.
        reasons: name of a score that is NaN -> why.
        departures: what was not done as published, in words.
        facts: of data, evaluator and settings, for the record.
    """

    rows: dict[str, dict[str, Repeated]]
    texts: int
    tail: int
    reasons: dict[str, str]
    departures: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def label(self) -> str:
        """What the numbers may be called."""
        return f"{LABEL}, but for {'; '.join(self.departures)}" if self.departures else LABEL

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; a score that is none is null."""
        return {
            "protocol": self.label,
            "texts": self.texts,
            "tail": self.tail,
            "reasons": self.reasons,
            **self.facts,
            "rows": {
                row: {
                    name: {"mean": _number(score.mean), "half": _number(score.half)}
                    for name, score in scores.items()
                }
                for row, scores in self.rows.items()
            },
        }


def published_text_table(
    data: TextMotions,
    words: WordVectors,
    evaluator: PublishedEvaluator,
    makers: Mapping[str, MotionMaker],
    config: HumanML3DEvaluateConfig = HumanML3DEvaluateConfig(),
    departures: Sequence[str] = (),
) -> PublishedTextTable:
    """Return the published scores of makers of motion beside those of the true motions.

    Args:
        data: a split.
        words: of the evaluator.
        evaluator: with its own mean and deviation.
        makers: name of the row -> what makes motions; none: the true motions alone.
        config: batches, repeats and the rest.
        departures: of the makers from what was published, in words.

    Raises:
        InputError: evaluator, words and data do not fit, the split fills no batch, or a motion
            that was made cannot be used.
    """
    evaluator.require_fits(data.format.channels)
    asked = PublishedTextConfig(
        **{name: getattr(config, name) for name in PublishedTextConfig.model_fields}
    )

    def scored(maker: MotionMaker | None) -> PublishedTextScores:
        return published_text_protocol(
            *(data, words, evaluator.networks, maker, asked, evaluator.mean, evaluator.deviation)
        )

    scores = {name: scored(maker) for name, maker in makers.items()}
    first = next(iter(scores.values())) if scores else scored(None)
    rows = {TRUE_ROW: first.rows[TRUTH]}
    rows |= {name: found.rows[GENERATED] for name, found in scores.items()}
    return PublishedTextTable(
        rows,
        first.texts,
        first.tail,
        first.reasons,
        (*_departures(data, evaluator, config), *departures),
        {
            "data": data.format.name,
            "split": config.split,
            "left_out": data.left_out,
            "evaluator_sha256": evaluator.sha256,
            "settings": config.model_dump(mode="json"),
        },
    )


def write_published_texts(table: PublishedTextTable, folder: Path | str) -> None:
    """Write the table as `humanml3d.json` and `humanml3d.csv`."""
    folder = Path(folder)
    write_json(folder / JSON, table.to_json())
    write_rows(folder / TABLE, _lines(table))


def as_text(table: PublishedTextTable) -> str:
    """Return the table as text: a line a row, mean and interval a column."""
    head = ["", *(f"{name.replace('_', ' ')}{_SIGNS.get(name, ' ^')}" for name in NAMES)]
    body = [
        [row, *("-" if _missing(scores, name) else _shown(scores[name]) for name in NAMES)]
        for row, scores in table.rows.items()
    ]
    told = f"{table.label}; {table.texts} texts of {table.facts['data']}, {table.facts['split']}"
    lines = [*aligned([head, *body]), "", f"{told}; mean ± half of the 95 % interval over repeats"]
    lines.append("^ higher, v lower is better, = nearer to the true motion")
    return "\n".join([*lines, *(f"- {name}: {why}" for name, why in table.reasons.items())])


def _lines(table: PublishedTextTable) -> Iterator[Sequence[object]]:
    """Return the lines of the table: one a row and score."""
    yield ["row", "measure", "mean", "half", "reason", "protocol"]
    for row, scores in table.rows.items():
        for name, score in scores.items():
            numbers = ["" if math.isnan(x) else x for x in score]
            yield [row, name, *numbers, table.reasons.get(name, ""), table.label]


def _departures(
    data: TextMotions, evaluator: PublishedEvaluator, config: HumanML3DEvaluateConfig
) -> list[str]:
    """Return what makes numbers other ones than published ones."""
    usual, found = PublishedTextConfig(), []
    for name in PublishedTextConfig.model_fields:
        asked, published = getattr(config, name), getattr(usual, name)
        if name != "seed" and asked != published:
            found.append(f"{name} {asked} (published: {published})")
    if config.split != "test":
        found.append(f"the split {config.split} (published: test)")
    bad = data.left_out.get("files missing or damaged")
    if bad:
        found.append(f"{bad} motions left out that are missing or damaged")
    if data.format is HUMANML3D and evaluator.networks.config != TextMotionConfig():
        found.append("an evaluator of other sizes than the published one")
    return found


def _shown(score: Repeated) -> str:
    """Return a score; one that rounding made a little less than nothing is 0."""
    mean = round(score.mean, _DIGITS) + 0.0
    if math.isnan(score.half):  # of one repeat
        return f"{mean:.{_DIGITS}f}"
    return f"{Repeated(mean, score.half):.{_DIGITS}f}"


def _missing(scores: Mapping[str, Repeated], name: str) -> bool:
    return name not in scores or math.isnan(scores[name].mean)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
