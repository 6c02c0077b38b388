"""Checks that Ray starts here, or that a cluster elsewhere answers."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress

from duet_rl.doctor.findings import Finding
from duet_rl.resources import ADDRESS, is_web_server, why_no_head

_PATIENCE = 120.0  # s for Ray to start
_ANSWER = 10.0  # s for a dashboard to answer
_NEEDED = ("pretrain", "rl", "demo")
# In a process of its own, which can be ended should Ray hang.
_PROGRAM = """
import json
from duet_rl.resources import start_ray
start_ray()
import ray
print(json.dumps(ray.cluster_resources()))
ray.shutdown()
"""
_REFUSED = (401, 403)  # HTTP: the token is missing, or another one
_WEB = ("http://", "https://")


def check_cluster(address: str | None = None) -> Finding:
    """Whether a cluster can be had: the one at an address, or a new one on this machine.

    Args:
        address: `http://HOST:8265` of a dashboard, which takes jobs, or `HOST:6379` of a head;
            None is `RAY_ADDRESS`, or this machine.
    """
    if address is None:
        return _check_start(os.environ.get(ADDRESS) or None, _NEEDED)
    if address.startswith(_WEB):
        return _check_dashboard(address)
    with suppress(OSError, ValueError):  # which is told below
        if is_web_server(address):  # `submit` takes it without a scheme, too
            return _check_dashboard(f"http://{address}")
    return _check_start(address, (f"commands with {ADDRESS}={address}",))


def _check_start(address: str | None, needed: tuple[str, ...]) -> Finding:
    name = "ray starts" if address is None else "ray cluster"
    where = "on this machine" if address is None else f"at {address}"
    environment = {**os.environ, **({} if address is None else {ADDRESS: address})}
    cure = "see the logs in /tmp/ray/session_latest" if address is None else "see its head"
    if address is not None and (fault := why_no_head(address)):
        cure = "start a head with `ray start --head`, open its port, or correct the address; "
        cure += "for jobs give its dashboard, http://HOST:8265"
        return Finding(name, "missing", f"no cluster {where}: {fault}", needed, cure)
    try:
        code, written, said = _run(environment)
    except subprocess.TimeoutExpired:
        found = f"no cluster {where} within {_PATIENCE:g} s"
        return Finding(name, "missing", found, needed, cure)
    if code:
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        return Finding(name, "missing", f"no cluster {where}: {last}", needed, cure)
    resources = json.loads(written.splitlines()[-1])
    counted = ", ".join(f"{resources.get(kind, 0):g} {kind}" for kind in ("CPU", "GPU"))
    return Finding(name, "ok", f"{where}: {counted}")


def _run(environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run the program; return its exit code and what it wrote to both of its outputs.

    Outputs are files, for the end of a pipe comes when the last of Ray's processes is gone.

    Raises:
        subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=environment,
            stdout=output,
            stderr=errors,
            timeout=_PATIENCE,
            check=False,
        )
        output.seek(0)
        errors.seek(0)
        return done.returncode, output.read(), errors.read()


def _check_dashboard(address: str) -> Finding:
    """Ask a dashboard for its version, with this machine's token."""
    import ray
    from ray.exceptions import AuthenticationError

    from duet_rl.submit import TOKEN_CURE, token_headers

    needed = (f"submit --address {address}",)
    try:
        request = urllib.request.Request(
            f"{address.rstrip('/')}/api/version", headers=token_headers()
        )
        with urllib.request.urlopen(request, timeout=_ANSWER) as answer:
            version = json.load(answer)["ray_version"]
    except AuthenticationError as error:
        why = error.message.splitlines()[0]
        return Finding("ray cluster", "missing", f"no token ({why})", needed, TOKEN_CURE)
    except urllib.error.HTTPError as error:
        cure = TOKEN_CURE if error.code in _REFUSED else "see its head"
        return Finding("ray cluster", "missing", f"{address} says {error}", needed, cure)
    except (OSError, ValueError, KeyError, TypeError) as error:
        cure = "start it with `ray start --head`, open the port, or correct the address"
        return Finding("ray cluster", "missing", f"nothing at {address} ({error})", needed, cure)
    if version != ray.__version__:
        cure = f"install ray=={version} here, or {ray.__version__} there"
        found = f"{address} has Ray {version}, and this machine {ray.__version__}"
        return Finding("ray cluster", "warning", found, needed, cure)
    return Finding("ray cluster", "ok", f"{address} has Ray {version}")
