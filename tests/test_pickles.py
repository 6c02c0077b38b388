"""Other people's pickles: data comes in, anything that could run is refused by name."""

import argparse
import builtins
import os
import pickle
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.pickles import load_object_npy, load_torch_checkpoint, save_object_npy
from tests.planted import Planted

TAKE = {
    "poses": np.arange(330, dtype=np.float64).reshape(2, 165),
    "transl": np.zeros((2, 3), np.float32),
    "fps": np.float64(30.0),
    "meta": {"gender": "female", "tags": ["a", ("b", 1)], "raw": b"\x00\xff"},
}
ZIP = {"_use_new_zipfile_serialization": True}
LEGACY = {"_use_new_zipfile_serialization": False}


def planted(kind: str, written: Path) -> Planted:
    return {
        "system": Planted(os.system, f"touch {written}"),
        "open": Planted(builtins.open, str(written), "w"),
        "eval": Planted(builtins.eval, f"open({str(written)!r}, 'w')"),
        "class": Planted(argparse.ArgumentParser),
    }[kind]


NAMES = {"system": r"posix\.system", "open": "open", "eval": "eval", "class": "ArgumentParser"}


def write_object(path: Path, value: Any, protocol: int, shape: tuple[int, ...] = ()) -> Path:
    """Write `value` as numpy.save does, under any pickle protocol."""
    array = np.empty(shape, object)
    array[(0,) * len(shape)] = value
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(array, file, protocol)
    return path


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_dict_of_arrays_comes_back(tmp_path: Path, protocol: int, shape: tuple[int, ...]) -> None:
    take = load_object_npy(write_object(tmp_path / "a.npy", TAKE, protocol, shape))
    assert take.keys() == TAKE.keys() and take["meta"] == TAKE["meta"] and take["fps"] == 30.0
    for name in ("poses", "transl"):
        np.testing.assert_array_equal(take[name], TAKE[name])
        assert take[name].dtype == TAKE[name].dtype


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_both_numpys_spellings_are_read(tmp_path: Path, module: bytes) -> None:
    path = write_object(tmp_path / "a.npy", TAKE, protocol=2)
    payload = path.read_bytes().replace(b"numpy._core.multiarray", module)
    path.write_bytes(payload.replace(b"numpy.core.multiarray", module))
    np.testing.assert_array_equal(load_object_npy(path)["poses"], TAKE["poses"])


def test_what_numpy_saves_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", TAKE, allow_pickle=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(load_object_npy(tmp_path / "a.npy")["poses"], TAKE["poses"])
    np.save(tmp_path / "b.npy", TAKE["poses"])
    np.testing.assert_array_equal(load_object_npy(tmp_path / "b.npy"), TAKE["poses"])


@pytest.mark.parametrize("shape", [(), (1,)])
def test_what_we_save_is_read_by_us_and_by_numpy(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.npy"
    save_object_npy(path, TAKE, shape)
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert b"numpy._core" not in path.read_bytes()
    with warnings.catch_warnings():  # numpy 2 calls the old name deprecated, and takes it
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = np.load(path, allow_pickle=True)
    assert theirs.shape == shape
    for take in (load_object_npy(path), theirs.item()):
        np.testing.assert_array_equal(take["poses"], TAKE["poses"])
        assert take["meta"] == TAKE["meta"]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", NAMES)
def test_a_planted_call_is_named_and_not_run(tmp_path: Path, kind: str, protocol: int) -> None:
    written = tmp_path / "written"
    value = {**TAKE, "meta": planted(kind, written)}
    path = write_object(tmp_path / "a.npy", value, protocol)
    with pytest.raises(InputError, match=rf"a\.npy.*{NAMES[kind]}.*not run"):
        load_object_npy(path)
    assert not written.exists()


def test_an_encoding_that_would_be_imported_is_refused(tmp_path: Path) -> None:
    path = write_object(tmp_path / "a.npy", {"raw": b"\xff"}, protocol=2)
    path.write_bytes(path.read_bytes().replace(b"latin1", b"quopri"))
    with pytest.raises(InputError, match="quopri"):
        load_object_npy(path)


@pytest.mark.parametrize("payload", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr': "])
def test_a_file_that_is_no_whole_npy_is_refused(tmp_path: Path, payload: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(payload)
    with pytest.raises(InputError, match=r"a\.npy"):
        load_object_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("pickled", [True, False])
def test_a_cut_npy_is_refused(tmp_path: Path, share: float, pickled: bool) -> None:
    path = tmp_path / "a.npy"
    if pickled:
        write_object(path, TAKE, protocol=4)
    else:
        np.save(path, TAKE["poses"])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.npy is damaged|no \.npy"):
        load_object_npy(path)


def test_a_bare_pickle_is_no_npy(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(pickle.dumps(planted("open", tmp_path / "written")))
    with pytest.raises(InputError, match=r"no \.npy"):
        load_object_npy(tmp_path / "a.npy")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("load", [load_object_npy, load_torch_checkpoint])
def test_a_folder_or_nothing_is_refused(tmp_path: Path, load: Any) -> None:
    with pytest.raises(InputError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none.pt")


@pytest.fixture
def easydict(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class that pickles as `easydict.EasyDict` does: its values are items and attributes."""

    class EasyDict(dict):  # type: ignore[type-arg]
        def __init__(self, values: dict[str, Any]) -> None:
            super().__init__()
            for key, value in values.items():
                inner = EasyDict(value) if isinstance(value, dict) else value
                self[key] = inner
                self.__dict__[key] = inner

    EasyDict.__module__, EasyDict.__qualname__ = "easydict", "EasyDict"
    module = types.ModuleType("easydict")
    module.EasyDict = EasyDict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "easydict", module)
    return EasyDict


CONFIG = {"vqvae": {"l_bins": 512, "parts": ["up", "down"]}, "rate": 3e-4, "sizes": (1, 2)}


def write_checkpoint(path: Path, config: Any, file_format: dict[str, bool]) -> dict[str, Any]:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save({"model": model.state_dict(), "config": config, "epoch": 500}, path, **file_format)
    return model.state_dict()


@pytest.mark.parametrize("file_format", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_a_checkpoint_with_an_easydict_comes_back_as_plain_dicts(
    tmp_path: Path, easydict: Any, file_format: dict[str, bool]
) -> None:
    path = tmp_path / "epoch_500.pt"
    wanted = write_checkpoint(path, easydict(CONFIG), file_format)
    del sys.modules["easydict"]
    loaded = load_torch_checkpoint(path)
    assert loaded["config"] == CONFIG and loaded["epoch"] == 500
    assert type(loaded["config"]["vqvae"]) is dict and type(loaded["model"]) is dict
    assert "easydict" not in sys.modules
    assert loaded["model"].keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(loaded["model"][name], tensor)


def test_a_namespace_and_an_ordered_dict_come_back_as_plain_dicts(tmp_path: Path) -> None:
    config = argparse.Namespace(lr=1e-4, inner=argparse.Namespace(a=OrderedDict(b=1)))
    write_checkpoint(tmp_path / "a.pt", config, ZIP)
    loaded = load_torch_checkpoint(tmp_path / "a.pt")["config"]
    assert loaded == {"lr": 1e-4, "inner": {"a": {"b": 1}}}
    assert type(loaded["inner"]["a"]) is dict


def test_arrays_in_a_checkpoint_come_back(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.pt", TAKE, ZIP)
    loaded = load_torch_checkpoint(tmp_path / "a.pt")["config"]
    np.testing.assert_array_equal(loaded["poses"], TAKE["poses"])
    assert loaded["meta"] == TAKE["meta"] and loaded["fps"] == 30.0


@pytest.mark.parametrize("file_format", [ZIP, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", NAMES)
def test_a_planted_call_in_a_checkpoint_is_named_and_not_run(
    tmp_path: Path, kind: str, file_format: dict[str, bool]
) -> None:
    written = tmp_path / "written"
    write_checkpoint(tmp_path / "a.pt", planted(kind, written), file_format)
    with pytest.raises(InputError, match=rf"a\.pt.*{NAMES[kind]}.*not run") as refused:
        load_torch_checkpoint(tmp_path / "a.pt")
    assert not written.exists() and "\n" not in str(refused.value)


@pytest.mark.parametrize("file_format", [ZIP, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_checkpoint_is_refused(
    tmp_path: Path, share: float, file_format: dict[str, bool]
) -> None:
    path = tmp_path / "a.pt"
    write_checkpoint(path, CONFIG, file_format)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.pt is no whole checkpoint") as refused:
        load_torch_checkpoint(path)
    assert "\n" not in str(refused.value) and "weights_only" not in str(refused.value)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.pt").open("wb") as file:
        np.savez(file, joints=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("readme", "no weights")
    (tmp_path / "c.pt").write_text("epoch 1\n" * 99)
    for name in ("a.pt", "b.pt", "c.pt"):
        with pytest.raises(InputError, match=rf"{name} is no whole checkpoint"):
            load_torch_checkpoint(tmp_path / name)
    torch.save([torch.zeros(2)], tmp_path / "d.pt")
    with pytest.raises(InputError, match="holds a list"):
        load_torch_checkpoint(tmp_path / "d.pt")
