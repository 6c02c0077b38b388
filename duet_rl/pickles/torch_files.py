"""Checkpoints of `torch.save`, read without torch's own reader, which trusts more than data."""

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.pickles.unpickler import DAMAGED, Name, Record, Unpickler, first_line
from duet_rl.pickles.values import Builder, whole_numbers

_ZIP_MAGIC = b"PK\x03\x04"
_OLD_MAGIC, _OLD_VERSION = 0x1950A86A20F9469CFC6C, 1001  # of the format before torch 1.6
_PICKLE = "data.pkl"  # in the archive's only folder
_BYTE_ORDER = b"little"  # of stored numbers; that of all machines that torch is built for
_COUNT_BYTES = 8  # of the number of values before each old storage
_STORAGES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
}
_STORAGE_DTYPES = {
    **{f"{m}.{kind}Storage": d for m in ("torch", "torch.cuda") for kind, d in _STORAGES.items()},
    "torch.storage.UntypedStorage": torch.uint8,
}
_YOUNG_DTYPES = (torch.uint16, torch.uint32, torch.uint64)  # that no storage is named after
_DTYPES = {str(dtype): dtype for dtype in (*_STORAGES.values(), *_YOUNG_DTYPES)}
_TENSOR_CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter")
_UTILS = "torch._utils."


def load_torch_checkpoint(path: Path | str) -> dict[str, Any]:
    """Return the mapping that `torch.save` wrote, with its tensors on the CPU.

    Both formats are read, the zip archive and the one from before torch 1.6. Dense tensors (and
    parameters, as tensors), numpy's arrays and scalars, plain containers and mappings that only
    keep values (`EasyDict`, `argparse.Namespace`, `OrderedDict`) are rebuilt, the mappings as
    plain dicts and without the package they came from.

    Raises:
        InputError: no such file, not a whole checkpoint, no mapping, or a pickle that names
            anything else; nothing of it is run.
    """
    path = require_file(path, "a checkpoint")
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
            file.seek(0)
            loaded = read_zip(file) if is_zip else _read_old(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except DAMAGED as error:
        raise InputError(
            f"{path} is no whole checkpoint of torch.save ({first_line(error)}); fetch it again"
        ) from error
    if not isinstance(loaded, Mapping):
        raise InputError(
            f"{path} holds a {type(loaded).__name__}; a mapping of names to tensors is wanted"
        )
    return dict(loaded)


class _Storage(NamedTuple):
    """Where the numbers of tensors are: `length` of them, from `start` on in those of `key`."""

    key: str
    dtype: torch.dtype
    length: int
    start: int = 0


class TensorBuilder(Builder):
    """Makes tensors too, out of the bytes that `stored` returns for a key."""

    def __init__(self, stored: Callable[[str], bytearray]) -> None:
        super().__init__()
        self._stored = stored
        self._numbers: dict[tuple[str, torch.dtype], Tensor] = {}
        names = (*_STORAGE_DTYPES, *_DTYPES, *_TENSOR_CLASSES)
        self.known |= {
            **{name: _never_called for name in names},
            f"{_UTILS}_rebuild_tensor": self._tensor,
            f"{_UTILS}_rebuild_tensor_v2": self._tensor,
            f"{_UTILS}_rebuild_tensor_v3": self._tensor,
            f"{_UTILS}_rebuild_parameter": self._parameter,
            f"{_UTILS}_rebuild_parameter_with_state": self._parameter,
            "torch._tensor._rebuild_from_type_v2": self._tensor_with_attributes,
            "torch.Size": self._torch_size,
            "torch.device": self._torch_device,
        }

    def named(self, words: str) -> Any:
        return _DTYPES[words] if words in _DTYPES else super().named(words)

    def _tensor(self, record: Record) -> Tensor:
        storage, offset, size, stride, *_gradient_and_hooks = record.args
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without numbers")
        dtype, metadata = storage.dtype, record.args[6:]
        if record.name.endswith("_v3"):
            dtype, metadata = _DTYPES[record.args[6].words], record.args[7:]
        if any(metadata):
            raise InputError("it holds a conjugated or negated tensor; save it resolved")
        size, stride = (tuple(self.value(x)) for x in (size, stride))
        if not whole_numbers((offset, *size, *stride)) or len(size) != len(stride):
            raise pickle.UnpicklingError("a tensor without a shape")
        numbers = self._numbers_of(storage, dtype)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if 0 not in size and last >= len(numbers):
            raise pickle.UnpicklingError("a tensor reaches past its numbers")
        return torch.as_strided(numbers, size, stride, offset)

    def _numbers_of(self, storage: _Storage, dtype: torch.dtype) -> Tensor:
        """Return the numbers of a storage as `dtype`; tensors of one storage share memory."""
        size = storage.dtype.itemsize
        if (storage.key, dtype) not in self._numbers:
            stored = self._stored(storage.key)
            empty = torch.empty(0, dtype=torch.uint8)
            flat = torch.frombuffer(stored, dtype=torch.uint8) if stored else empty
            truth = dtype == torch.bool  # bytes that are no truth values are read as true
            self._numbers[storage.key, dtype] = flat != 0 if truth else flat.view(dtype)
        numbers = self._numbers[storage.key, dtype]
        end = (storage.start + storage.length) * size
        if end > numbers.nbytes:
            raise pickle.UnpicklingError(f"{numbers.nbytes} bytes where {end} are wanted")
        return numbers[storage.start * size // dtype.itemsize : end // dtype.itemsize]

    def _parameter(self, record: Record) -> Tensor:
        return self._tensor_in(record.args[0])

    def _tensor_with_attributes(self, record: Record) -> Tensor:
        made_by, kind, args, _attributes = record.args
        if not isinstance(made_by, Name) or not made_by.words.startswith(_UTILS):
            raise pickle.UnpicklingError("a tensor that is made by no function")
        if not isinstance(kind, Name) or kind.words not in _TENSOR_CLASSES:
            raise pickle.UnpicklingError("a tensor of no class")
        return self._tensor_in(Record(made_by.words, args))

    def _tensor_in(self, read: Any) -> Tensor:
        tensor = self.value(read)
        if not isinstance(tensor, Tensor):
            raise pickle.UnpicklingError("a parameter that is no tensor")
        return tensor

    def _torch_size(self, record: Record) -> torch.Size:
        lengths = self.value(*record.args)
        if not isinstance(lengths, Sequence) or not whole_numbers(lengths):
            raise pickle.UnpicklingError("a size that is no number")
        return torch.Size(lengths)

    def _torch_device(self, record: Record) -> torch.device:
        kind, *index = record.args
        if not isinstance(kind, str) or not whole_numbers(index):
            raise pickle.UnpicklingError("a device of no name")
        return torch.device(kind, *index)


def read_zip(
    file: io.BufferedIOBase,
    kind: Callable[[Callable[[str], bytearray]], TensorBuilder] = TensorBuilder,
) -> Any:
    """Return what an archive holds; `zipfile` checks the sum of every file in it."""
    with zipfile.ZipFile(file) as archive:
        folder = _folder(archive)

        def stored(key: str) -> bytearray:
            return bytearray(_bytes(archive, f"{folder}data/{key}"))

        if f"{folder}byteorder" in archive.namelist():
            order = _bytes(archive, f"{folder}byteorder")
            if order != _BYTE_ORDER:
                raise InputError(f"its numbers are {ascii(order)[1:]}; save it on another machine")
        builder = kind(stored)
        pickled = io.BytesIO(_bytes(archive, f"{folder}{_PICKLE}"))
        return builder.value(Unpickler(pickled, builder.known, _storage).load())


def _folder(archive: zipfile.ZipFile) -> str:
    found = [name for name in archive.namelist() if name.split("/")[1:] == [_PICKLE]]
    if len(found) != 1:
        raise pickle.UnpicklingError(f"{len(found)} {_PICKLE} in its archive")
    return found[0].removesuffix(_PICKLE)


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file of the archive unless it is packed: torch packs none, and few bytes swell."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError(f"{name} is compressed")
    return archive.read(name)


def _read_old(file: io.BufferedIOBase) -> Any:
    """Return what a file from before torch 1.6 holds: five pickles, then the numbers."""
    sizes: dict[str, int] = {}
    numbers: dict[str, bytearray] = {}

    def storage(pid: Any) -> _Storage:
        found = _storage(pid)
        if sizes.setdefault(found.key, found.dtype.itemsize) != found.dtype.itemsize:
            raise pickle.UnpicklingError("numbers of two kinds in one place")
        return found

    builder = TensorBuilder(lambda key: numbers[key])
    if Unpickler(file, ()).load() != _OLD_MAGIC or Unpickler(file, ()).load() != _OLD_VERSION:
        raise pickle.UnpicklingError("neither of its formats")
    Unpickler(file, ()).load()  # about the machine that wrote it
    read = Unpickler(file, builder.known, storage).load()
    for key in Unpickler(file, ()).load():
        count = int.from_bytes(_exactly(file, _COUNT_BYTES), "little")
        numbers[key] = bytearray(_exactly(file, count * sizes[key]))
    return builder.value(read)


def _exactly(file: io.BufferedIOBase, size: int) -> bytes:
    if size > _left(file):
        raise EOFError("it ends too early")
    return file.read(size)


def _left(file: io.BufferedIOBase) -> int:
    here = file.tell()
    end = file.seek(0, 2)
    file.seek(here)
    return end - here


def _storage(pid: Any) -> _Storage:
    """Return what the id of a storage says about it; where it was (a GPU) does not matter."""
    kind, named, key, _place, count, *view = pid
    if kind not in ("storage", b"storage") or not isinstance(named, Name):
        raise pickle.UnpicklingError("it points to what is no storage")
    key, start = str(key), 0
    if view and view[0] is not None:
        _view_key, start, count = view[0]
    if not whole_numbers((count, start)):
        raise pickle.UnpicklingError("numbers without their number")
    return _Storage(key, _STORAGE_DTYPES[named.words], count, start)


def _never_called(record: Record) -> Any:
    raise pickle.UnpicklingError(f"{record.name} is called, which is a mere name")
