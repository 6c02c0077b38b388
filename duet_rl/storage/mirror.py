"""Runs behind URIs: worked on in a local folder, which is kept the same as the one in the store."""

import json
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.storage.claims import OURS, held
from duet_rl.storage.commits import (
    Contents,
    Piece,
    commit,
    contents_of,
    download,
    finish,
    is_changing,
)
from duet_rl.storage.places import (
    STORE_ERRORS,
    Place,
    cache_folder,
    check_writable,
    first_line,
    is_uri,
    open_place,
)
from duet_rl.storage.stamps import Stamp, keep, same, stamps_of

UPLOAD_SECONDS = 20.0  # between two looks at what has changed
_UNSENT = ".unsent"  # suffix of a folder that the store's took the place of
_LOOKS, _PAUSE_SECONDS = 30, 2.0  # at a store that changes while it is copied, and between them

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
    try:
        for look in range(_LOOKS):
            if look:
                time.sleep(_PAUSE_SECONDS)
            if not is_changing(place) and _is_fetched(place, uri, folder):
                return folder
    except STORE_ERRORS as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{uri} cannot be read here ({first_line(error)})") from error
    raise InputError(
        f"{uri} is in the middle of a change since {_LOOKS * _PAUSE_SECONDS:g} s: wait for the run "
        "that sends it; if that was killed, run its command again, which does the rest"
    )


def _is_fetched(place: Place, uri: str, folder: Path) -> bool:
    """Copy what is at `place`, unless that was done; return whether it stayed as it was meanwhile.

    Raises:
        InputError: there is nothing.
    """
    stamp = folder.with_name(f"{folder.name}.json")
    listing = _listing(place)
    if not listing:
        raise InputError(f"nothing is at {uri}; give a folder that has files")
    text = json.dumps(sorted((name, *facts) for name, facts in listing.items()))
    if folder.is_dir() and stamp.is_file() and stamp.read_text() == text:
        return True
    stamp.unlink(missing_ok=True)
    logger.info("copying %s to %s", uri, folder)
    try:
        download(place, Contents(None, {name: size for name, (size, _) in listing.items()}), folder)
    except STORE_ERRORS:
        if _has_changed(place, listing):
            return False
        raise
    if _has_changed(place, listing):
        return False
    with atomic_path(stamp) as temporary:
        temporary.write_text(text)
    return True


def _listing(place: Place) -> dict[str, tuple[int, int]]:
    return {k: facts for k, facts in place.listing().items() if not k.startswith(OURS)}


def _has_changed(place: Place, before: dict[str, tuple[int, int]]) -> bool:
    return is_changing(place) or _listing(place) != before


class _Change(NamedTuple):
    """A change of what the store has."""

    token: str | None  # that names it
    sent: dict[str, Stamp]  # what the store has after it


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
        self._known = _Change(None, {})  # the last one that the store and we know
        self._tried: _Change | None = None  # a later one, of which we do not know what came
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> "Mirror":
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self._stack as stack:
            lock = self.folder.with_name(f"{self.folder.name}.lock")
            stack.enter_context(held(lock, self.uri, "give another place"))
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
        if self._tried is not None:
            self._hear()
        found, sent = stamps_of(self.folder), self._known.sent
        changed = {name for name, stamp in found.items() if sent.get(name) != stamp}
        if not changed and found.keys() == sent.keys():
            return True
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        try:
            pieces = self._frozen({name: found[name] for name in sorted(changed)})
            if pieces is None or not (last or same(found, stamps_of(self.folder))):
                return False
            finish(self._place)
            if contents_of(self._place).token != self._known.token:
                raise InputError(
                    f"{self.uri} was changed by another run; let one of them work there at a time"
                )
            change = _Change(secrets.token_hex(8), found)
            # Noted first: the store may take it, and we not hear of that.
            self._note(self._known, change)
            sizes = {name: stamp.size for name, stamp in found.items()}
            commit(self._place, str(change.token), sizes, pieces)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._note(change)
        return True

    def _hear(self) -> None:
        """Ask the store whether it took the change that was tried last."""
        finish(self._place)
        if self._tried is not None and contents_of(self._place).token == self._tried.token:
            self._note(self._tried)

    def _begin(self) -> None:
        """Take over what the store has, unless what is here has grown from it."""
        finish(self._place)
        contents = contents_of(self._place)
        record = json.loads(self._record.read_text()) if self._record.is_file() else {}
        states = [_change(state) for state in (record, record.get("tried")) if state]
        ours = [state for state in states if state.token == contents.token]
        if ours and self.folder.is_dir() and (contents.token is not None or not contents.files):
            self._note(ours[0])
            return
        self._set_aside(states[0].sent if states else {})
        self._record.unlink(missing_ok=True)
        download(self._place, contents, self.folder)
        self._note(_Change(contents.token, stamps_of(self.folder)))

    def _set_aside(self, sent: dict[str, Stamp]) -> None:
        """Keep what is here and was never sent, before the store's state takes its place."""
        if not self.folder.is_dir() or stamps_of(self.folder).items() <= sent.items():
            return
        aside = self.folder.with_name(f"{self.folder.name}.{secrets.token_hex(4)}{_UNSENT}")
        os.replace(self.folder, aside)
        logger.warning(
            "%s has changed since this machine saw it; what was not sent from here is kept in %s, "
            "which nothing reads: remove it when you do not need it",
            *(self.uri, aside),
        )

    def _note(self, known: _Change, tried: _Change | None = None) -> None:
        self._known, self._tried = known, tried
        later = None if tried is None else tried._asdict()
        with atomic_path(self._record) as temporary:
            temporary.write_text(json.dumps({**known._asdict(), "tried": later}))

    def _frozen(self, stamps: dict[str, Stamp]) -> dict[str, Piece] | None:
        """Return the files as they are now, wherever they go next; None if one is gone."""
        pieces = {}
        for number, (name, stamp) in enumerate(stamps.items()):
            kept = self._scratch / str(number)
            try:
                keep(self.folder / name, stamp.size, kept)
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


def _change(state: dict[str, Any]) -> _Change:
    """Return a change that a record tells of."""
    return _Change(state["token"], {k: Stamp(*stamp) for k, stamp in state["sent"].items()})
