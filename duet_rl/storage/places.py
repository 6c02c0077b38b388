"""Where runs and data lie: local folders, and stores behind URIs such as s3://bucket/run."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, PyFileSystem  # type: ignore[import-untyped]

from duet_rl.errors import InputError
from duet_rl.storage.claims import OURS

CACHE = "DUET_RL_CACHE"  # the folder for local copies of what lies behind URIs
_DEFAULT_CACHE = "~/.cache/duet_rl"
_SCHEME = "://"
_PROBE = f"{OURS}probe_"  # begins the name of what is written to see whether it can be
_WORD = b"written by duet_rl to see whether it can be"
# Ray unpacks the checkout that a job is sent with into a folder called so, and removes it.
_JOB_FOLDER = "_ray_pkg_"
_LISTINGS = 10  # of a folder in which others write, until one is whole
# What stores raise: pyarrow an `OSError` or a `ValueError`, fsspec also for a package it lacks.
STORE_ERRORS = (OSError, ValueError, ImportError)


class Place(NamedTuple):
    """A folder in a store."""

    filesystem: FileSystem
    path: str

    def file(self, name: str) -> str:
        """Return the path of a file, by its name relative to the folder."""
        return f"{self.path}/{name}" if name else self.path

    def sizes(self) -> dict[str, int]:
        """Return the bytes of all files in the folder and below, by relative name."""
        return {name: size for name, (size, _) in self.listing().items()}

    def listing(self) -> dict[str, tuple[int, int]]:
        """Return size and time of change (ns; 0: unknown) of all files, by relative name."""
        selector = FileSelector(self.path, allow_not_found=True, recursive=True)
        for left in reversed(range(_LISTINGS)):
            try:
                found = self.filesystem.get_file_info(selector)
                break
            except FileNotFoundError:  # a folder came or went meanwhile
                if not left:
                    raise
        prefix = len(self.path.strip("/")) + 1
        return {
            info.path.strip("/")[prefix:]: (info.size, info.mtime_ns or 0)
            for info in found
            if info.type == FileType.File
        }

    def holds(self, name: str) -> bool:
        """Return whether there is such a file."""
        return bool(self.filesystem.get_file_info(self.file(name)).type == FileType.File)


def is_uri(place: str | Path) -> bool:
    """Return whether `place` is a URI and no local path."""
    return _SCHEME in str(place)


def open_place(uri: str) -> Place:
    """Return the folder in a store that a URI names.

    pyarrow's own file systems come first (s3://, gs://, hdfs://, abfs://, file://), then what
    fsspec knows.

    Raises:
        InputError: no such scheme, or the store cannot be reached.
    """
    uri = uri.rstrip("/")
    try:
        try:
            filesystem, path = FileSystem.from_uri(uri)
        except ValueError:  # a scheme that pyarrow does not know
            if uri.startswith("file:"):  # but a relative path, of which fsspec makes one here
                raise
            filesystem, path = _by_fsspec(uri)
    except STORE_ERRORS as error:
        raise InputError(
            f"{uri} cannot be opened ({first_line(error)}); wanted s3://bucket/folder, "
            "gs://bucket/folder, or a folder that is mounted here"
        ) from error
    if not path.strip("/"):
        raise InputError(f"{uri} names no folder; wanted SCHEME://bucket/folder")
    return Place(filesystem, path.rstrip("/"))


def check_writable(place: str | Path) -> None:
    """Write a small file at `place`, read it again and remove it; nothing else is left or made.

    Where a local folder is not there yet, the nearest folder above is tried.

    Raises:
        InputError: what stands in the way, and what to do.
    """
    if is_uri(place):
        _check_store(str(place))
    else:
        _check_folder(Path(place))


def cache_folder(kind: str, uri: str) -> Path:
    """Return the path of the local copy of what is behind `uri`; the same one every time."""
    root = Path(os.environ.get(CACHE) or _DEFAULT_CACHE).expanduser().resolve()
    uri = uri.rstrip("/")
    name = uri.rpartition("/")[2]
    return root / kind / f"{name}-{hashlib.sha256(uri.encode()).hexdigest()[:12]}"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; stores go on for pages."""
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _by_fsspec(uri: str) -> tuple[FileSystem, str]:
    import fsspec  # type: ignore[import-untyped]

    filesystem, path = fsspec.core.url_to_fs(uri)
    return PyFileSystem(FSSpecHandler(filesystem)), path


def _check_store(uri: str) -> None:
    place = open_place(uri)
    probe = place.file(_PROBE + secrets.token_hex(4))
    try:
        place.filesystem.create_dir(place.path, recursive=True)
        with place.filesystem.open_output_stream(probe) as stream:
            stream.write(_WORD)
        with place.filesystem.open_input_stream(probe) as stream:
            found = stream.read()
        place.filesystem.delete_file(probe)
    except STORE_ERRORS as error:
        raise InputError(
            f"{uri} cannot be written ({first_line(error)}); look at the name of the bucket and at "
            "the rights that this machine has"
        ) from error
    if found != _WORD:
        raise InputError(f"{uri} gives back other bytes than were written; use another store")


def _check_folder(folder: Path) -> None:
    whole = folder.absolute()
    if any(part.startswith(_JOB_FOLDER) for part in whole.parts):
        raise InputError(
            f"{folder} would lie in the copy of the checkout that Ray makes for a job and removes "
            "after it; give an absolute path on storage that all nodes share, or a URI"
        )
    there = next(one for one in (whole, *whole.parents) if one.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file; a folder is wanted there, for {folder}")
    probe = there / (_PROBE + secrets.token_hex(4))
    try:
        try:
            probe.write_bytes(_WORD)
            found = probe.read_bytes()
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{there} cannot be written ({error.strerror or error}); make room or rights, or give "
            "another folder"
        ) from error
    if found != _WORD:
        raise InputError(f"{there} gives back other bytes than were written; use another disk")
