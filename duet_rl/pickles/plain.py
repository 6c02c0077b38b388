"""`.pkl` files: dicts of arrays that `pickle.dump` wrote, and SMPL's body models among them."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.pickles.unpickler import DAMAGED, Name, Record, Unpickler, first_line
from duet_rl.pickles.values import Builder

_SPARSE = ("scipy.sparse.csc.csc_matrix", "scipy.sparse._csc.csc_matrix")  # since scipy 1.8
_CHUMPY = "chumpy.ch.Ch"
_RECONSTRUCTORS = ("copy_reg._reconstructor", "copyreg._reconstructor")  # of Python 2 and 3
_MOST_DENSE = 10_000_000  # values of a sparse matrix, written out


def load_pickle(path: Path | str, what: str) -> dict[str, Any]:
    """Return the dict that a pickle holds, and run nothing that is in it.

    Besides what `load_object_npy` takes, sparse matrices of scipy (by columns) and the arrays of
    chumpy, which SMPL's body models hold, come back as plain arrays.

    Args:
        path: the file.
        what: it should be, for messages.

    Raises:
        InputError: no such file, not a whole pickle, no dict, or one that names anything else.
    """
    path = require_file(path, what)
    builder = _ModelBuilder()
    try:
        values = builder.value(Unpickler(io.BytesIO(path.read_bytes()), builder.known).load())
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except DAMAGED as error:
        raise InputError(
            f"{path} is no whole pickle ({first_line(error)}); fetch it again"
        ) from error
    if not isinstance(values, Mapping):
        raise InputError(f"{path} holds a {type(values).__name__}; wanted {what}: arrays by name")
    return dict(values)


class _ModelBuilder(Builder):
    """Makes the arrays of body models too; of their objects only what an array is made of."""

    def __init__(self) -> None:
        super().__init__()
        makers = {**dict.fromkeys(_SPARSE, self._dense), _CHUMPY: self._of_chumpy}
        self._makers = makers
        self.known |= {**makers, "builtins.object": _never_made}
        self.known |= dict.fromkeys(_RECONSTRUCTORS, self._reconstructed)

    def _reconstructed(self, record: Record) -> Any:
        """Return the object that pickle's oldest protocols describe: a kind, and a state."""
        kind = record.args[0] if record.args else None
        if not isinstance(kind, Name) or kind.words not in self._makers:
            raise pickle.UnpicklingError("it reconstructs what is no array")
        return self._makers[kind.words](record)

    def _of_chumpy(self, record: Record) -> np.ndarray:
        return self._array_in(record, "x")

    def _dense(self, record: Record) -> np.ndarray:
        """Return a sparse matrix written out."""
        state = _state(record)
        shape = self.value(state.get("_shape", state.get("shape")))
        if not (isinstance(shape, tuple) and len(shape) == 2 and all(map(_is_size, shape))):
            raise pickle.UnpicklingError("its sparse matrix has no shape")
        rows, columns = (int(size) for size in shape)
        data, index, starts = (
            self._array_in(record, name).ravel() for name in ("data", "indices", "indptr")
        )
        whole = np.issubdtype(index.dtype, np.integer) and np.issubdtype(starts.dtype, np.integer)
        fits = (
            whole
            and np.issubdtype(data.dtype, np.floating)
            and rows * columns <= _MOST_DENSE
            and len(starts) == columns + 1
            and len(index) == len(data) == starts[-1]
            and starts[0] == 0
            and (np.diff(starts) >= 0).all()
            and (index >= 0).all()
            and (index < rows).all()
        )
        if not fits:
            raise pickle.UnpicklingError("its sparse matrix contradicts itself")
        dense = np.zeros((rows, columns), data.dtype)
        np.add.at(dense, (index, np.repeat(np.arange(columns), np.diff(starts))), data)
        return dense

    def _array_in(self, record: Record, name: str) -> np.ndarray:
        array = self.value(_state(record).get(name))
        if not isinstance(array, np.ndarray):
            raise pickle.UnpicklingError(f"a {record.name} has no array {name}")
        return array


def _state(record: Record) -> Mapping[str, Any]:
    if not isinstance(record.state, dict):
        raise pickle.UnpicklingError(f"a {record.name} has no state")
    return record.state


def _is_size(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def _never_made(record: Record) -> Any:
    raise pickle.UnpicklingError(f"{record.name} is no value")
