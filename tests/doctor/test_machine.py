"""What the machine lacks is said, with the command that needs it and how to get it."""

import errno
import os
import socket
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from duet_rl.doctor import machine
from duet_rl.doctor.findings import MAIN, stopped_commands

Usage = namedtuple("Usage", "total used free")
GB = 10**9


def disk_with(monkeypatch: pytest.MonkeyPatch, free: float, total: float = 100 * GB) -> None:
    """Let every disk have so many bytes free."""
    usage = Usage(int(total), int(total - free), int(free))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 9, 1), "missing"), ((3, 11, 7), "ok"), ((3, 13, 0), "ok"), ((3, 14, 0), "missing")],
)
def test_a_python_that_is_too_old_or_too_new_stops_everything(monkeypatch, version, state):
    monkeypatch.setattr(sys, "version_info", version)
    found = machine.check_python()
    assert found.state == state
    assert stopped_commands([found]) == (list(MAIN) if state == "missing" else [])


def test_the_pythons_are_those_of_the_package():
    project = Path(__file__).parents[2] / "pyproject.toml"
    low, high = (".".join(map(str, version)) for version in machine.PYTHONS)
    assert f'requires-python = ">={low},<{high}"' in project.read_text()


def test_one_processor_is_told(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    found = machine.check_cores()
    assert (found.state, found.found) == ("warning", "1")


def meminfo(folder: Path, gigabytes: float) -> Path:
    file = folder / "meminfo"
    file.write_text(f"MemTotal: 99 kB\nMemAvailable: {round(gigabytes * GB / 1024)} kB\n")
    return file


@pytest.mark.parametrize(("gigabytes", "state"), [(1.0, "missing"), (3.0, "warning"), (8.0, "ok")])
def test_little_memory_is_told_and_none_stops_training(
    monkeypatch, tmp_path, gigabytes: float, state: str
):
    monkeypatch.setattr(machine, "_MEMINFO", meminfo(tmp_path, gigabytes))
    monkeypatch.setattr(machine, "_CGROUP_LIMIT", tmp_path / "none")
    found = machine.check_memory()
    assert found.state == state and f"{gigabytes:.1f} GB" in found.found
    assert ("rl" in stopped_commands([found])) == (state == "missing")


def test_the_limit_of_a_container_counts_and_not_the_memory_of_its_host(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_MEMINFO", meminfo(tmp_path, 64.0))
    monkeypatch.setattr(machine, "_CGROUP_LIMIT", tmp_path / "memory.max")
    (tmp_path / "memory.max").write_text(f"{4 * GB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GB}\n")
    assert machine.check_memory().state == "missing"
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.check_memory().state == "ok"


def test_a_container_with_the_usual_shared_memory_is_told_the_option(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "SHARED", tmp_path)
    disk_with(monkeypatch, free=64e6, total=64e6)
    found = machine.check_shared_memory()
    assert found.state == "warning" and "--shm-size=" in found.cure
    assert stopped_commands([found]) == [], "Ray does with a disk instead"


@pytest.mark.parametrize(
    ("free", "total", "state", "word"),
    [
        (0.1 * GB, 10 * GB, "missing", "make room"),
        (2 * GB, 10 * GB, "warning", "make room"),
        (40 * GB, 1000 * GB, "warning", "95%"),
        (50 * GB, 100 * GB, "ok", ""),
    ],
)
def test_a_disk_that_is_full_or_soon_will_be_is_told(
    monkeypatch, tmp_path, free: float, total: float, state: str, word: str
):
    disk_with(monkeypatch, free, total)
    found = machine.check_disk(tmp_path / "runs" / "later", "runs")
    assert found.state == state and word in found.cure
    assert (stopped_commands([found]) != []) == (state == "missing")


def test_a_folder_that_cannot_be_written_stops_everything(monkeypatch, tmp_path):
    def refuse(**options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = machine.check_disk(tmp_path / "runs", "runs")
    assert found.state == "missing" and "Read-only" in found.found
    assert stopped_commands([found]) == list(MAIN)


def test_a_file_is_no_place_for_runs(tmp_path):
    (tmp_path / "runs").write_text("")
    found = machine.check_disk(tmp_path / "runs" / "mine", "runs")
    assert found.state == "missing" and "is a file" in found.found


def test_nothing_is_left_behind_in_a_folder_that_is_looked_at(tmp_path):
    machine.check_disk(tmp_path / "runs", "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(machine, "_PORTS", {taken: "a test"})
        found = machine.check_ports()
        assert found.state == "warning" and str(taken) in found.found
    assert machine.check_ports().state == "ok"
