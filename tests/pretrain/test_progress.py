"""The bar of a pretraining follows a log that grows, is cut, and begins again."""

import json
from pathlib import Path
from typing import Any

import pytest

from duet_rl.pretrain.progress import LogEnd
from duet_rl.run_log import METRICS, RunLog


def write(folder: Path, text: str) -> None:
    with (folder / METRICS).open("a") as stream:
        stream.write(text)


def test_only_what_is_new_of_a_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    real = json.loads

    def loads(text: Any) -> Any:
        parsed.append(text)
        return real(text)

    monkeypatch.setattr("duet_rl.pretrain.progress.json.loads", loads)
    end = LogEnd(tmp_path)
    assert end.row(0) is None, "there is no log yet"
    write(tmp_path, '{"step": 10}\n{"step": 20}\n{"st')
    assert end.row(0) == {"step": 20}
    assert end.row(0) == {"step": 20}, "nothing new"
    write(tmp_path, 'ep": 30}\n')
    assert end.row(0) == {"step": 30}
    assert len(parsed) == 2


def test_a_run_that_goes_on_drops_lines_and_an_earlier_runs_log_says_nothing(
    tmp_path: Path,
) -> None:
    end = LogEnd(tmp_path)
    write(tmp_path, '{"step": 10}\n{"step": 20}\n')
    written = (tmp_path / METRICS).stat().st_mtime
    assert end.row(since=written) is None
    assert end.row(since=written - 1) == {"step": 20}
    with RunLog(tmp_path, done=10):
        assert end.row(0) == {"step": 10}
    with RunLog(tmp_path, done=0):
        assert end.row(0) is None
