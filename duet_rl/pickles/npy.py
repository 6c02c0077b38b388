"""`.npy` files: tables of numbers, and objects that `np.save` pickles."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_file
from duet_rl.pickles.unpickler import DAMAGED, Unpickler, first_line
from duet_rl.pickles.values import Builder, array_of_bytes, require_plain

_MAGIC = b"\x93NUMPY"
_OLD_CORE, _NEW_CORE = "numpy.core.", "numpy._core."  # before and after numpy 2
_OLD_PROTOCOL = 3  # of pickle: spells names out, which later ones need not


def load_object_npy(path: Path | str) -> Any:
    """Return what a `.npy` file holds, and run nothing that is in it.

    A table of numbers or words comes back as an array. Of a pickled object array only numpy's
    arrays, dtypes and scalars are rebuilt, besides mappings (as dicts), lists, tuples, sets, words
    and numbers; an array of one object (how `np.save` stores a dict) comes back as that object.

    Raises:
        InputError: no such file, not a whole `.npy`, or a pickle that names anything else.
    """
    path = require_file(path, "an .npy array")
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise InputError("this is no .npy file; write it with numpy.save")
            file.seek(0)
            return _read(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except DAMAGED as error:
        raise InputError(f"{path} is damaged ({first_line(error)}); fetch it again") from error


def save_object_npy(path: Path | str, value: Any, shape: tuple[int, ...] = ()) -> None:
    """Write a dict of arrays as one pickled object in an array of `shape`, as `np.save` would.

    The module that numpy 2 renamed keeps its old name in the file, so that programs of the time
    of numpy 1 read it too; numpy 2 knows both names.
    """
    array = np.empty(shape, object)
    array[(0,) * len(shape)] = value
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(_with_old_names(pickle.dumps(array, protocol=_OLD_PROTOCOL)))


def _read(file: io.BufferedIOBase) -> Any:
    shape, fortran, dtype = _header(file)
    require_plain(dtype)
    payload = file.read()
    if dtype.kind != "O":
        return array_of_bytes(payload, dtype, shape, "F" if fortran else "C")
    builder = Builder()
    array = builder.value(Unpickler(io.BytesIO(payload), builder.known).load())
    if not isinstance(array, np.ndarray) or array.dtype.kind != "O" or array.shape != shape:
        raise pickle.UnpicklingError("its header and its pickle differ")
    return array.item() if array.size == 1 else array


def _header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether columns come first, and dtype of the array that follows."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    # Version 3 differs in letters of columns' names, and tables have no named columns.
    raise InputError(f"its format is {version}; wanted numbers or words: save plain values anew")


def _with_old_names(pickled: bytes) -> bytes:
    """Return a pickle that names numpy's modules as numpy 1 does."""
    parts, done = [], 0
    for operation, named, start in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and start is not None and str(named).startswith(_NEW_CORE):
            module, name = str(named).split(" ")
            old = f"c{module.replace(_NEW_CORE, _OLD_CORE)}\n{name}\n".encode()
            parts += [pickled[done:start], old]
            done = start + len(f"c{module}\n{name}\n")
    return b"".join([*parts, pickled[done:]])
