"""The doctor tells everything, whatever is broken, and ends as the main commands stand."""

import json
from pathlib import Path

import pytest

from duet_rl.doctor import examine as examination
from duet_rl.doctor.examine import Asked, examine
from duet_rl.doctor.findings import MAIN, Finding, as_values, stopped_commands, verdict
from duet_rl.doctor.inputs import check_runs
from tests.cli.conftest import run


def test_what_is_optional_stops_nothing_and_what_is_not_is_named():
    optional = Finding("mlflow", "missing", "not installed", ("log.mlflow",), "pip install it")
    slow = Finding("memory", "warning", "3 GB", ("rl",), "more")
    gone = Finding("ray", "missing", "not installed", ("pretrain", "rl"), "pip install it")
    assert stopped_commands([optional, slow]) == []
    assert stopped_commands([optional, slow, gone]) == ["pretrain", "rl"]
    assert verdict([gone]).startswith("pretrain, rl cannot work here")
    assert as_values([optional])["works"] is True


def test_a_line_says_what_it_is_needed_for_and_how_to_get_it():
    line = Finding("smplx", "missing", "not installed", ("export",), "pip install smplx").line
    assert (
        line.split() == "missing smplx not installed; needed for export: pip install smplx".split()
    )


@pytest.mark.parametrize("error", [RuntimeError("no such\nthing"), ImportError("broken")])
def test_a_check_that_fails_itself_does_not_keep_the_others_from_being_told(
    monkeypatch, tmp_path: Path, error: Exception
):
    def fail() -> Finding:
        raise error

    monkeypatch.setattr(examination, "check_video", fail)
    findings = list(examine(Asked(tmp_path, quick=True)))
    names = [finding.name for finding in findings]
    assert {"python", "torch", "video", "pictures", "warp cache"} <= set(names)
    video = findings[names.index("video")]
    assert video.state != "ok" and "\n" not in video.line


def test_what_was_asked_for_by_name_must_be_good(monkeypatch, tmp_path: Path):
    place = ("disk: runs", lambda: check_runs("s3a://bucket/runs"))
    monkeypatch.setattr(examination, "_machine", lambda asked: iter(()))
    assert run("doctor").exit_code == 0
    for name, option in {
        "data": ("--data", tmp_path / "none"),
        "body: male": ("--smplx", tmp_path / "none"),
        "ray cluster": ("--address", "127.0.0.1:9"),
        "disk: runs": (),
    }.items():
        if not option:
            monkeypatch.setattr(examination, "_machine", lambda asked: iter([place]))
        result = run("doctor", *option)
        assert result.exit_code == 1, option
        last = result.output.splitlines()[-1]
        assert "what you asked for cannot be used" in last and name in last
    told = json.loads(run("doctor", "--json").stdout)
    assert (told["works"], told["stopped"], told["unusable"]) == (False, [], ["disk: runs"])


def test_the_command_ends_with_0_where_the_main_commands_work(tmp_path: Path):
    result = run("doctor", "--quick", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith(", ".join(MAIN))


def test_the_command_ends_with_1_where_one_does_not_and_says_so_as_json(
    monkeypatch, tmp_path: Path
):
    monkeypatch.setattr("ray.__version__", "2.9.3")
    result = run("doctor", "--quick", "--json", "--out", tmp_path, "--data", tmp_path / "none")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["works"] is False and told["stopped"] == ["pretrain", "rl", "demo"]
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert states["ray"] == "missing" and states["data"] == "missing"
