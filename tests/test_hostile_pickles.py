"""Forged and damaged pickles: refused with words, without a crash and without a trace."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.pickles import load_object_npy, load_torch_checkpoint, save_object_npy, values

ROOT = Path(__file__).resolve().parent.parent
POINTERS = b"A" * 16  # two addresses, if anybody took them for objects
FORMATS = {"zip": True, "legacy": False}
TAKE = {
    "poses": np.arange(6.0).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "planted": np.array([True, False]),
    "names": np.array(["up", "down"]),
    "parts": np.array([1, "x", None], object),
    "fps": np.float64(30.0),
    "none": np.empty((0, 3), np.float32),
    "empty": np.str_(""),
    "big": np.arange(3, dtype=">i2"),
    "dtype": np.dtype("<f4"),
    "plain": {"tags": ["a", ("b", 1)], "raw": b"\xff", "sides": {1, 2}, "tail": bytearray(b"x")},
}


class Says:
    """Pickles as a call of `function`, with a state that is put in afterwards."""

    def __init__(self, function: Any, *args: Any, state: Any = None) -> None:
        self.said = (function, args, state)

    def __reduce__(self) -> Any:
        return self.said


reconstruct = np.empty(0).__reduce__()[0]
scalar = np.float64(0).__reduce__()[0]
frombuffer = np.empty(1).__reduce_ex__(5)[0]


def dtype(kind: str, *columns: Any, order: str = "|", flags: int = 0, notes: tuple = ()) -> Says:
    columns = columns or (None, None, None)
    return Says(np.dtype, kind, False, True, state=(3, order, *columns, -1, -1, flags, *notes))


def array(of: Any, data: Any, shape: Any = (2,)) -> Says:
    return Says(reconstruct, np.ndarray, (0,), b"b", state=(1, shape, of, False, data))


def nested(depth: int) -> bytes:
    """A pickle of a dict whose key is a tuple in a tuple in a tuple."""
    return b"\x80\x02})" + b"\x85" * depth + b"K\x01s."


COLUMNS = (None, ("a",), {"a": (np.dtype("O"), 0)})
FORGED: dict[str, Callable[[], Any]] = {
    "pointers": lambda: array(dtype("O"), POINTERS),
    "pointers in a buffer": lambda: Says(frombuffer, POINTERS, dtype("O"), (2,), "C"),
    "pointers in an ndarray": lambda: Says(np.ndarray, (2,), dtype("O"), POINTERS),
    "a pointer": lambda: Says(scalar, dtype("O"), POINTERS[:8]),
    "a record": lambda: array(dtype("V8", *COLUMNS, flags=63), POINTERS),
    "columns": lambda: array(dtype("f8", *COLUMNS), POINTERS),
    "a subarray": lambda: array(dtype("f8", (np.dtype("O"), (1,)), None, None), POINTERS),
    "notes": lambda: array(dtype("f8", notes=({},)), POINTERS),
    "too few bytes": lambda: array(np.dtype("f8"), POINTERS, (3,)),
    "less than nothing": lambda: array(np.dtype("f8"), POINTERS, (-2,)),
    "no end": lambda: array(np.dtype("f8"), b"", (2**62, 2**62, 0)),
    "no size": lambda: array(dtype("S0"), b"", (2**40,)),
    "no letters": lambda: array(np.dtype("U1"), b"\xff" * 8),
    "too few objects": lambda: array(np.dtype("O"), [1]),
    "objects that are no list": lambda: array(np.dtype("O"), (1, 2)),
    "many bytes": lambda: Says(bytearray, 2**45),
}


def write_npy(path: Path, value: Any, protocol: int = 4) -> Path:
    inside = np.empty((), object)
    inside[()] = value
    return write_raw(path, pickle.dumps(inside, protocol))


def write_raw(path: Path, pickled: bytes, descr: str = "|O") -> Path:
    with path.open("wb") as file:
        header = {"descr": descr, "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(pickled)
    return path


def write_torch(path: Path, value: Any, file_format: str = "zip") -> Path:
    torch.save({"config": value}, path, _use_new_zipfile_serialization=FORMATS[file_format])
    return path


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_array_is_refused(tmp_path: Path, forged: str) -> None:
    for protocol in (2, 4):
        with pytest.raises(InputError, match=r"a\.npy"):
            load_object_npy(write_npy(tmp_path / "a.npy", FORGED[forged](), protocol))
    for file_format in FORMATS:
        with pytest.raises(InputError, match=r"a\.pt"):
            load_torch_checkpoint(write_torch(tmp_path / "a.pt", FORGED[forged](), file_format))


def test_kinds_of_arrays_come_back_through_every_format(tmp_path: Path) -> None:
    save_object_npy(tmp_path / "b.npy", TAKE)
    taken = [load_object_npy(write_npy(tmp_path / "a.npy", TAKE, p)) for p in range(6)]
    taken += [load_torch_checkpoint(write_torch(tmp_path / "a.pt", TAKE, f)) for f in FORMATS]
    for take in (load_object_npy(tmp_path / "b.npy"), *taken):
        take = take.get("config", take)
        assert take.keys() == TAKE.keys() and take["plain"] == TAKE["plain"]
        for name in TAKE.keys() - {"plain", "dtype"}:
            np.testing.assert_array_equal(take[name], TAKE[name])
            assert type(take[name]) is type(TAKE[name])
            assert take[name].dtype == TAKE[name].dtype
        assert take["dtype"] == np.float32 and take["poses"].flags.writeable


@pytest.mark.parametrize("target", ["_codecs.encode", "numpy._core.numeric._frombuffer"])
def test_a_pickle_changes_no_function(tmp_path: Path, target: str) -> None:
    module, name = target.rsplit(".", 1)
    changes = b"\x80\x02c%s\n%s\nN}X\x0c\x00\x00\x00__defaults__)s\x86b." % (
        module.encode(),
        name.encode(),
    )
    before = values._in_bytes.__defaults__, frombuffer.__defaults__
    with pytest.raises(InputError, match="changes what cannot change"):
        load_object_npy(write_raw(tmp_path / "a.npy", changes))
    torch.save({}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(whole.replace(b"\x80\x02}q\x00.", changes))
    with pytest.raises(InputError, match="changes what cannot change"):
        load_torch_checkpoint(tmp_path / "a.pt")
    assert (values._in_bytes.__defaults__, frombuffer.__defaults__) == before


def endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


def multiplied() -> list[Any]:
    """A list of lists that is small as long as nobody copies it."""
    inside: list[Any] = [0]
    for _ in range(30):
        inside = [inside, inside]
    return inside


def containing_itself() -> np.ndarray:
    inside = np.empty(2, object)
    inside[0] = inside
    return inside


@pytest.mark.parametrize("value", [endless, multiplied, containing_itself])
def test_what_has_no_end_is_refused(
    tmp_path: Path, value: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "_MOST_VALUES", 10_000)
    with pytest.raises(InputError, match=r"a\.npy"):
        load_object_npy(write_npy(tmp_path / "a.npy", value()))
    for file_format in FORMATS:
        with pytest.raises(InputError, match=r"a\.pt"):
            load_torch_checkpoint(write_torch(tmp_path / "a.pt", value(), file_format))


@pytest.mark.parametrize(
    "pickled", [nested(500_000), pickle.dumps("a"), pickle.dumps(TAKE["poses"])]
)
def test_a_pickle_of_no_array_is_refused(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(InputError, match="damaged"):
        load_object_npy(write_raw(tmp_path / "a.npy", pickled))


@pytest.mark.parametrize("descr", ["<M8[s]", "|V8", [("a", "<f8")], [("a", "|O")]])
def test_a_table_of_neither_numbers_nor_words_is_refused(tmp_path: Path, descr: Any) -> None:
    with pytest.raises(InputError, match="wanted numbers or words"):
        load_object_npy(write_raw(tmp_path / "a.npy", b"A" * 8, descr))


UNCHECKED = {  # torch's own reader makes these without a look at their bounds
    "sparse": lambda: torch.sparse_coo_tensor([[99]], [1.0], (100,)),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "conjugated": lambda: torch.ones(2, dtype=torch.complex64).conj(),
}


@pytest.mark.parametrize("kind", UNCHECKED)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly:UserWarning")
def test_a_tensor_of_a_rare_kind_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"not run|conjugated"):
        load_torch_checkpoint(write_torch(tmp_path / "a.pt", UNCHECKED[kind]()))


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (-1, (2,), (1,)),
        (4, (1,), (1,)),
        (0, (2**32,) * 2, (2**32,) * 2),
        (0, (2,), (-1,)),
    ],
)
def test_a_tensor_stays_within_its_numbers(
    tmp_path: Path, offset: int, size: Any, stride: Any
) -> None:
    numbers = torch.arange(4.0)
    rebuild = torch._utils._rebuild_tensor_v2
    forged = Says(rebuild, numbers.storage(), offset, size, stride, False, {})
    for file_format in FORMATS:
        with pytest.raises(InputError, match="no whole checkpoint"):
            load_torch_checkpoint(write_torch(tmp_path / "a.pt", forged, file_format))


@pytest.mark.parametrize("file_format", FORMATS)
def test_tensors_of_every_shape_and_kind_come_back(tmp_path: Path, file_format: str) -> None:
    kinds = (torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64)
    table = torch.arange(12.0).reshape(3, 4)
    saved = {
        **{str(kind): table.to(kind) for kind in kinds},
        "turned": table.T,
        "cut": table[1:, ::2],
        "one": torch.tensor(2.5),
        "none": torch.empty(0, 3),
        "repeated": torch.ones(1).expand(5),
        "parameter": torch.nn.Parameter(table),
        **({"young": torch.arange(3).to(torch.uint16)} if file_format == "zip" else {}),
    }
    loaded = load_torch_checkpoint(write_torch(tmp_path / "a.pt", saved, file_format))["config"]
    assert loaded.keys() == saved.keys()
    for name, tensor in saved.items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor)


def test_no_changed_byte_and_no_cut_crashes(tmp_path: Path) -> None:
    save_object_npy(tmp_path / "old.npy", TAKE)
    write_npy(tmp_path / "new.npy", TAKE, 5)
    np.save(tmp_path / "table.npy", TAKE["poses"])
    for name in FORMATS:
        model = torch.nn.Linear(2, 3).state_dict()
        write_torch(tmp_path / f"{name}.pt", {"model": model, "poses": TAKE["poses"]}, name)
    command = [sys.executable, "-m", "tests.damaged_files", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stderr[-2000:]}"
