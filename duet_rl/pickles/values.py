"""Records become values; an array only after its kind, shape and bytes were found to agree."""

import math
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from duet_rl.errors import InputError
from duet_rl.pickles.unpickler import Name, Record, refusal

Buffer = bytes | bytearray

_TEXT_ENCODINGS = ("latin1", "latin-1", "ascii", "utf-8", "utf8")  # that old pickles store bytes in
_CORE = "numpy._core."
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray)
_KINDS = re.compile(r"b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU]\d{1,9}|O8?")
_MOST_VALUES = 10_000_000  # in one file: a few bytes of pickle can mean a list of lists without end
_MOST_AXES = 32  # of arrays before numpy 2
_LARGEST = 2**63 - 1  # bytes of an array
_LAST_LETTER = 0x10FFFF  # of Unicode
_DTYPE_VERSIONS = (3, 4)  # of dtypes' states, since numpy 1.0
_DTYPE_STATE = 8  # values in such a state; what follows are notes


class Builder:
    """Makes the values of one pickle. `known` has every name that can be made, and no other."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Record, Any]] = {}  # a record lives while its id is a key
        self._left = _MOST_VALUES
        self.known: dict[str, Callable[[Record], Any]] = {
            "_codecs.encode": self._encoded,
            "builtins.bytes": self._plain_object(bytes),
            "builtins.bytearray": self._plain_object(bytearray),
            "builtins.complex": self._plain_object(complex),
            "builtins.frozenset": self._plain_object(frozenset),
            "builtins.set": self._plain_object(set),
            "collections.OrderedDict": self._mapping,
            "collections.Counter": self._mapping,
            "easydict.EasyDict": self._mapping_with_attributes,
            "argparse.Namespace": self._mapping_with_attributes,
            "numpy.dtype": _dtype,
            "numpy.ndarray": _no_value,  # only named as what to reconstruct
            f"{_CORE}multiarray._reconstruct": self._array,
            f"{_CORE}multiarray.scalar": self._scalar,
            f"{_CORE}numeric._frombuffer": self._array_of_buffer,
        }

    def value(self, read: Any) -> Any:
        """Return what `read` stands for, with every mapping as a dict.

        Raises:
            InputError: it is of a kind that is never made, or too much.
            Exception: one of `DAMAGED`; it contradicts or contains itself.
        """
        self._left -= 1
        if self._left < 0:
            raise InputError(f"its pickle means more than {_MOST_VALUES} values; save less in it")
        kind = type(read)
        if kind in _PLAIN:
            return read
        if kind in (list, tuple, set, frozenset):
            return kind([self.value(item) for item in read])
        if kind is dict:
            return {self.value(key): self.value(item) for key, item in read.items()}
        if kind is Record:
            return self._object(read)
        if kind is Name:
            return self.named(read.words)
        raise pickle.UnpicklingError(f"a {kind.__name__} is no value")

    def named(self, words: str) -> Any:
        """Return the value that is spelled as a mere name."""
        raise InputError(refusal(words))

    def _object(self, record: Record) -> Any:
        if id(record) not in self._made:
            self._made[id(record)] = (record, _UNFINISHED)
            self._made[id(record)] = (record, self.known[record.name](record))
        made = self._made[id(record)][1]
        if made is _UNFINISHED:
            raise pickle.UnpicklingError("a value in it contains itself")
        return made

    def _plain_object(self, kind: Callable[..., Any]) -> Callable[[Record], Any]:
        def make(record: Record) -> Any:
            args = [self.value(arg) for arg in record.args]
            texts = all(isinstance(arg, str | Buffer) for arg in args)
            if kind in (bytes, bytearray) and not texts:
                raise pickle.UnpicklingError("a number of bytes is no value")
            if kind is bytearray and len(args) > 1:  # words and their encoding
                return bytearray(_in_bytes(*args))
            return kind(*args)

        return make

    def _encoded(self, record: Record) -> bytes:
        return _in_bytes(*record.args)

    def _mapping(self, record: Record) -> dict[Any, Any]:
        pairs = self.value(record.args)
        return {**dict(*pairs), **{self.value(k): self.value(v) for k, v in record.items}}

    def _mapping_with_attributes(self, record: Record) -> dict[Any, Any]:
        attributes = {} if record.state is None else record.state
        if not isinstance(attributes, dict):
            raise pickle.UnpicklingError("its attributes have no names")
        return {**self.value(attributes), **self._mapping(record)}

    def _array(self, record: Record) -> np.ndarray:
        """Return the array that a `_reconstruct` and a state describe."""
        if not record.args or not _names(record.args[0], "numpy.ndarray"):
            raise pickle.UnpicklingError("it reconstructs what is no array")
        _version, shape, dtype, fortran, data = record.state
        dtype, data = self._dtype_of(dtype), self.value(data)
        if dtype.kind == "O":
            return _array_of_objects(data, shape)
        if isinstance(data, str):  # bytes of Python 2
            data = data.encode("latin1")
        return array_of_bytes(data, dtype, shape, "F" if fortran else "C")

    def _array_of_buffer(self, record: Record) -> np.ndarray:
        """Return the array that pickle's protocol 5 describes."""
        data, dtype, shape, order, *axes = record.args
        array = array_of_bytes(
            self.value(data), self._dtype_of(dtype), shape, "F" if order == "F" else "C"
        )
        return array.transpose(axes[0]) if order == "K" and axes and axes[0] is not None else array

    def _scalar(self, record: Record) -> Any:
        dtype, data = record.args
        dtype, data = self._dtype_of(dtype), self.value(data)
        data = data.encode("latin1") if isinstance(data, str) else data
        return array_of_bytes(data, dtype, (), "C")[()]

    def _dtype_of(self, read: Any) -> np.dtype:
        dtype = self.value(read)
        if not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError("its array has no dtype")
        return dtype


_UNFINISHED = object()


def array_of_bytes(data: Any, dtype: np.dtype, shape: Any, order: str) -> np.ndarray:
    """Return an array of numbers, truth values or words that has its own memory.

    Args:
        data: bytes; exactly as many as the array has.
        dtype: a kind that `require_plain` lets pass, and no objects.
        shape: untested.
        order: "C" or "F", of the bytes.
    """
    count = _size(shape)
    require_plain(dtype)
    if dtype.kind == "O" or not isinstance(data, Buffer):
        raise pickle.UnpicklingError("an array of objects has no bytes of its own")
    if len(data) != count * dtype.itemsize:
        raise pickle.UnpicklingError(f"{len(data)} bytes for {count} values of {dtype}")
    if dtype.itemsize == 0 and count > 1:
        raise pickle.UnpicklingError("many values of no size")
    if not data:
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        flat = np.frombuffer(data, np.uint8) != 0  # other bytes are no truth values
    else:
        flat = np.frombuffer(data, dtype).copy()
    if dtype.kind == "U" and flat.view(f"{dtype.byteorder}u4").max() > _LAST_LETTER:
        raise pickle.UnpicklingError("its words hold what is no letter")
    return flat.reshape(shape, order="F" if order == "F" else "C")


def require_plain(dtype: np.dtype) -> None:
    """Raise `InputError` if values of `dtype` are more than a number, a word or an object."""
    if dtype.kind not in "biufcSUO" or dtype.fields or dtype.subdtype or dtype.metadata:
        raise InputError(
            f"it holds an array of {dtype}; wanted numbers or words: save each column by itself"
        )


def _array_of_objects(items: Any, shape: Any) -> np.ndarray:
    if not isinstance(items, list) or len(items) != _size(shape):
        raise pickle.UnpicklingError("an array of objects and their number differ")
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array.reshape(shape)


def _dtype(record: Record) -> np.dtype:
    """Return a dtype by its kind and byte order; numpy sees nothing else of the record."""
    kind = record.args[0] if record.args else None
    if not isinstance(kind, str) or not _KINDS.fullmatch(kind):
        raise InputError(
            f"its pickle holds an array of {str(kind)[:9]!a}; wanted numbers or words: save plain "
            "values anew"
        )
    order: Any = "="
    if record.state is not None:
        version, order, *columns, _itemsize, _alignment, _flags = record.state[:_DTYPE_STATE]
        notes = record.state[_DTYPE_STATE:]
        if version not in _DTYPE_VERSIONS or order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("a dtype of no known version or byte order")
        if any(part is not None for part in (*columns, *notes)):
            raise InputError("its pickle holds an array with columns or notes; save them apart")
    return np.dtype(kind).newbyteorder(order)


def _size(shape: Any) -> int:
    """Return how many values an array of `shape` has."""
    if not isinstance(shape, tuple) or len(shape) > _MOST_AXES:
        raise pickle.UnpicklingError("its array has no shape")
    if not all(type(length) is int and 0 <= length <= _LARGEST for length in shape):
        raise pickle.UnpicklingError("its array has a shape of no numbers")
    if math.prod(max(length, 1) for length in shape) > _LARGEST:
        raise pickle.UnpicklingError("its array has no end")
    return math.prod(shape)


def _in_bytes(words: Any, encoding: Any = "latin1") -> bytes:
    """Return the bytes that a pickle of protocol 2 spells as words."""
    if encoding not in _TEXT_ENCODINGS:  # others import modules by name
        raise InputError(refusal(f"the encoding {encoding}"))
    if not isinstance(words, str):
        raise pickle.UnpicklingError("it encodes what is no word")
    return words.encode(encoding)


def _names(read: Any, *words: str) -> bool:
    return isinstance(read, Name) and read.words in words


def _no_value(record: Record) -> Any:
    raise pickle.UnpicklingError(f"{record.name} is called without its bytes")


def whole_numbers(read: Sequence[Any]) -> bool:
    """Return whether all are ints that a C program can count with, from 0 on."""
    return all(type(number) is int and 0 <= number <= _LARGEST for number in read)
