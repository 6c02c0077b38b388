"""Lines for programs: each is one JSON object that says what it is about."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from duet_rl.observe import lines
from duet_rl.observe.lines import JsonLines, this_is
from duet_rl.pretrain.notes import StageNotes
from duet_rl.pretrain.progress import shown
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan
from duet_rl.rl.console import Console


@pytest.fixture(autouse=True)
def nothing_stated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lines, "_facts", {})
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    yield


def line(message: str = "%d of %d", *values: object, **more) -> dict[str, str]:
    record = logging.LogRecord("duet_rl.rl", logging.WARNING, "", 1, message, values, None)
    for name, value in more.items():
        setattr(record, name, value)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_has_time_level_logger_and_message():
    told = line("%d of %d", 3, 4)
    assert {k: told[k] for k in ("level", "logger", "message")} == {
        **{"level": "warning", "logger": "duet_rl.rl", "message": "3 of 4"}
    }
    assert datetime.fromisoformat(told["time"]).utcoffset().total_seconds() == 0


def test_a_line_says_the_run_the_stage_and_the_job(monkeypatch):
    this_is(run="salsa", stage="rl")
    this_is(trial="lr=0.1")
    monkeypatch.setenv(
        "RAY_JOB_CONFIG_JSON_ENV_VAR",
        json.dumps({"metadata": {"job_submission_id": "raysubmit_1"}}),
    )
    told = line("hello")
    names = {"run": "salsa", "stage": "rl", "trial": "lr=0.1", "job": "raysubmit_1"}
    assert names.items() <= told.items()


@pytest.mark.parametrize("job", ["", "{", "[]", "{}", '{"metadata": null}'])
def test_without_a_job_there_is_none_in_the_line(monkeypatch, job: str):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", job)
    assert "job" not in line("hello")


def test_a_traceback_stays_in_its_line():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        told = line("failed", exc_info=sys.exc_info())
    assert "ValueError: two" in told["error"] and told["message"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["option", "variable"])
def test_all_that_the_program_says_of_a_fault_is_one_line_of_json(tmp_path: Path, way: str):
    """In a process of its own, for it changes how everything logs."""
    environment = {**os.environ, **({"DUET_RL_LOG": "json"} if way == "variable" else {})}
    option = ["--log-json"] if way == "option" else []
    command = [sys.executable, "-m", "duet_rl", *option, "status", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    told = json.loads(done.stderr)
    assert done.returncode == 2 and done.stdout == ""
    assert told["level"] == "error" and "none does not exist" in told["message"]


def test_a_pretraining_is_told_in_lines_and_not_in_a_bar(monkeypatch, tmp_path, caplog, capsys):
    monkeypatch.setenv("DUET_RL_LOG", "json")
    plan = PosePlan(StageConfig(steps=20), tmp_path, tmp_path)
    with caplog.at_level(logging.INFO, "duet_rl"), shown([plan], progress=True):
        notes = StageNotes(plan, first=0, total=20)
        notes.write(10, {"loss": 2.0})
        notes.write(20, {"loss": 1.0})
        notes.close()
    (told,) = caplog.records
    assert told.getMessage() == "pretrain pose: step 20 of 20, loss 1.000"
    assert capsys.readouterr().err == ""


def test_a_run_of_rl_is_told_in_lines_also_in_a_terminal(monkeypatch, caplog):
    monkeypatch.setenv("DUET_RL_LOG", "json")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    with caplog.at_level(logging.INFO), Console(0, 2, 1, stream=terminal) as seen:
        seen.iteration(1, {"reward/total": 0.5})
    assert [record.getMessage() for record in caplog.records] == ["1/2: reward 0.500"]
    assert terminal.getvalue() == ""
