"""Reads a pickle into inert records: nothing that it names is looked up, called or changed."""

import io
import pickle
import struct
import tokenize
import zipfile
from collections.abc import Callable, Container, Sequence
from typing import Any

from duet_rl.errors import InputError

DAMAGED = (  # what readers of a file that is not whole raise, each its own
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    tokenize.TokenError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # RecursionError and NotImplementedError are kinds of it
    SyntaxError,
    TypeError,
    ValueError,
)
_OLD_NAMES = {"numpy.core.": "numpy._core.", "__builtin__.": "builtins."}  # numpy 1, Python 2
_KEYS = (str, bytes, int, float, complex, bool, type(None))
_LENGTH_BYTES = 8
_SHOWN = 120  # letters of a foreign name in a message


class Name:
    """What a pickle names: the words, and not what they stand for."""

    __slots__ = ("words",)

    def __init__(self, words: str) -> None:
        self.words = words


class Record:
    """An object as a pickle describes it: whose it is, with what arguments, state and items."""

    __slots__ = ("args", "items", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.items: list[tuple[Any, Any]] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))


class Unpickler(pickle._Unpickler):  # in Python: the one in C calls and changes what it is handed
    """Reads plain containers as they are, and all else as `Record`s.

    Args:
        file: stands at the pickle; it stands behind it after `load`.
        known: names that may occur; any other is refused at once.
        persistent: what stands for the ids of objects outside the pickle; none may occur without.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(
        self,
        file: io.BufferedIOBase,
        known: Container[str],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        # Bytes that Python 2 called words are told apart by nobody; latin1 keeps them all.
        super().__init__(file, encoding="latin1")
        self._known = known
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Name:
        words = f"{module}.{name}"
        for old, new in _OLD_NAMES.items():
            if words.startswith(old):
                words = new + words.removeprefix(old)
        if words not in self._known:
            raise InputError(refusal(words))
        return Name(words)

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise pickle.UnpicklingError("it points outside itself")
        return self._persistent(pid)

    def _call(self) -> None:
        """Replace a name and its arguments by a record."""
        args, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or not isinstance(args, tuple):
            raise pickle.UnpicklingError("it calls what is no function")
        self.append(Record(called.words, args))

    def _build(self) -> None:
        """Keep the state of a record, once."""
        state, built = self.stack.pop(), self.stack[-1]
        if not isinstance(built, Record) or built.state is not None:
            raise pickle.UnpicklingError("it changes what cannot change")
        built.state = state

    def _bytearray(self) -> None:
        """Read bytes first and copy them then: a damaged length costs no memory."""
        length = int.from_bytes(self.read(_LENGTH_BYTES), "little")
        self.append(bytearray(self.read(length)))


def refusal(name: str) -> str:
    """Return why a pickle that names `name` is not used, and what to do."""
    words = (name if name.isprintable() else ascii(name))[:_SHOWN]
    return (
        f"its pickle names {words}, which is no array or plain container and was not run; "
        "do not use the file unless you know who wrote it, and then save plain values anew"
    )


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or else its name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _with_plain_keys(
    load: Callable[[Any], None], keys: Callable[[list[Any]], Sequence[Any]]
) -> Callable[[Any], None]:
    """Return `load` for keys that are safe to hash: tuples in tuples exhaust C's stack."""

    def checked(unpickler: Unpickler) -> None:
        for key in keys(unpickler.stack):
            parts = key if type(key) is tuple else (key,)
            if not all(isinstance(part, (*_KEYS, Name, Record)) for part in parts):
                raise pickle.UnpicklingError(f"a {type(key).__name__} is no key")
        load(unpickler)

    return checked


def _opcodes() -> dict[int, Callable[[Any], None]]:
    """Return what to do at each opcode, without those that plain data does not need."""
    opcodes: dict[int, Callable[[Any], None]] = {**pickle._Unpickler.dispatch}
    for opcode in (
        *(pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4),
        *(pickle.PERSID, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
    ):
        del opcodes[opcode[0]]
    opcodes[pickle.REDUCE[0]] = opcodes[pickle.NEWOBJ[0]] = Unpickler._call
    opcodes[pickle.BUILD[0]] = Unpickler._build
    opcodes[pickle.BYTEARRAY8[0]] = Unpickler._bytearray
    for opcode, keys in {
        pickle.SETITEM: lambda stack: stack[-2:-1],
        pickle.SETITEMS: lambda stack: stack[::2],
        pickle.DICT: lambda stack: stack[::2],
        pickle.ADDITEMS: lambda stack: stack,
        pickle.FROZENSET: lambda stack: stack,
    }.items():
        opcodes[opcode[0]] = _with_plain_keys(opcodes[opcode[0]], keys)
    return opcodes


Unpickler.dispatch = _opcodes()
