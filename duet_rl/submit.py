"""Jobs: a command of ours runs on a cluster, in a copy of the checkout that Ray sends along."""

import asyncio
import logging
import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet_rl.errors import InputError

# Bytes that the job API takes in one request (Ray's DASHBOARD_CLIENT_MAX_SIZE). Ray packs files
# without compressing them.
LIMIT = 100 * 1024**2
MIB = 1024**2
STOPPED = 130  # exit code of a job that somebody stopped, as of Ctrl-C
STOP_SECONDS = 30  # that a stopped job gets to send what it has done
# Stopping a job is then Ctrl-C for our program: it ends Ray's actors and sends the run folder.
_ENVIRONMENT = {
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
    "PYTHONUNBUFFERED": "1",  # lines come when they are written
}
_OUT = "duet_rl_out"  # key of a job's metadata: the place that it works in
_IGNORE_GITIGNORE = "RAY_RUNTIME_ENV_IGNORE_GITIGNORE"
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # Ray prefers them to what it is asked for
_ENTRY = 76  # bytes about a file in an archive, beside twice its name
_END = 22  # bytes at the end of an archive
_LOOK_SECONDS = 1.0  # between the end of a job's output and the next look at it
_TRIES, _TRY_SECONDS = 10, 3.0  # to reach a cluster that has fallen silent
_LOGGERS = (".dashboard.modules.job.sdk", ".dashboard.modules.dashboard_sdk")  # which set a level
TOKEN_CURE = (
    "set RAY_AUTH_TOKEN or write ~/.ray/auth_token, with what `ray get-auth-token` prints on the "
    "cluster's head"
)
_SIGNALLED = 128  # plus the signal: exit code of a program that was killed


class Unheard(Exception):
    """What a job says can be passed on no more, for the reason that is its cause; it goes on."""


@dataclass(frozen=True)
class Upload:
    """What Ray would send of a folder."""

    folder: Path
    files: Mapping[str, int]  # bytes, by relative name

    @property
    def size(self) -> int:
        """Return the bytes of the archive that Ray makes."""
        names = sum(2 * len(name.encode()) for name in self.files)
        return sum(self.files.values()) + names + _ENTRY * len(self.files) + _END

    def largest(self, count: int) -> list[str]:
        """Return the names of the largest files, with their sizes."""
        names = sorted(self.files, key=lambda name: -self.files[name])[:count]
        return [f"{name} {self.files[name] / MIB:.1f} MiB" for name in names]

    def require_small(self, limit: int = LIMIT) -> None:
        """Refuse what the cluster would not take.

        Raises:
            InputError: names the largest files.
        """
        if self.size <= limit:
            return
        raise InputError(
            f"{self.folder} has {self.size / MIB:.0f} MiB in {len(self.files)} files to send, and "
            f"a job may bring {limit / MIB:.0f} MiB; the largest: {', '.join(self.largest(5))}. "
            "Name what the job does not need in .rayignore (as in .gitignore), and put data on "
            "storage that the cluster reaches"
        )


def upload_of(folder: Path) -> Upload:
    """Return what Ray would send of the folder: all but what .gitignore and .rayignore name.

    Raises:
        InputError: the folder is no checkout of ours.
    """
    from ray._private.ray_constants import get_runtime_env_default_excludes
    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    _quiet()
    folder = folder.absolute()
    if not (folder / "duet_rl" / "__main__.py").is_file():
        raise InputError(
            f"{folder} is no checkout of duet_rl (duet_rl/__main__.py is missing); go there, or "
            "name it: --working-dir CHECKOUT"
        )
    files: dict[str, int] = {}

    def note(path: Path) -> None:
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.stat().st_size

    excludes = [_get_excludes(folder, get_runtime_env_default_excludes())]
    _dir_travel(folder, excludes, note, os.environ.get(_IGNORE_GITIGNORE, "0") != "1")
    return Upload(folder, files)


class JobServer:
    """The job API of a cluster.

    Args:
        address: of the dashboard of its head, http://HOST:8265.

    Raises:
        InputError: no answer there, or it does not take our token.
    """

    def __init__(self, address: str) -> None:
        self.address = (address if "://" in address else f"http://{address}").rstrip("/")
        if not self.address.startswith(("http://", "https://")):
            raise InputError(
                f"{address} is no address of a dashboard; wanted http://HOST:8265, which "
                "`ray start --head` prints"
            )
        with self._told():
            self._client = _client(self.address)

    def working_in(self, out: str) -> list[str]:
        """Return the jobs that work in a place and have not ended."""
        with self._told():
            jobs = self._client.list_jobs()
        return [
            str(job.submission_id)
            for job in jobs
            if not job.status.is_terminal() and (job.metadata or {}).get(_OUT) == out
        ]

    def send(
        self,
        words: Sequence[str],
        upload: Upload,
        name: str | None = None,
        environment: Mapping[str, str] = {},
        out: str | None = None,
    ) -> str:
        """Start `python -m duet_rl WORDS` as a job and return its id.

        Args:
            words: the command.
            upload: what is sent along.
            name: how the job's id begins.
            environment: variables that the job gets beside ours.
            out: the place that it works in, where no two jobs may.

        Raises:
            InputError: another job works in `out`, or the cluster does not take it.
        """
        upload.require_small()
        if out is not None and (others := self.working_in(out)):
            raise InputError(
                f"job {others[0]} is still at work in {out}; wait for it, or stop it: "
                f"{self.how_to('stop', others[0])}"
            )
        command = shlex.join(["python", "-m", "duet_rl", *words])
        with self._told():
            return str(
                self._client.submit_job(
                    entrypoint=command,
                    submission_id=f"{name or 'duet_rl'}-{secrets.token_hex(4)}",
                    runtime_env={
                        "working_dir": str(upload.folder),
                        "env_vars": {**_ENVIRONMENT, **environment},
                    },
                    metadata={} if out is None else {_OUT: out},
                )
            )

    def follow(self, job: str, write: Callable[[str], None]) -> int:
        """Pass on what a job writes until it ends, and return the exit code of its command.

        Args:
            job: its id.
            write: takes text as it comes.

        Raises:
            InputError: the cluster has fallen silent.
            Unheard: `write` raised an `OSError`, e.g. since nobody reads what it writes.
        """

        def pass_on(text: str) -> None:
            try:
                write(text)
            except OSError as error:  # which is no fault of the connection
                raise Unheard(job) from error

        shown = asyncio.run(self._tail(job, pass_on))
        with self._told():
            rest = self._client.get_job_logs(job)[shown:]  # what came after the last look
            info = self._client.get_job_info(job)
        pass_on(rest)
        if info.status == "SUCCEEDED":
            return 0
        if info.status == "STOPPED":
            return STOPPED
        code = info.driver_exit_code
        if not code:  # it did not come to run
            pass_on(f"{info.message}\n")
            return 1
        return _SIGNALLED - code if code < 0 else code

    def how_to(self, verb: str, job: str) -> str:
        """Return the command line that does something with a job."""
        token = "RAY_AUTH_MODE=token " if os.environ.get("RAY_AUTH_MODE") == "token" else ""
        return f"{token}ray job {verb} --address {self.address} {job}"

    async def _tail(self, job: str, write: Callable[[str], None]) -> int:
        """Pass on what a job writes until it ends; return how many characters that were."""
        import aiohttp

        shown = silent = 0
        while True:
            seen = 0
            try:
                async for text in self._client.tail_job_logs(job):
                    write(text[max(0, shown - seen) :])  # after a lost connection it begins anew
                    seen += len(text)
                    shown = max(shown, seen)
            except (RuntimeError, OSError, aiohttp.ClientError):
                pass  # what has become of the job is asked for now
            try:
                if self._client.get_job_info(job).status.is_terminal():
                    return shown
                silent = 0
            except (OSError, RuntimeError) as error:  # the latter: it does not know the job (now)
                silent += 1
                if silent == _TRIES:
                    raise InputError(
                        f"{self.address} says no more of job {job}, which may be running: "
                        f"{self.how_to('logs --follow', job)}"
                    ) from error
            await asyncio.sleep(_TRY_SECONDS if silent else _LOOK_SECONDS)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what Ray's faults mean."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise InputError(
                f"{self.address} does not take this machine's token "
                f"({error.message.splitlines()[0]}); {TOKEN_CURE}"
            ) from error
        except InputError:
            raise
        except (ConnectionError, OSError) as error:  # OSError: of requests
            raise InputError(
                f"no job server answers at {self.address}; wanted the dashboard of the cluster's "
                "head (http://HOST:8265), which needs ray[default] there, or a way to it: "
                "`ray dashboard CLUSTER.yaml`, `kubectl port-forward`"
            ) from error
        except RuntimeError as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), "")
            raise InputError(f"{self.address} does not take the request: {reason}") from error


def token_headers() -> dict[str, str]:
    """Return the HTTP headers with this machine's token for clusters; none if it has no token.

    It is looked for as Ray does: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.

    Raises:
        ray.exceptions.AuthenticationError: RAY_AUTH_TOKEN_PATH names no file with a token.
    """
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.authentication.http_token_authentication import (
        get_auth_headers_if_auth_enabled,
    )

    _quiet()
    # Ray itself sends the token that it finds only where RAY_AUTH_MODE says so.
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    return dict(get_auth_headers_if_auth_enabled({}))


def _client(address: str) -> Any:
    """Return Ray's client of a job server, which asks nothing but `address` where to go.

    Raises:
        InputError: a package is missing.
    """
    try:
        import aiohttp  # noqa: F401 - Ray finds out late
        import requests  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{error.name} is missing, which jobs need; pip install 'ray[default]'"
        ) from error
    from ray.job_submission import JobSubmissionClient

    headers = token_headers()
    kept = {name: os.environ.pop(name) for name in _ADDRESSES if name in os.environ}
    try:
        return JobSubmissionClient(address, headers=headers)
    finally:
        os.environ.update(kept)


def _quiet() -> None:
    """Let Ray say nothing about what we say in our own words."""
    for name in ("", *_LOGGERS):
        logging.getLogger(f"ray{name}").setLevel(logging.ERROR)
