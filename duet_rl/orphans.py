"""A program that is killed leaves no process of Ray behind."""

import os
import subprocess
import sys
from pathlib import Path

# Waits for the end of the program, or of the processes; these are named by descriptors (pidfd),
# which never mean another process that has got the same number.
_WATCH = """
import select, signal, sys
PROGRAM = 0  # the other end of this pipe
living = {int(process) for process in sys.argv[1:]}
watch = select.poll()
for descriptor in (PROGRAM, *living):
    watch.register(descriptor, select.POLLIN)
while living:
    for descriptor, _ in watch.poll():
        if descriptor == PROGRAM:
            for process in living:
                try:
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            sys.exit()
        watch.unregister(descriptor)
        living.remove(descriptor)
"""
_RAYLET = b"/raylet/raylet"  # in the command line of Ray's process on each node

_watchers: list[subprocess.Popen[bytes]] = []  # each holds our end of its pipe


def end_agents_with_us() -> None:
    """Let the agents of the cluster that this process has just started end when it does.

    Ray ends its other processes itself. Its agents notice that it is gone, but then try for a
    minute to report that to the cluster that is gone, too. Without Linux nothing is done.
    """
    if not hasattr(os, "pidfd_open"):
        return
    raylets = [pid for pid in _children([os.getpid()]) if _RAYLET in _command(pid)]
    processes = [pidfd for pid in _children(raylets) if (pidfd := _open(pid)) is not None]
    if not processes:
        return
    _watchers[:] = [watcher for watcher in _watchers if watcher.poll() is None]
    _watchers.append(
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, *map(str, processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=processes,
            start_new_session=True,  # Ctrl-C is for the program
        )
    )
    for pidfd in processes:
        os.close(pidfd)


def _children(parents: list[int]) -> list[int]:
    """Return the processes that one of `parents` started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_bytes().rpartition(b")")[2]  # names are no text
        except OSError:  # it has just ended
            continue
        if int(after_name.split()[1]) in parents:
            found.append(int(folder.name))
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:  # it has just ended, or the kernel is too old
        return None
