"""The head of a cluster as it is found in the field: no package of ours is installed there."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from duet_rl.resources import ADDRESS
from tests.integration.processes import alive, below, ended, wait_until
from tests.ports import free_port

_BIN = Path(sys.executable).parent
_STORE = 150 * 2**20  # bytes of the object store
_START, _END = 120.0, 60.0  # s, on a busy machine
# Takes what an editable installation adds out of Python's ways to find modules.
_HIDE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
sys.path[:] = [folder for folder in sys.path if folder != {root!r} and "__editable__" not in folder]
sys.path_hooks[:] = [hook for hook in sys.path_hooks if "editable" not in str(hook).lower()]
"""


class Head(NamedTuple):
    """A running head."""

    address: str  # of its dashboard
    environment: Mapping[str, str]  # that it was started with


@contextmanager
def job_head(folder: Path, root: Path, cpus: int, token: str) -> Iterator[Head]:
    """Run a head with a job server that asks for a token; afterwards nothing of it is left.

    Args:
        folder: for its log and what hides us.
        root: the checkout that must not be found there.
        cpus: its processors, for tasks and actors.
        token: that it asks for.
    """
    hiding = folder / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text(_HIDE.format(root=str(root)))
    # Sockets lie in here, and their paths may not be long.
    temporary = tempfile.mkdtemp(prefix="duet-")
    dashboard = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        **{"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"},
        **{"OMP_NUM_THREADS": "1", "PYTHONPATH": str(hiding)},
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # s from SIGTERM to the end of a node
        "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop(ADDRESS, None)
    command = [
        *(str(_BIN / "ray"), "start", "--head", "--block", "--include-dashboard=true"),
        *(f"--port={free_port()}", f"--dashboard-port={dashboard}", f"--temp-dir={temporary}"),
        *(f"--ray-client-server-port={free_port()}", "--node-ip-address=127.0.0.1"),
        *(f"--dashboard-agent-listen-port={free_port()}", f"--object-store-memory={_STORE}"),
        *("--min-worker-port=0", "--max-worker-port=0", f"--num-cpus={cpus}"),
    ]
    log = folder / "head.log"
    with log.open("wb") as stream:
        program = subprocess.Popen(
            command, cwd="/", env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        wait_until(lambda: _answers(dashboard) or program.poll() is not None, _START, "the head")
        assert program.poll() is None, log.read_text()
        yield Head(f"http://127.0.0.1:{dashboard}", environment)
    finally:
        family = below(program.pid)
        program.terminate()
        try:
            ended(program, _END, log)
            wait_until(lambda: not alive(family), _END, "the end of the head", log)
        finally:
            for process in alive(family):
                os.kill(process.pid, 9)
            program.wait()
            shutil.rmtree(temporary, ignore_errors=True)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
