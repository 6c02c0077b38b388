"""What is known of a trial, in files of its own folder: values, measurements, how it ended."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from duet_rl.files import atomic_path

TRIALS = "trials"  # sub-folder of the search: one folder a trial
STEP, PROGRESS, SECONDS = "step", "progress", "seconds"  # keys of a measurement beside its numbers

Status = Literal["finished", "stopped", "failed", "unfinished"]
Row = dict[str, float]  # one measurement

_VALUES, _REPORTS, _END = "values.json", "reports.jsonl", "end.json"


@dataclass(frozen=True)
class Trial:
    """A trial as its files tell of it.

    Args:
        name: of its folder.
        values: of the searched settings, the present ones where they change on the way.
        history: step from which on values held -> these values, the earliest first.
        status: how it ended; `stopped` by the scheduler.
        reason: why it failed.
        rows: measurements, in the order of steps.
    """

    name: str
    values: Mapping[str, Any]
    history: tuple[tuple[int, Mapping[str, Any]], ...]
    status: Status
    reason: str
    rows: tuple[Row, ...]

    def last(self, tag: str) -> float | None:
        """Return the last measurement of `tag`, if there is one."""
        return self.rows[-1].get(tag) if self.rows else None

    @property
    def failed(self) -> bool:
        """Return whether it failed: then it is not compared with others by what it measured."""
        return self.status == "failed"

    def judged(self, tag: str) -> float | None:
        """Return the measurement by which it is compared, if it is."""
        return None if self.failed else self.last(tag)

    @property
    def seconds(self) -> float:
        """Return how long it was trained."""
        return self.rows[-1][SECONDS] if self.rows else 0.0


class Record:
    """Reads and writes the files of a trial; the folder may be on another node's disk, too.

    Args:
        folder: of the trial.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Note which values hold from `step` on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        history = [entry for entry in self._history() if entry["step"] < step]
        if not history or history[-1]["values"] != dict(values):
            history.append({"step": step, "values": dict(values)})
        self._write(_VALUES, history)

    def add(self, row: Row) -> None:
        """Note a measurement; later ones of an earlier life of the trial are dropped."""
        kept = [known for known in self.rows() if known[STEP] < row[STEP]]
        with atomic_path(self.folder / _REPORTS) as temporary:
            with temporary.open("w") as stream:
                stream.writelines(json.dumps(known) + "\n" for known in [*kept, row])
                stream.flush()
                os.fsync(stream.fileno())

    def end(self, status: Status, reason: str = "") -> None:
        """Note how the trial ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(_END, {"status": status, "reason": reason})

    def rows(self) -> list[Row]:
        """Return the measurements, in the order of steps."""
        file = self.folder / _REPORTS
        if not file.is_file():
            return []
        return [json.loads(line) for line in file.read_text().splitlines()]

    def read(self) -> Trial | None:
        """Return what is known of the trial; None where nothing began."""
        history = self._history()
        if not history:
            return None
        end = self._read(_END) or {"status": "unfinished", "reason": ""}
        return Trial(
            self.folder.name,
            history[-1]["values"],
            tuple((entry["step"], entry["values"]) for entry in history),
            end["status"],
            end["reason"],
            tuple(self.rows()),
        )

    def _history(self) -> list[Any]:
        return self._read(_VALUES) or []

    def _read(self, name: str) -> Any:
        file = self.folder / name
        return json.loads(file.read_text()) if file.is_file() else None

    def _write(self, name: str, content: Any) -> None:
        with atomic_path(self.folder / name) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")


def read_trials(out: Path) -> list[Trial]:
    """Return all trials of the search in `out`, by name."""
    folders = sorted(folder for folder in (out / TRIALS).glob("*") if folder.is_dir())
    found = [Record(folder).read() for folder in folders]
    return [trial for trial in found if trial is not None]
