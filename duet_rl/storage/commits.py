"""A folder in a store that changes as a whole, though a store can only change file by file.

New files are first sent beside the folder's own, then a note of what is to become of them: that
note is the moment of change. Who finds a note does what it says, which can be done twice. A writer
that is killed before it leaves the folder as it was, one that is killed after it, as it was to be.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pyarrow.fs import FileType  # type: ignore[import-untyped]

from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.storage.claims import OURS
from duet_rl.storage.places import Place

CONTENTS = f"{OURS}contents.json"  # what the folder holds, and the change that made it so
INCOMING = f"{OURS}incoming"  # sub-folder of a change that is under way
_NOTE = f"{INCOMING}/commit.json"
_FILES = f"{INCOMING}/files"
_CHUNK = 1 << 22  # bytes sent at a time


class Contents(NamedTuple):
    """What a folder in a store holds."""

    token: str | None  # names the change that made it so; None: nobody has said what it holds
    files: dict[str, int]  # bytes, by relative name


class Piece(NamedTuple):
    """The beginning of a local file."""

    path: Path
    size: int  # bytes


def finish(place: Place) -> None:
    """Do what the note of a change says, if there is one; only for who writes in the folder."""
    note = _read(place, _NOTE)
    if note is None:
        return
    filesystem = place.filesystem
    for name in note["put"]:
        if place.holds(f"{_FILES}/{name}"):  # else it was moved before
            _make_room(place, name)
            filesystem.move(place.file(f"{_FILES}/{name}"), place.file(name))
    before = _read(place, CONTENTS)
    known = before["files"] if before is not None else place.sizes()
    for name in set(known) - set(note["files"]):
        if not name.startswith(OURS) and place.holds(name):
            filesystem.delete_file(place.file(name))
    _write(place, CONTENTS, {"token": note["token"], "files": note["files"]})
    filesystem.delete_file(place.file(_NOTE))
    _remove_incoming(place)


def is_changing(place: Place) -> bool:
    """Return whether a folder, or one that it is part of, is in the middle of a change.

    It is from the moment of change until all of it is done; a writer that was killed in between
    leaves it so.
    """
    if place.holds(_NOTE):
        return True
    for parent in PurePosixPath(place.path).parents:
        try:
            if parent.name and Place(place.filesystem, str(parent)).holds(_NOTE):
                return True
        except OSError:  # what lies above may be closed to us
            return False
    return False


def contents_of(place: Place) -> Contents:
    """Return what a folder is said to hold; `finish` comes first where nobody else writes."""
    said = _read(place, CONTENTS)
    if said is not None:
        return Contents(said["token"], said["files"])
    return Contents(None, {k: v for k, v in place.sizes().items() if not k.startswith(OURS)})


def commit(
    place: Place, token: str, files: Mapping[str, int], pieces: Mapping[str, Piece]
) -> Contents:
    """Change what a folder holds: all of it or, when this is broken off, nothing.

    Args:
        place: the folder.
        token: a new name for the change.
        files: bytes of all files that the folder is to hold, by relative name; others go.
        pieces: those of them that are new or changed.
    """
    _remove_incoming(place)
    for name, piece in pieces.items():
        _send(place, f"{_FILES}/{name}", piece)
    _write(place, _NOTE, {"token": token, "files": dict(files), "put": list(pieces)})
    finish(place)
    return Contents(token, dict(files))


def download(place: Place, contents: Contents, folder: Path) -> None:
    """Make a local folder of what a folder in a store holds, whole or not at all.

    Raises:
        InputError: a file is not as long as it should be, or would come to lie elsewhere.
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name, size in contents.files.items():
            file = temporary / name
            if not file.resolve().is_relative_to(temporary.resolve()):
                raise InputError(f"{place.path} names a file {name!r}, which is none below it")
            file.parent.mkdir(parents=True, exist_ok=True)
            with (
                place.filesystem.open_input_stream(place.file(name)) as source,
                file.open("wb") as sink,
            ):
                while chunk := source.read(_CHUNK):
                    sink.write(chunk)
            if file.stat().st_size != size:
                raise InputError(
                    f"{place.file(name)} has {file.stat().st_size} bytes and {size} were written; "
                    "something else has changed it: restore it, or begin in another folder"
                )


def _remove_incoming(place: Place) -> None:
    folder = place.file(INCOMING)
    if place.filesystem.get_file_info(folder).type == FileType.Directory:
        place.filesystem.delete_dir(folder)


def _send(place: Place, name: str, piece: Piece) -> None:
    _make_room(place, name)
    left = piece.size
    with (
        piece.path.open("rb") as source,
        place.filesystem.open_output_stream(place.file(name)) as sink,
    ):
        while left and (chunk := source.read(min(_CHUNK, left))):
            sink.write(chunk)
            left -= len(chunk)


def _make_room(place: Place, name: str) -> None:
    place.filesystem.create_dir(place.file(name).rpartition("/")[0], recursive=True)


def _write(place: Place, name: str, value: dict[str, Any]) -> None:
    """Write JSON so that nobody sees half of it."""
    _make_room(place, name)
    file = place.file(name)
    with place.filesystem.open_output_stream(f"{file}.new") as stream:
        stream.write(json.dumps(value).encode())
    place.filesystem.move(f"{file}.new", file)


def _read(place: Place, name: str) -> dict[str, Any] | None:
    if not place.holds(name):
        return None
    with place.filesystem.open_input_stream(place.file(name)) as stream:
        read: dict[str, Any] = json.loads(stream.read())
    return read
