"""The cluster: start or join Ray, and share its processors out among workers."""

import logging
import math
import os
import socket
from contextlib import suppress
from dataclasses import dataclass

from duet_rl.errors import InputError
from duet_rl.orphans import end_agents_with_us

ADDRESS = "RAY_ADDRESS"  # the cluster to join; without it one is started on this machine
OBJECT_STORE = 400_000_000  # bytes; what we pass between processes is small

# Ray reads these when it is imported or started; a value that is set already is kept.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # a report waits for the next check
}

_ANSWER_SECONDS = 5.0  # for somebody to answer at an address; Ray would ask for two minutes
_HEAD_PORT = 6379  # where a head usually is
_LAST_PORT = 65_535
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_NAMES = ("auto", "local")  # that Ray takes instead of an address
_HTTP_REQUEST = b"GET /api/version HTTP/1.0\r\n\r\n"
_HTTP_ANSWER = b"HTTP/"

_PRIVATE = "DUET_RL_OWN_NODE"  # the node of the cluster that `start_ray` started

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerPlan:
    """What each worker of a training job gets."""

    workers: int
    cpus: int  # processors a worker, and its torch threads
    use_gpu: bool

    @property
    def resources(self) -> dict[str, float]:
        """Return the resources of one worker in Ray's words."""
        gpus = {"GPU": 1.0} if self.use_gpu else {}
        return {"CPU": float(self.cpus), **gpus}


def start_ray(
    num_cpus: int | None = None, num_gpus: int | None = None, log_to_driver: bool = False
) -> bool:
    """Connect to Ray, once: the cluster that `RAY_ADDRESS` names, or a new one on this machine.

    Args:
        num_cpus: processors of a new cluster; all that this process may use by default.
        num_gpus: GPUs of a new cluster; all that are visible by default.
        log_to_driver: whether the workers' output appears here; their log files have it anyway.

    Returns:
        Whether this call made the connection; the caller who did calls `ray.shutdown`.

    Raises:
        InputError: there is no cluster at `RAY_ADDRESS`; that is said within seconds.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return False
    address = os.environ.get(ADDRESS)
    if address:
        if fault := why_no_head(address):
            raise InputError(
                f"no Ray cluster answers at {ADDRESS}={address}: {fault}; start one, correct the "
                f"address, or unset {ADDRESS} to use this machine alone"
            )
        try:
            ray.init(address=address, log_to_driver=log_to_driver, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            raise InputError(
                f"no Ray cluster answers at {ADDRESS}={address} ({' '.join(str(error).split())}); "
                f"start one, set RAY_AUTH_MODE=token where it asks for a token, or unset {ADDRESS} "
                "to use this machine alone"
            ) from error
        return True
    # Only a cluster that nobody else shares can do without the preemption watcher: an actor less.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    # By default Ray's workers give way to every other program: env runners would come to a halt.
    os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init(
        address="local",
        num_cpus=num_cpus or usable_cpus(),
        num_gpus=num_gpus,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE,
        log_to_driver=log_to_driver,
        logging_level=logging.ERROR,
    )
    os.environ[_PRIVATE] = ray.get_runtime_context().get_node_id()
    end_agents_with_us()
    return True


def why_no_head(address: str) -> str:
    """Return why no head can be at an address, "" if one may be: somebody answers, and no HTTP.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or a name that Ray knows (`auto`, `local`).
    """
    if address in _NAMES:
        return ""
    try:
        if is_web_server(address.removeprefix("ray://")):
            return (
                "that is a web server, maybe the dashboard of a cluster; wanted the port of its "
                f"head, usually {_HEAD_PORT}"
            )
    except ValueError:
        return f"wanted HOST:{_HEAD_PORT}, the address of a cluster's head"
    except OSError as error:
        return f"nobody is there ({error.strerror or 'no answer'})"
    return ""


def is_web_server(address: str) -> bool:
    """Return whether what answers at `HOST:PORT` speaks HTTP; the head of a cluster does not.

    Raises:
        OSError: nobody answers within seconds.
        ValueError: this is no `HOST:PORT`.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise ValueError(f"{address} is no HOST:PORT")
    with _connected(host.strip("[]"), int(port)) as stream:
        with suppress(OSError):  # it closes the connection, or waits for more
            stream.sendall(_HTTP_REQUEST)
            return stream.recv(len(_HTTP_ANSWER)) == _HTTP_ANSWER
    return False


def _connected(host: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), _ANSWER_SECONDS)
    except OSError:
        if host not in _LOCAL_HOSTS:
            raise
        from ray.util import get_node_ip_address  # where Ray goes instead

        return socket.create_connection((get_node_ip_address(), port), _ANSWER_SECONDS)


def usable_cpus() -> int:
    """Return how many processors this process may run on: in an actor those that it was given."""
    there = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    given = _given_cpus()
    return there if given is None else max(1, min(there, int(given)))


def _given_cpus() -> float | None:
    """Return how many processors Ray gave to the actor that this is; None: it is none."""
    import ray

    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.get_actor_id() is None:
        return None
    given = context.get_assigned_resources().get("CPU")
    return None if given is None else float(given)


def is_private_cluster() -> bool:
    """Return whether the cluster was started by `start_ray` on this machine."""
    import ray

    if not ray.is_initialized():
        return False
    return os.environ.get(_PRIVATE) == ray.get_runtime_context().get_node_id()


def plan_workers(workers: int, use_gpu: bool, cpus: int | None = None) -> WorkerPlan:
    """Return what `workers` workers get from the cluster that this process is connected to.

    Args:
        workers: how many.
        use_gpu: one GPU each.
        cpus: processors each; by default a fair share of a node.

    Raises:
        InputError: the cluster has too few GPUs or processors.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    total = {name: sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU")}
    if use_gpu and total["GPU"] < workers:
        raise InputError(
            f"{workers} GPU workers are wanted and the cluster has {total['GPU']:g} GPUs; "
            "use fewer workers, or use_gpu=false"
        )
    if cpus is None:
        hosts = [node for node in nodes if node.get("GPU" if use_gpu else "CPU", 0) >= 1]
        on_one_node = math.ceil(workers / max(1, len(hosts)))
        smallest = min((node.get("CPU", 0) for node in hosts), default=0)
        cpus = max(1, int(smallest) // on_one_node)
    if total["CPU"] < workers * cpus:
        raise InputError(
            f"{workers} workers with {cpus} processors each are wanted and the cluster has "
            f"{total['CPU']:g}; use fewer workers"
        )
    return WorkerPlan(workers, cpus, use_gpu)
