"""The table of a published protocol: numbers, and reasons where there is none."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from duet_rl.text_table import aligned

Protocol = Literal["duolando", "bailando"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


class PublishedScore(NamedTuple):
    """One number of a published protocol."""

    name: str
    meaning: str
    value: float | None  # None where it would mean nothing
    original: float  # what the original prints, be it meaningful or not; NaN where it fails
    unit: str
    sequences: int
    reference: int | None  # sequences that they were held against
    reason: str  # why there is no value, or what to know of it

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON; a number that is not finite is null."""
        finite = math.isfinite(self.original)
        return {**self._asdict(), "original": self.original if finite else None}


@dataclass(frozen=True)
class PublishedScores:
    """The table of a published protocol."""

    protocol: Protocol
    predictions: str
    reference: str | None
    scores: tuple[PublishedScore, ...]
    notes: tuple[str, ...] = ()

    def score(self, name: str) -> PublishedScore:
        """Return the score of that name."""
        return next(score for score in self.scores if score.name == name)

    def as_text(self, original: bool = False) -> str:
        """Return the table as text.

        Args:
            original: also show what the original prints where it means nothing.
        """
        head = ["", "value", *(["original prints"] if original else [])]
        lines = [[*head, "unit", "sequences", "reference", ""]]
        for score in self.scores:
            printed = [f"{score.original:.4g}"] if original else []
            value = "-" if score.value is None else f"{score.value:.4g}"
            held = "" if score.reference is None else str(score.reference)
            counts = [score.unit, str(score.sequences), held, score.reason]
            lines.append([score.name, value, *printed, *counts])
        told = [f"{self.protocol}: {self.predictions}", f"reference: {self.reference or 'none'}"]
        return "\n".join([*told, *aligned(lines), *self.notes])

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON; a number that is not finite is null."""
        rows = {}
        for score in self.scores:
            row = score.to_json()
            rows[row.pop("name")] = row
        return {
            "protocol": self.protocol,
            "predictions": self.predictions,
            "reference": self.reference,
            "scores": rows,
            "notes": list(self.notes),
        }


def no_score(name: str, meaning: str, sequences: int, reason: str) -> PublishedScore:
    """Return the row of a number that cannot be had."""
    return PublishedScore(name, meaning, None, float("nan"), "", sequences, None, reason)
