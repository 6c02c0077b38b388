"""Tables of an evaluation as files, whole or not at all: JSON for programs, CSV for people."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duet_rl.files import atomic_path


def write_json(path: Path | str, values: Mapping[str, Any]) -> None:
    """Write plain values as JSON, UTF-8; a number that is none must be None in them."""
    with atomic_path(path) as temporary:
        told = json.dumps(values, indent=1, allow_nan=False)
        temporary.write_text(told + "\n", encoding="utf-8")


def write_rows(path: Path | str, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, UTF-8, the head first."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows(rows)
