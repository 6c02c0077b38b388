"""Other people's pickles: arrays and plain containers come in, everything else is refused unrun."""

import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_file

_NPY_MAGIC = b"\x93NUMPY"
_TEXT_ENCODINGS = ("latin1", "latin-1", "ascii", "utf-8", "utf8")  # that old pickles store bytes in
_OLD_CORE, _NEW_CORE = "numpy.core.", "numpy._core."  # before and after numpy 2
_OLD_PROTOCOL = 3  # of pickle: spells names out, which later ones need not
_DAMAGED = (  # what readers of a file that is not whole raise, each its own
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    AssertionError,
    RuntimeError,
    OSError,
    EOFError,
    ImportError,
    MemoryError,
    OverflowError,
    SyntaxError,
)


def load_object_npy(path: Path | str) -> Any:
    """Return what a `.npy` file holds, and run nothing that is in it.

    A table of numbers or words comes back as an array. Of a pickled object array only numpy's
    arrays, dtypes and scalars are rebuilt, besides dicts, lists, tuples, sets, words and numbers;
    an array of one object (how `np.save` stores a dict) comes back as that object.

    Raises:
        InputError: no such file, not a whole `.npy`, or a pickle that names anything else.
    """
    path = require_file(path, "an .npy array")
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
                raise InputError(f"{path} is no .npy file; write it with numpy.save")
            file.seek(0)
            if not _holds_objects(file):
                return np.load(path, allow_pickle=False)
            # Bytes that Python 2 called words are told apart by nobody; latin1 keeps them all.
            array = _ArrayUnpickler(file, encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path}: {error}") if str(path) not in str(error) else error from None
    except _DAMAGED as error:
        raise InputError(f"{path} is damaged ({_first_line(error)}); fetch it again") from error
    if isinstance(array, np.ndarray) and array.size == 1:
        return array.item()
    return array


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


def load_torch_checkpoint(path: Path | str) -> dict[str, Any]:
    """Return the mapping that `torch.save` wrote, with its tensors on the CPU.

    Both formats are read, the zip archive and the one from before torch 1.6. Tensors, numpy's
    arrays and scalars, plain containers and mappings that only keep values (`EasyDict`,
    `argparse.Namespace`, `OrderedDict`) are rebuilt, the mappings as plain dicts and without the
    package they came from.

    Raises:
        InputError: no such file, not a whole checkpoint, no mapping, or a pickle that names
            anything else; nothing of it is run.
    """
    path = require_file(path, "a checkpoint")
    try:
        with torch.serialization.safe_globals(_SAFE_IN_TORCH), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how torch stores old tensors; all are copied
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        if foreign := _refused_by_torch(str(error)):
            raise InputError(f"{path}: {_refusal(foreign)}") from error
        raise InputError(
            f"{path} is no whole checkpoint of torch.save ({_torch_cause(error)}); fetch it again"
        ) from error
    if not isinstance(loaded, Mapping):
        raise InputError(
            f"{path} holds a {type(loaded).__name__}; a mapping of names to tensors is wanted"
        )
    return _plain(loaded)


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds arrays and plain containers only."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _REBUILDERS[module, name]
        except KeyError:
            raise InputError(_refusal(f"{module}.{name}")) from None


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


def _encode(words: str, encoding: str = "latin1") -> bytes:
    """Return the bytes that a pickle of protocol 2 spells as words."""
    if encoding not in _TEXT_ENCODINGS:  # others import modules by name
        raise InputError(_refusal(f"the encoding {encoding}"))
    return words.encode(encoding)


def _rebuilders() -> dict[tuple[str, str], Callable[..., Any]]:
    """Return (module, name) -> function for every way that numpy spells its arrays."""
    spelled: dict[str, Any] = {
        "multiarray._reconstruct": np.empty(0).__reduce__()[0],
        "multiarray.scalar": np.float64(0).__reduce__()[0],
        "numeric._frombuffer": np.empty(1).__reduce_ex__(5)[0],
    }
    known: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): OrderedDict,
    }
    for core in (_OLD_CORE, _NEW_CORE):
        for where, function in spelled.items():
            module, name = where.split(".")
            known[core + module, name] = function
    for builtins in ("builtins", "__builtin__"):  # Python 3 and 2
        for container in (set, frozenset, complex):
            known[builtins, container.__name__] = container
    return known


def _mapping(module: str, name: str) -> type:
    """Return a stand-in for the mapping class `module.name` that keeps its values and no more."""

    def new(cls: type, *args: Any, **kwargs: Any) -> OrderedDict[str, Any]:
        # Torch puts values into this one kind of mapping only, and its attributes into any.
        values: OrderedDict[str, Any] = OrderedDict(*args, **kwargs)
        values.__dict__[_STAND_IN] = True
        return values

    return type(name, (), {"__module__": module, "__qualname__": name, "__new__": new})


_STAND_IN = "_duet_rl_stand_in"  # marks mappings whose attributes are values too
_REBUILDERS = _rebuilders()
_SAFE_IN_TORCH: list[Any] = [
    _mapping("easydict", "EasyDict"),
    _mapping("argparse", "Namespace"),
    *((rebuild, f"{module}.{name}") for (module, name), rebuild in _REBUILDERS.items()),
    *{type(np.dtype(kind)) for kind in np.sctypeDict.values() if kind is not np.void},
]


def _plain(value: Any) -> Any:
    """Return `value` with every mapping in it as a dict."""
    if isinstance(value, Mapping):
        attributes = dict(getattr(value, "__dict__", {}))
        kept = attributes if attributes.pop(_STAND_IN, False) else {}
        return {key: _plain(item) for key, item in {**kept, **value}.items()}
    if isinstance(value, (list, tuple)) and type(value) in {list, tuple}:
        return type(value)(_plain(item) for item in value)
    return value


def _holds_objects(file: BinaryIO) -> bool:
    """Read the header of an `.npy` file and return whether pickled objects follow."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:  # version 3 differs in names of fields, which a table of objects has not
        return False
    _, _, dtype = read(file)
    return bool(dtype.hasobject)


def _torch_cause(error: BaseException) -> str:
    """Return what torch says is wrong, without its advice to load the file unsafely."""
    line = re.split(r"WeightsUnpickler error: ", str(error))[-1].strip() or type(error).__name__
    return re.split(r"\.\s|\n", line)[0].removesuffix(".")


def _refused_by_torch(message: str) -> str | None:
    """Return the name in torch's refusal of a pickle, or None if it is about something else."""
    found = re.search(r"(?:unsupported GLOBAL|Unsupported global: GLOBAL|function) (\S+)", message)
    return found[1] if found else None


def _refusal(name: str) -> str:
    return (
        f"its pickle names {name}, which is no array or plain container and was not run; "
        "do not use the file unless you know who wrote it, and then save plain values anew"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
