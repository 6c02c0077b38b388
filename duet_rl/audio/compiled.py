"""The inner loops of librosa, which it compiles when its modules are first imported."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

from filelock import FileLock

# Those that hold loops of several types: numba numbers what it compiled, and processes that compile
# at the same time give one number to two of them. The next process then runs the wrong one.
_MODULES = ("util.utils", "core.audio", "core.pitch", "beat", "effects", "feature", "onset")


@cache
def compile_librosa() -> None:
    """Import what is compiled, one process at a time; what is on the disk by then is only read.

    Whoever has librosa work on sound asks for it first. In a new installation it takes half a
    minute, later nothing beyond the import.
    """
    with _alone():
        for module in _MODULES:
            import_module(f"librosa.{module}")


def lock_path() -> Path:
    """Return the file that is locked meanwhile; each user of the machine has one."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"duet_rl-librosa-{user}.lock"


@contextmanager
def _alone() -> Iterator[None]:
    lock = FileLock(lock_path())
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # nothing can be locked here
        yield
        return
    try:
        yield
    finally:
        lock.release()
