"""Ray clusters of several nodes on this machine, each a process of its own that can be killed.

Nothing here touches another cluster: ports and folders are of this one, and what is ended is ended
by its number.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from duet_rl.resources import ADDRESS
from tests.integration.processes import Process, alive, below, wait_until
from tests.ports import free_port

QUIET = {
    **{"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"},
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # s from SIGTERM to the end of a node
}
_STORE = 80 * 2**20  # bytes of a node's object store; the least that Ray takes
_START = 120.0  # s, on a busy machine
_LEAVE = 10.0  # s that a node gets to end by itself
_END = 60.0  # s until what was killed is gone, on a busy machine
# Prints the resources of the nodes that live, one line a look.
_WATCH = """
import json, sys, time
from ray._raylet import GcsClient
gcs = GcsClient(address=sys.argv[1])
while True:
    nodes = gcs.get_all_node_info().values()
    print(json.dumps([dict(n.resources_total) for n in nodes if n.state == 0]), flush=True)
    time.sleep(0.3)
"""


class Node:
    """A node: the processes below one `ray start --block`."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("wb") as stream:
            self._program = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=stream, stderr=stream
            )
        self.log = log

    def kill(self) -> None:
        """End the node as a provider takes a machine away: at once, all its processes."""
        for process in below(self._program.pid):
            _signal(process, signal.SIGKILL)
        self._program.wait()

    def end(self) -> None:
        """End the node; its agents, which would try for a minute to tell others, are killed."""
        family = below(self._program.pid)
        if self._program.poll() is None:
            self._program.terminate()
        with suppress(subprocess.TimeoutExpired):  # a head may wait for workers that are gone
            self._program.wait(_LEAVE)
        for process in family:
            _signal(process, signal.SIGKILL)
        self._program.wait()
        wait_until(lambda: not alive(family), _END, "the end of a node")


class Cluster:
    """A head without processors, and the nodes that a test adds.

    Args:
        folder: for logs.
        head: more options of `ray start --head`.
        environment: more environment variables of the head.
        port: of the head; any free one by default.
    """

    def __init__(
        self,
        folder: Path,
        head: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.folder, self._nodes = folder, 0
        self._stack = ExitStack()
        # Sockets lie in here, and their paths may not be long.
        temporary = tempfile.mkdtemp(prefix="duet-")
        self._stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        port = port or free_port()
        self.address = f"{_here()}:{port}"
        try:
            head_node = self._start(
                *("--head", f"--port={port}", f"--temp-dir={temporary}"),
                *("--include-dashboard=false", f"--ray-client-server-port={free_port()}"),
                *("--num-cpus=0", *head),
                environment=environment or {},
            )
            wait_until(lambda: _answers(port), _START, "the head", head_node.log)
        except BaseException:
            self.close()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to join."""
        return {**QUIET, ADDRESS: self.address}

    def add_node(self, cpus: int, resources: Mapping[str, float] | None = None) -> Node:
        """Start a node."""
        return self._start(
            *(f"--address={self.address}", f"--num-cpus={cpus}"),
            f"--resources={json.dumps(dict(resources or {}))}",
            environment={},
        )

    def close(self) -> None:
        """End all nodes, the head last."""
        self._stack.close()

    @contextmanager
    def watched(self) -> Iterator[Path]:
        """Write down, while the block runs, which nodes live; yield the file, a line a look."""
        log = self.folder / "nodes.jsonl"
        with log.open("wb") as stream:
            command = [sys.executable, "-c", _WATCH, self.address]
            watcher = subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=stream)
        try:
            yield log
        finally:
            watcher.kill()
            watcher.wait()

    def _start(self, *options: str, environment: Mapping[str, str]) -> Node:
        command = [
            *(str(Path(sys.executable).parent / "ray"), "start", "--block", *options),
            *(f"--node-ip-address={_here()}", f"--object-store-memory={_STORE}"),
            *("--min-worker-port=0", "--max-worker-port=0"),
            *(f"--dashboard-agent-listen-port={free_port()}", "--disable-usage-stats"),
        ]
        log = self.folder / f"node_{self._nodes}.log"
        self._nodes += 1
        node = Node(command, {**QUIET, **environment}, log)
        self._stack.callback(node.end)
        return node


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Yield a cluster that has a head and no other node yet."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def autoscaling_cluster(
    folder: Path, node_types: Mapping[str, Any], idle_minutes: float
) -> Iterator[Cluster]:
    """Yield a cluster whose autoscaler (v2) starts and ends nodes on this machine.

    Args:
        folder: for logs.
        node_types: resources and most nodes by name, as `(resources, most)`.
        idle_minutes: after which a node that nobody uses is ended.
    """
    from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

    types = {_HEAD: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}}
    for name, (resources, most) in node_types.items():
        resources = {**resources, "object_store_memory": _STORE}
        types[name] = {
            **{"resources": resources, "node_config": {}},
            **{"min_workers": 0, "max_workers": most},
        }
    # The provider starts nodes with the address that it is told, which is known only now.
    port = free_port()
    config = {
        "cluster_name": "fake",
        "max_workers": sum(most for _, most in node_types.values()),
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": idle_minutes,
        "provider": {
            "type": "external",
            "module": f"{_PROVIDER}.FakeMultiNodeProvider",
            **{"gcs_address": f"{_here()}:{port}", "head_node_id": FAKE_HEAD_NODE_ID},
            **{"launch_multiple": True, "disable_node_updaters": True},
            "disable_launch_config_check": True,
        },
        "head_node_type": _HEAD,
        "available_node_types": types,
        **{key: [] for key in _COMMANDS},
        **{key: {} for key in ("file_mounts", "auth", "docker")},
        "file_mounts_sync_continuously": False,
    }
    path = folder / "autoscaler.json"
    path.write_text(json.dumps(config))
    environment = {
        **{"RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1"},
        **{"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID},
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    }
    made = Cluster(folder, (f"--autoscaling-config={path}",), environment, port)
    try:
        yield made
    finally:
        made.close()


_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider"
_HEAD = "ray.head.default"  # as the provider calls the node that it finds
_COMMANDS = (
    *("setup_commands", "initialization_commands", "head_setup_commands"),
    *("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
    *("cluster_synced_files", "rsync_exclude", "rsync_filter"),
)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_here(), port)) == 0


def _here() -> str:
    from ray._private.services import get_node_ip_address

    return str(get_node_ip_address())  # the provider's nodes take this one, too


def _signal(process: Process, number: signal.Signals) -> None:
    if alive([process]):
        os.kill(process.pid, number)
