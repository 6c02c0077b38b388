"""TorchScript archives: their tensors are read, their code is not."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.pickles.torch_files import TensorBuilder, read_zip
from duet_rl.pickles.unpickler import DAMAGED, Record, first_line

_MODULES = "__torch__."  # that the names of the archive's own classes begin with
_CONSTANTS = "constants.pkl"  # that only such an archive has, in its only folder


def is_torch_script(path: Path | str) -> bool:
    """Return whether a file is an archive of `torch.jit.save`; nothing in it is run."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[1:] == [_CONSTANTS] for name in archive.namelist())


def load_torch_script_tensors(path: Path | str) -> dict[str, Tensor]:
    """Return the parameters and buffers of an archive of `torch.jit.save`, by their names.

    The archive is the pickle of an object whose class is code beside it. Of the object only the
    attributes are looked at, so none of that code is compiled or run. Names are those of the
    module's `state_dict`, with dots; what is neither tensor nor module is left out.

    Raises:
        InputError: no such file, not a whole archive, or a pickle that names anything else than
            its own classes and tensors.
    """
    path = require_file(path, "a TorchScript archive")
    try:
        with path.open("rb") as file:
            loaded = read_zip(file, _ModuleBuilder)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except DAMAGED as error:
        raise InputError(
            f"{path} is no whole TorchScript archive ({first_line(error)}); fetch it again"
        ) from error
    return _flat(loaded if isinstance(loaded, dict) else {})


class _Modules(dict[str, Callable[[Record], Any]]):
    """Names that may occur, and what is made of them; an archive's own classes make dicts."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name.startswith(_MODULES) or super().__contains__(name))

    def __missing__(self, name: str) -> Callable[[Record], Any]:
        return self[_MODULES]


class _ModuleBuilder(TensorBuilder):
    """Makes dicts of attributes out of an archive's modules."""

    def __init__(self, stored: Callable[[str], bytearray]) -> None:
        super().__init__(stored)
        self.known = _Modules(self.known | {_MODULES: self._attributes})

    def _attributes(self, record: Record) -> dict[str, Any]:
        state = record.state if isinstance(record.state, dict) else {}
        return {str(name): self.value(item) for name, item in state.items()}


def _flat(attributes: dict[str, Any]) -> dict[str, Tensor]:
    """Return all tensors by their path; what hangs in two places is named by one of them."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, dict[str, Any]]] = [("", attributes)]
    while waiting:
        prefix, module = waiting.pop()
        if id(module) in seen:  # a few bytes of pickle can mean a tree without end
            continue
        seen.add(id(module))
        for name, value in module.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{name}"] = value
            elif isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
    return tensors
