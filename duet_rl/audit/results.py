"""The verdicts of all judges as a table of text, CSV and JSON."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duet_rl.audit.judges import UNHEARD, judge_of
from duet_rl.audit.verdict import Verdict
from duet_rl.metrics.attacks import ATTACKS
from duet_rl.text_table import aligned

_COLUMNS = ("judge", "group", "better", "attack", "verdict", "truth", "value")
_NUMBERS = ("loss", "low", "high", "share")  # and after them the reason
_MARKS = {"barely": "~", "fooled": "FOOL", "prefers": "LIKE", "n/a": "-"}


@dataclass(frozen=True)
class Audit:
    """What every judge said of every attack."""

    attacks: tuple[str, ...]
    verdicts: Mapping[str, list[Verdict]]  # judge -> one an attack, in their order
    windows: int
    takes: int
    data_hash: str

    def of(self, judge: str, attack: str) -> Verdict:
        """Return one verdict."""
        return self.verdicts[judge][self.attacks.index(attack)]

    def fooled_by(self, attack: str) -> list[str]:
        """Return the judges that an attack fools."""
        return [judge for judge in self.verdicts if self.of(judge, attack).fooled]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON; what is not a number is null."""
        return {
            "windows": self.windows,
            "takes": self.takes,
            "data_hash": self.data_hash,
            "attacks": {name: ATTACKS[name].does for name in self.attacks},
            "judges": {
                judge: {
                    **judge_of(judge)._asdict(),
                    "attacks": dict(zip(self.attacks, map(_as_json, verdicts), strict=True)),
                }
                for judge, verdicts in self.verdicts.items()
            },
            "unheard": UNHEARD,
        }


def as_text(audit: Audit) -> str:
    """Return the table as text: a line a judge, a column an attack, and what it all means."""
    numbers = [str(place) for place in range(1, len(audit.attacks) + 1)]
    lines: list[list[str]] = [["judge", *numbers, "fooled"]]
    group = ""
    for judge, verdicts in audit.verdicts.items():
        if group != (group := judge_of(judge).group):
            lines.append([f"-- {group}", *[""] * len(numbers), ""])
        fooled = sum(verdict.fooled for verdict in verdicts)
        lines.append([judge, *map(_cell, verdicts), str(fooled)])
    counts = [str(len(audit.fooled_by(attack))) for attack in audit.attacks]
    lines.append(["judges fooled", *counts, ""])
    legend = [
        (number, name, ATTACKS[name].does)
        for number, name in zip(numbers, audit.attacks, strict=True)
    ]
    note = (
        f"{audit.windows} windows of {audit.takes} takes. A number: the judge sees the attack; its "
        "loss in % of the worst attack's. ~: worse, by less than 2 % of that. FOOL: not worse than "
        "the truth. LIKE: better than the truth. -: does not apply. All beyond chance, paired by "
        "window (95 % intervals over takes)."
    )
    unheard = [f"not tried: {judge}, which {why}" for judge, why in UNHEARD.items()]
    return "\n".join([*aligned(lines), "", *aligned(legend), "", note, *unheard])


def as_csv(audit: Audit) -> str:
    """Return a line for every judge and attack; what is not a number is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_COLUMNS, *_NUMBERS, "reason"])
    for judge, verdicts in audit.verdicts.items():
        known = judge_of(judge)
        for attack, verdict in zip(audit.attacks, verdicts, strict=True):
            loss = verdict.loss or (None, None, None)
            cells = (verdict.truth, verdict.value, *loss, verdict.share)
            plain = ["" if cell is None or math.isnan(cell) else f"{cell:.6g}" for cell in cells]
            writer.writerow(
                [judge, known.group, known.better, attack, verdict.said, *plain, verdict.reason]
            )
    return stream.getvalue()


def _cell(verdict: Verdict) -> str:
    return _MARKS.get(verdict.said) or f"{100 * verdict.share:.0f}"


def _as_json(verdict: Verdict) -> dict[str, Any]:
    row = {**verdict._asdict(), "loss": verdict.loss and verdict.loss._asdict()}
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }
