"""Who works in a folder: one program at a time, in whichever way it ends."""

import errno
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from duet_rl.errors import InputError
from duet_rl.files import atomic_path

OURS = ".duet_rl_"  # begins the names of files that we keep in a folder about it
LOCK = f"{OURS}lock"  # in a folder that is worked in
_HOLDER = ".json"  # suffix, beside a lock: who holds it
# What file systems say that know no locks: some network mounts, some buckets that are mounted.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

_claimed: ContextVar[frozenset[Path]] = ContextVar("_claimed", default=frozenset())

logger = logging.getLogger(__name__)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Let no other program work in the folder of a run while the block runs.

    The folder is made if need be. What the block calls may claim it again. The system gives it
    free when this process ends, also by `kill -9`.

    Raises:
        InputError: another program works there, or a file is where the folder would be.
    """
    folder = folder.resolve()
    ours = _claimed.get()
    if folder in ours:
        yield
        return
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} is, or lies in, a file; give a folder as --out") from error
    try:
        with held(folder / LOCK, str(folder), "give another --out"):
            before = _claimed.set(ours | {folder})
            try:
                yield
            finally:
                _claimed.reset(before)
    finally:
        if fresh:
            with suppress(OSError):  # something was written
                folder.rmdir()


@contextmanager
def held(lock: Path, what: str, instead: str) -> Iterator[None]:
    """Hold a lock that the system lets go of when this process ends, however it does.

    On a file system that knows no locks this is said, and nothing is held.

    Args:
        lock: a file in a folder that is there; it is removed in the end.
        what: is worked on, to be told to who comes second.
        instead: what they may do rather than wait.

    Raises:
        InputError: another program holds it, or the file cannot be opened.
    """
    system_lock = FileLock(lock, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        system_lock.acquire()
    except Timeout:
        raise InputError(f"{what} is in use {_holder(lock)}, or {instead}") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise InputError(
                f"{lock} cannot be opened ({error.strerror or error}); it is of another user: let "
                f"them remove it, or {instead}"
            ) from error
        logger.warning(
            "%s lies on a file system without locks (%s); let no second program work there",
            *(what, error.strerror),
        )
        yield
        return
    mark, holder = lock.stat(), lock.with_name(lock.name + _HOLDER)
    try:
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        with atomic_path(holder) as temporary:
            temporary.write_text(json.dumps(facts) + "\n")
        yield
    finally:
        with suppress(OSError):  # the folder is gone, or has made room for another
            if os.path.samestat(mark, lock.stat()):
                holder.unlink(missing_ok=True)
                lock.unlink()  # while it is held: who has opened it sees that, and tries anew
        system_lock.release()


def _holder(lock: Path) -> str:
    """Return who holds a lock, and what to do."""
    try:
        facts: dict[str, Any] = json.loads(lock.with_name(lock.name + _HOLDER).read_text())
        pid, host, since = facts["pid"], facts["host"], facts["since"]
    except (OSError, ValueError, KeyError):  # it has only just begun, or ended
        return "by another program; wait for it"
    here = host == socket.gethostname()
    stop = f"stop it (kill {pid})" if here else f"stop it there; if {host} is gone, remove {lock}"
    return f"by process {pid} on {host} since {since}; wait for it, {stop}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
