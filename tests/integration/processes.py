"""A world on disk and the command line as a process of its own, with all that it starts."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from duet_rl.audio.provenance import AUTHORS
from duet_rl.datasets.store import DuetStore
from duet_rl.resources import ADDRESS, usable_cpus
from duet_rl.rl.run import FOLDER, WORK
from tests.envs.dancers import walking_couple
from tests.rl.world import write_dancer

ROOT = Path(__file__).resolve().parents[2]
_POLL = 0.02  # s
_REST = 4.0  # times as long as a look took


class World(NamedTuple):
    """Where RL finds and leaves what it needs."""

    data: Path
    follower: Path
    out: Path

    @property
    def work(self) -> Path:
        return self.out / WORK

    @property
    def finished(self) -> Path:
        return self.out / FOLDER

    def command(self, settings: list[str]) -> list[str]:
        """Return the command line that trains in this world."""
        places = {"--data": self.data, "--follower": self.follower, "--out": self.out}
        options = [str(part) for option in places.items() for part in option]
        return [sys.executable, "-m", "duet_rl", "rl", *options, *settings]


def write_world(folder: Path) -> World:
    """Write clips, and a follower that knows nothing yet."""
    clips = [walking_couple(name, 72, seed) for seed, name in enumerate("abcdef")]
    data = DuetStore.create(folder / "data", clips, music=AUTHORS)
    return World(data.path, write_dancer(folder / "follower", data), folder / "run")


@contextmanager
def started(
    command: list[str], log: Path, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, its output in `log`, and be sure that it has ended afterwards.

    Args:
        command: the program and its arguments.
        log: where its output goes.
        settings: environment variables beside ours.
    """
    environment = {k: v for k, v in os.environ.items() if k != ADDRESS} | dict(settings or {})
    with log.open("wb") as stream:
        program = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        yield program
    finally:
        program.kill()
        program.wait()


def wait_until(
    condition: Callable[[], bool], seconds: float, what: str, log: Path | None = None
) -> None:
    """Return when `condition` holds; an `AssertionError` if it does not.

    Args:
        condition: is asked again and again, for a fifth of a processor's time at most.
        seconds: of patience with a machine that is free for us; one on which ten processes want
            two processors gets five times as many.
        what: is waited for.
        log: of who is waited for; its text is told if the wait was in vain.
    """
    spent, last = 0.0, time.monotonic()
    while True:
        asked = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        spent, last = spent + (now - last) * _share(), now
        if spent >= seconds:
            told = "" if log is None else f"\n{log.read_text()}"
            raise AssertionError(f"{what}: not within {seconds:g} s{told}")
        time.sleep(max(_POLL, _REST * (now - asked)))


def ended(program: subprocess.Popen[bytes], seconds: float, log: Path) -> int:
    """Return the exit code of a program when it has ended; an `AssertionError` if it does not."""
    wait_until(lambda: program.poll() is not None, seconds, "the end of the program", log)
    return int(program.returncode)


def _share() -> float:
    """Return about which part of a processor each process gets that wants one now."""
    return min(1.0, usable_cpus() / max(os.getloadavg()[0], 1.0))


class Process(NamedTuple):
    """A process that is no other one with the same number."""

    pid: int
    born: bytes  # clock ticks since the machine started


def below(root: int) -> list[Process]:
    """Return a process and all that it started, directly or not."""
    table = {pid: stat for pid in _numbers() if (stat := _stat(pid))}
    pids = [root]
    for pid in pids:  # which grows
        pids += [child for child, stat in table.items() if int(stat[1]) == pid]
    return [Process(pid, table[pid][_BORN]) for pid in pids if pid in table]


def alive(processes: list[Process]) -> list[Process]:
    """Return those that are still running."""
    return [p for p in processes if (s := _stat(p.pid)) and s[_BORN] == p.born and s[0] != b"Z"]


_BORN = 19  # place in /proc/PID/stat, counted after the name


def _numbers() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> list[bytes]:
    """Return the fields of a process after its name: state, parent, ...; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
