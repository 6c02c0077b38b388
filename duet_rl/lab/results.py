"""The results of finished trainings on disk: one line each, so that no training is done twice."""

import json
import os
from pathlib import Path
from typing import Any

from duet_rl.files import atomic_path

CELLS = "cells.jsonl"


class Results:
    """Results by key, in `folder/cells.jsonl`; those of other settings stay in the file.

    A line that a crash cut short is forgotten.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / CELLS
        self._rows: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.is_file():
            self._rows = _whole_lines(self._file.read_text())
            with atomic_path(self._file) as temporary:
                lines = [json.dumps({"key": key, **row}) for key, row in self._rows.items()]
                temporary.write_text("".join(f"{line}\n" for line in lines))

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> Any:
        """Return the result that was added under `key`."""
        return self._rows[key]["result"]

    def add(self, key: str, name: str, result: Any) -> None:
        """Write one result; when this returns it is on the disk."""
        row = {"name": name, "result": result}
        with self._file.open("a") as stream:
            stream.write(json.dumps({"key": key, **row}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._rows[key] = row


def _whole_lines(text: str) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
            rows[row.pop("key")] = row
        except (ValueError, KeyError, AttributeError):
            continue
    return rows
