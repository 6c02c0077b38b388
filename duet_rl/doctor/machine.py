"""Checks of the machine: Python, cores, memory, disks, ports."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from duet_rl.doctor.findings import MAIN, Finding, State
from duet_rl.resources import OBJECT_STORE, usable_cpus

PYTHONS = ((3, 10), (3, 14))  # the first that will do, and the first that will not any more
SHARED = Path("/dev/shm")
_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container
_GB = 1e9  # bytes
# A cluster of one's own takes 0.75 GB, an actor of RL 0.4 GB and more, the learner 0.7 GB.
_MEMORY_NEEDED, _MEMORY_WANTED = 2 * _GB, 4 * _GB
_DISK_NEEDED, _DISK_WANTED = 0.5 * _GB, 5 * _GB
_RAY_STOPS = 0.95  # share of a full disk from which on Ray keeps no objects there
_PORTS: Mapping[int, str] = {6379: "its head", 8265: "its dashboard, where jobs are sent"}
_TRAINING = ("pretrain", "rl", "demo")


def check_python() -> Finding:
    """Whether this Python is one that the package is made for."""
    here = sys.version_info[:2]
    found = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= here < PYTHONS[1]:
        return Finding("python", "ok", found)
    low, high = (".".join(map(str, version)) for version in PYTHONS)
    return Finding("python", "missing", found, MAIN, f"install Python {low} or newer, below {high}")


def check_cores() -> Finding:
    """Whether there are processors for a learner and a runner at once."""
    cores = usable_cpus()
    if cores >= 2:
        return Finding("cores", "ok", f"{cores}")
    cure = "training works, one thing at a time; more processors make it faster"
    return Finding("cores", "warning", f"{cores}", ("a fair speed of rl",), cure)


def check_memory() -> Finding:
    """Whether memory is free for a small training."""
    free = _free_memory()
    if free is None:
        return Finding("memory", "ok", "unknown on this system")
    found = f"{free / _GB:.1f} GB free"
    if free >= _MEMORY_WANTED:
        return Finding("memory", "ok", found)
    cure = f"end other programs; {_MEMORY_WANTED / _GB:g} GB are wanted"
    state: State = "warning" if free >= _MEMORY_NEEDED else "missing"
    return Finding("memory", state, found, _TRAINING, cure)


def check_shared_memory() -> Finding:
    """Whether Ray's objects fit into shared memory; a container has 64 MB if nobody says more."""
    if not SHARED.is_dir():
        return Finding("shared memory", "ok", f"no {SHARED} on this system; Ray does without")
    free = shutil.disk_usage(SHARED).free
    found = f"{free / _GB:.2f} GB free in {SHARED}"
    if free >= OBJECT_STORE:
        return Finding("shared memory", "ok", found)
    cure = f"give a container more with --shm-size={2 * OBJECT_STORE // 10**6}m, or empty {SHARED}"
    return Finding("shared memory", "warning", found, ("a fair speed of pretrain, rl",), cure)


def check_disk(folder: Path, what: str) -> Finding:
    """Whether there is room, and the right, to write below `folder`.

    Args:
        folder: may not be there yet.
        what: is written there.
    """
    name = f"disk: {what}"
    place = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if not place.is_dir():
        return Finding(name, "missing", f"{place} is a file", MAIN, "choose another folder")
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"duet_rl")
            file.flush()
    except OSError as error:
        cure = f"mend the rights of {place}, or choose another folder"
        return Finding(name, "missing", f"{place}: {error.strerror}", MAIN, cure)
    usage = shutil.disk_usage(place)
    found = f"{usage.free / _GB:.1f} GB free at {place}"
    if usage.free < _DISK_NEEDED:
        return Finding(name, "missing", found, MAIN, "make room")
    if usage.used > _RAY_STOPS * usage.total:
        cure = f"make room: Ray keeps no objects on a disk that is more than {_RAY_STOPS:.0%} full"
        return Finding(name, "warning", found, ("large pretrain, rl",), cure)
    if usage.free < _DISK_WANTED:
        cure = "make room: states, dances and events of a long run take some GB"
        return Finding(name, "warning", found, ("long runs",), cure)
    return Finding(name, "ok", found)


def check_ports() -> Finding:
    """Whether a head of Ray's could be started here at its usual ports."""
    used = {port: whose for port, whose in _PORTS.items() if not _is_free(port)}
    if not used:
        return Finding("ports", "ok", f"{', '.join(map(str, _PORTS))} are free")
    found = ", ".join(f"{port} is taken" for port in used)
    asks = "; ".join(f"{port} is for {whose}" for port, whose in used.items())
    cure = f"a cluster may run here already, else choose other ports ({asks})"
    return Finding("ports", "warning", found, ("a second `ray start --head` here",), cure)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_memory() -> float | None:
    """Return the bytes that programs can still have, where the system says so."""
    try:
        lines = dict(line.split(":") for line in _MEMINFO.read_text().splitlines())
        free = 1024 * float(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit = float(_CGROUP_LIMIT.read_text())
        used = float((_CGROUP_LIMIT.parent / "memory.current").read_text())
    except (OSError, ValueError):  # no limit
        return free
    return min(free, limit - used)


def temporary_folder() -> Path:
    """Return where Ray and others put what is of use for a short time."""
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
