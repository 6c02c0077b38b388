"""Runs behind URIs: worked on in a local folder, which is kept the same as the one in the store."""

import fcntl
import json
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.storage.commits import Contents, Piece, commit, contents_of, download, finish
from duet_rl.storage.places import (
    OURS,
    STORE_ERRORS,
    Place,
    cache_folder,
    check_writable,
    first_line,
    is_uri,
    open_place,
)

UPLOAD_SECONDS = 20.0  # between two looks at what has changed
_COPIED = 1 << 20  # bytes; files up to this size may be written in place while they are sent
_UNSENT = ".unsent"  # suffix of a folder that the store's took the place of
_LOGS = (".jsonl",)  # files that only ever grow ...
_EVENTS = "events.out.tfevents"  # ... and those of TensorBoard

logger = logging.getLogger(__name__)


class RunFolder(NamedTuple):
    """The folder of a run: where it is worked on, and what it is called."""

    local: Path
    uri: str | None  # None: the local folder is the run

    def public(self, path: Path) -> str:
        """Return what to call a path in the folder."""
        if self.uri is None or not path.is_relative_to(self.local):
            return str(path)
        return f"{self.uri}/{path.relative_to(self.local).as_posix()}".removesuffix("/.")


@contextmanager
def working(out: str | Path) -> Iterator[RunFolder]:
    """Yield the folder to work in for a run in `out`, a path or a URI, which can be written.

    What is behind a URI is copied here first, if there is anything; what changes is sent back on
    the way and at the end, also where the block raises.

    Raises:
        InputError: `out` cannot be written, or another run works on it.
    """
    check_writable(out)
    if not is_uri(out):
        yield RunFolder(Path(out), None)
        return
    mirror = Mirror(str(out))
    with mirror:
        yield RunFolder(mirror.folder, mirror.uri)


def fetched(source: str | Path) -> Path:
    """Return a local folder with what is at `source`: itself, or a copy of what a URI names.

    The copy is made once, and again when the store's names, sizes or times have changed.

    Raises:
        InputError: there is nothing, or it cannot be read.
    """
    if not is_uri(source):
        return Path(source)
    uri = str(source).rstrip("/")
    place, folder = open_place(uri), cache_folder("fetched", uri)
    stamp = folder.with_name(f"{folder.name}.json")
    try:
        listing = {k: facts for k, facts in place.listing().items() if not k.startswith(OURS)}
        if not listing:
            raise InputError(f"nothing is at {uri}; give a folder that has files")
        text = json.dumps(sorted((name, *facts) for name, facts in listing.items()))
        if folder.is_dir() and stamp.is_file() and stamp.read_text() == text:
            return folder
        logger.info("copying %s to %s", uri, folder)
        sizes = {name: size for name, (size, _) in listing.items()}
        download(place, Contents(None, sizes), folder)
    except STORE_ERRORS as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{uri} cannot be read here ({first_line(error)})") from error
    with atomic_path(stamp) as temporary:
        temporary.write_text(text)
    return folder


class _Stamp(NamedTuple):
    """What tells two states of a file apart."""

    inode: int
    size: int
    changed: int  # ns


class Mirror:
    """A local folder that is kept the same as a folder in a store, while a `with` block runs.

    What the store gets is the state of the local folder at one moment, whole or not at all: the
    one from which a program goes on that was killed at that moment.

    Args:
        uri: the folder in the store.
        seconds: between two looks at what has changed.
    """

    def __init__(self, uri: str, seconds: float = UPLOAD_SECONDS) -> None:
        self.uri = uri.rstrip("/")
        self.folder = cache_folder("runs", self.uri)
        self._record = self.folder.with_name(f"{self.folder.name}.json")
        self._scratch = self.folder.with_name(f"{self.folder.name}.sending")
        self._seconds = seconds
        self._place: Place = open_place(self.uri)
        self._token: str | None = None  # of the change that the store and we know
        self._sent: dict[str, _Stamp] = {}  # what the store has
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> "Mirror":
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self._stack as stack:
            stack.enter_context(_held(self.folder.with_name(f"{self.folder.name}.lock"), self.uri))
            try:
                self._begin()
            except STORE_ERRORS as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"{self.uri} cannot be copied ({first_line(error)})") from error
            self._stack = stack.pop_all()
        logger.info("%s is worked on in %s", self.uri, self.folder)
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._stack:
            self._done.set()
            self._watcher.join()
            try:
                if not self.upload():
                    raise OSError("its files are still being changed")
            except STORE_ERRORS as error:
                told = (
                    f"the run could not be sent to {self.uri} ({first_line(error)}); all of it is "
                    f"in {self.folder}"
                )
                if not isinstance(error, InputError):  # else the store goes its own way
                    told += ", and the same command on this machine sends it"
                if kind is None:
                    raise InputError(told) from error
                logger.error("%s", told)  # what ended the run is told first

    def upload(self, last: bool = True) -> bool:
        """Send what has changed; return whether the store has now what is here.

        Args:
            last: nobody writes here any more; else the folder may change while it is looked at,
                and nothing is sent if it does.

        Raises:
            InputError: somebody else has changed the folder in the store.
        """
        found = _stamps(self.folder)
        changed = {name for name, stamp in found.items() if self._sent.get(name) != stamp}
        if not changed and found.keys() == self._sent.keys():
            return True
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        try:
            pieces = self._frozen({name: found[name] for name in sorted(changed)})
            if pieces is None or not (last or _same(found, _stamps(self.folder))):
                return False
            finish(self._place)
            if contents_of(self._place).token != self._token:
                raise InputError(
                    f"{self.uri} was changed by another run; let one of them work there at a time"
                )
            sizes = {name: stamp.size for name, stamp in found.items()}
            self._token = commit(self._place, secrets.token_hex(8), sizes, pieces).token
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._note(found)
        return True

    def _begin(self) -> None:
        """Take over what the store has, unless what is here has grown from it."""
        finish(self._place)
        contents = contents_of(self._place)
        record = json.loads(self._record.read_text()) if self._record.is_file() else {}
        self._token = contents.token
        known = record.get("token", "") == contents.token and (
            contents.token is not None or not contents.files
        )
        if known and self.folder.is_dir():
            self._sent = {name: _Stamp(*stamp) for name, stamp in record["sent"].items()}
            return
        self._set_aside({name: _Stamp(*stamp) for name, stamp in record.get("sent", {}).items()})
        self._record.unlink(missing_ok=True)
        download(self._place, contents, self.folder)
        self._note(_stamps(self.folder))

    def _set_aside(self, sent: dict[str, _Stamp]) -> None:
        """Keep what is here and was never sent, before the store's state takes its place."""
        if not self.folder.is_dir() or _stamps(self.folder).items() <= sent.items():
            return
        aside = self.folder.with_name(f"{self.folder.name}.{secrets.token_hex(4)}{_UNSENT}")
        os.replace(self.folder, aside)
        logger.warning(
            "%s has changed since this machine saw it; what was not sent from here is kept in %s",
            *(self.uri, aside),
        )

    def _note(self, sent: dict[str, _Stamp]) -> None:
        self._sent = sent
        with atomic_path(self._record) as temporary:
            temporary.write_text(json.dumps({"token": self._token, "sent": sent}))

    def _frozen(self, stamps: dict[str, _Stamp]) -> dict[str, Piece] | None:
        """Return the files as they are now, wherever they go next; None if one is gone."""
        pieces = {}
        for number, (name, stamp) in enumerate(stamps.items()):
            kept = self._scratch / str(number)
            try:
                _keep(self.folder / name, stamp.size, kept)
            except FileNotFoundError:
                return None
            pieces[name] = Piece(kept, stamp.size)
        return pieces

    def _watch(self) -> None:
        told = ""
        while not self._done.wait(self._seconds):
            try:
                self.upload(last=False)
                told = ""
            except STORE_ERRORS as error:
                reason = first_line(error)
                if reason != told:
                    logger.warning(
                        "%s could not be brought up to date (%s); trying again", self.uri, reason
                    )
                told = reason


def _stamps(folder: Path) -> dict[str, _Stamp]:
    """Return all files below a folder but those that are being written by `atomic_path`."""
    stamps = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_temporary(name)]
        for name in files:
            path = Path(parent, name)
            try:
                facts = path.stat()
            except FileNotFoundError:  # it has just been replaced
                continue
            if not _is_temporary(name):
                stamp = _Stamp(facts.st_ino, facts.st_size, facts.st_mtime_ns)
                stamps[path.relative_to(folder).as_posix()] = stamp
    return stamps


def _keep(file: Path, size: int, kept: Path) -> None:
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


def _same(before: dict[str, _Stamp], after: dict[str, _Stamp]) -> bool:
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


@contextmanager
def _held(lock: Path, uri: str) -> Iterator[None]:
    """Hold a lock that the system lets go of when this process ends, however it does.

    Raises:
        InputError: another process holds it.
    """
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another program on this machine works on {uri}; wait for it, or stop it"
            ) from error
        yield
