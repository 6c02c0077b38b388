"""Files that are either whole or not there: atomic writes, hashes, existence checks."""

import errno
import glob
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from duet_rl.errors import InputError

_CHUNK = 1 << 20  # bytes read at a time
_FULL = {errno.ENOSPC, errno.EDQUOT}  # no fault of the place
_RETIRED = ".old"  # suffix of a folder that makes room for a newer one


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    The caller writes a file or makes a folder there. When the block raises (a full disk, Ctrl-C),
    the temporary is removed and whatever stood at `path` is still there, untouched. The suffix is
    kept, so that libraries that look at it still do the right thing. A disk's error names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}"
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            retired = temporary.with_name(f"{temporary.name}{_RETIRED}")
            os.replace(path, retired)
            try:
                os.replace(temporary, path)
            except BaseException:
                os.replace(retired, path)
                raise
            _remove(retired)
        else:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno and (error.filename is None or temporary.name in str(error.filename)):
            # By the name that a person knows. Errors of PyAV cannot be given another one.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        _remove(temporary)


def settle(path: Path | str) -> None:
    """Mend and clear away what a program that was killed in `atomic_path` left beside `path`.

    Only for those who know that nobody else is writing there now.
    """
    path = Path(path)
    left = sorted(path.parent.glob(f".{glob.escape(path.stem)}.*.tmp*"))
    if not path.exists():  # killed between the two renames: the earlier one is whole
        for retired in [one for one in left if one.suffix == _RETIRED][:1]:
            os.replace(retired, path)
    for one in left:
        _remove(one)


def flush(folder: Path) -> None:
    """Wait until all files below `folder` are on the disk, or raise why they cannot be."""
    for file in filter(Path.is_file, folder.rglob("*")):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def sha256_of(path: Path | str) -> str:
    """Return the hex SHA-256 of a file, or of a folder's relative names and contents, sorted."""
    path = Path(path)
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if file != path:
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def require_file(path: Path | str, what: str) -> Path:
    """Return `path` if it is a file that can be read.

    Raises:
        InputError: nothing is there, or it is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; {what} must be a file")
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the path of {what}")
    return path


def require_folder(path: Path | str, what: str) -> Path:
    """Return `path` if it is a folder.

    Raises:
        InputError: nothing is there, or it is a file.
    """
    path = Path(path)
    if path.is_file():
        raise InputError(f"{path} is a file; {what} must be a folder")
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give the folder of {what}")
    return path


def require_place(path: Path | str) -> Path:
    """Return `path` if a file can be written there; ask before a long computation.

    Raises:
        InputError: it is a folder, or its folder is a file or takes no files.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file in it")
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    if not nearest.is_dir():
        raise InputError(f"{path} cannot be written: {nearest} is a file; give another folder")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        if error.errno in _FULL:
            return path  # there may be room by the time that it is written
        why = (error.strerror or str(error)).lower()
        raise InputError(
            f"{path} cannot be written: {why} in {nearest}; give another folder"
        ) from None
    return path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
