"""One program at a time works in a folder, and a killed one keeps nobody out."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from duet_rl.errors import InputError
from duet_rl.storage import claims
from duet_rl.storage.claims import claimed

HOLD = """
import subprocess, sys
from pathlib import Path
from duet_rl.storage.claims import claimed

with claimed(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "600"], close_fds=False)
    print(child.pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Let another program work in `folder`; yield it, and the process id of one that it started."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    child = int(program.stdout.readline())
    try:
        yield program, child
    finally:
        os.kill(child, signal.SIGKILL)
        program.kill()
        program.wait()


def test_the_second_program_is_told_who_works_there(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with another(folder) as (program, _):
        told = rf"run is in use by process {program.pid} on .* since .*kill {program.pid}.* --out"
        with pytest.raises(InputError, match=told) as refused, claimed(folder):
            pytest.fail("two programs in one folder")
        assert "\n" not in str(refused.value)
        with claimed(tmp_path / "other"):
            pass
        assert program.stdin is not None
        program.stdin.close()  # it ends
        program.wait()
        with claimed(folder):
            pass


def test_a_killed_program_keeps_nobody_out_though_what_it_started_lives(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with another(folder) as (program, child):
        program.kill()
        program.wait()
        os.kill(child, 0)  # it lives
        assert (folder / claims.LOCK).exists()
        with claimed(folder):
            pass


def test_what_a_program_calls_may_claim_its_folder_again(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "run")
    with claimed(tmp_path / "run"):
        with claimed(link):
            pass
        with another(tmp_path / "other"):
            told = subprocess.run(
                [sys.executable, "-c", HOLD, str(tmp_path / "run")],
                capture_output=True,
                text=True,
                check=False,
            )
        assert f"in use by process {os.getpid()}" in told.stderr, (
            "the inner claim gave nothing free"
        )


def test_nothing_is_left_of_a_claim(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrong"), claimed(tmp_path / "run"):
        raise InputError("wrong settings")
    assert not (tmp_path / "run").exists()
    with claimed(tmp_path / "run"):
        (tmp_path / "run" / "weights").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["weights"]


def test_a_folder_that_was_taken_over_stays_with_who_has_it_now(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with claimed(folder):
        folder.rename(tmp_path / "moved")
        with another(folder):
            pass
    assert (folder / claims.LOCK).exists()


def test_a_machine_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with another(tmp_path):
        monkeypatch.setattr(claims.socket, "gethostname", lambda: "elsewhere")
        with pytest.raises(InputError, match=r"stop it there; if .* is gone, remove .*lock"):
            with claimed(tmp_path):
                pass


def test_a_file_system_without_locks_is_told_of_and_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(claims.FileLock, "acquire", refuse)
    worked = False
    with claimed(tmp_path):
        worked = True
    assert worked and "without locks" in caplog.text


def test_a_file_is_no_folder_to_work_in(tmp_path: Path) -> None:
    file = tmp_path / "song.wav"
    file.write_bytes(b"sound")
    for place in (file, file / "out"):
        with pytest.raises(InputError, match="give a folder as --out"), claimed(place):
            pass
    assert file.read_bytes() == b"sound"
