"""What is in a folder that others write in, and what has become of it since."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from duet_rl.storage.claims import OURS

_COPIED = 1 << 20  # bytes; files up to this size may be written in place while they are sent
_LOGS = (".jsonl",)  # files that only ever grow ...
_EVENTS = "events.out.tfevents"  # ... and those of TensorBoard


class Stamp(NamedTuple):
    """What tells two states of a file apart."""

    inode: int
    size: int
    changed: int  # ns


def stamps_of(folder: Path) -> dict[str, Stamp]:
    """Return all files below a folder but our own, and those that `atomic_path` is writing."""
    stamps = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_temporary(name)]
        for name in files:
            path = Path(parent, name)
            try:
                facts = path.stat()
            except FileNotFoundError:  # it has just been replaced
                continue
            if not _is_temporary(name) and not name.startswith(OURS):
                stamp = Stamp(facts.st_ino, facts.st_size, facts.st_mtime_ns)
                stamps[path.relative_to(folder).as_posix()] = stamp
    return stamps


def keep(file: Path, size: int, kept: Path) -> None:
    """Let `kept` be the file as it is now."""
    if size > _COPIED:  # written once and then replaced, or growing: the inode stays what it is
        try:
            os.link(file, kept)
        except FileNotFoundError:
            raise
        except OSError:  # a disk without links
            pass
        else:
            return
    shutil.copyfile(file, kept)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and ".tmp" in name


def same(before: dict[str, Stamp], after: dict[str, Stamp]) -> bool:
    """Return whether nothing has changed but for logs that have grown."""
    if before.keys() != after.keys():
        return False
    return all(
        stamp == after[name]
        or (_grows(name) and stamp.inode == after[name].inode and stamp.size <= after[name].size)
        for name, stamp in before.items()
    )


def _grows(name: str) -> bool:
    return name.endswith(_LOGS) or _EVENTS in name
