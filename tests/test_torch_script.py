"""TorchScript archives give their tensors; their code is neither compiled nor run."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from duet_rl.errors import InputError
from duet_rl.pickles import is_torch_script, load_torch_script_tensors

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("kept", torch.arange(4))
        self.size = 5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = nn.Sequential(Inner().half(), nn.ReLU(), Inner())
    torch.jit.script(model).save(str(tmp_path / "model.pt"))
    return tmp_path / "model.pt"


def changed(path: Path, name: str, data: bytes) -> None:
    """Write an archive anew with one file in it changed."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    (whole,) = [file for file in files if file.endswith(name)]
    with zipfile.ZipFile(path, "w") as archive:
        for file, old in (files | {whole: data}).items():
            archive.writestr(file, old)


def test_tensors_are_those_that_torch_would_load(path: Path):
    wanted, found = torch.jit.load(path).state_dict(), load_torch_script_tensors(path)
    assert is_torch_script(path) and found.keys() == wanted.keys()
    assert all(x.dtype == found[k].dtype and torch.equal(x, found[k]) for k, x in wanted.items())


def test_code_in_it_does_not_matter(path: Path):
    wanted = load_torch_script_tensors(path)
    with zipfile.ZipFile(path) as archive:
        code = [name for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
    for name in code:
        changed(path, name.split("/", 1)[1], b"this is no code")
    with pytest.raises(RuntimeError):
        torch.jit.load(path)
    assert load_torch_script_tensors(path).keys() == wanted.keys()


def test_a_pickle_that_names_anything_else_is_refused(path: Path, tmp_path: Path):
    class Planted:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'run')!r}, 'w')",)

    changed(path, "/data.pkl", pickle.dumps({"training": Planted()}, protocol=2))
    with pytest.raises(InputError, match=r"names builtins\.exec"):
        load_torch_script_tensors(path)
    assert not (tmp_path / "run").exists()


def test_a_tree_of_shared_modules_ends(path: Path):
    """Sixty levels, each of which has the next one twice."""
    begin, module = b"\x80\x02N", b"r\0\0\0\x000c__torch__\nM\n)\x81}("  # 0: take it off the stack
    child = b"j\0\0\0\0"
    twice = b"".join(b"X\x01\0\0\0" + name + child for name in (b"a", b"b"))
    lines = [begin, *[module + twice + b"ub"] * 60]
    changed(path, "/data.pkl", b"".join(lines) + b".")
    assert load_torch_script_tensors(path) == {}


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_half_an_archive_is_refused(path: Path, share: float):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="no whole TorchScript archive"):
        load_torch_script_tensors(path)


def test_a_plain_checkpoint_is_none(tmp_path: Path):
    torch.save({"x": torch.zeros(2)}, tmp_path / "a.pt")
    assert not is_torch_script(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"text")
    assert not is_torch_script(tmp_path / "b.pt")
