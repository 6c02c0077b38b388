"""Checkpoint folders: whole or not there, and refused when they do not fit."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from duet_rl import checkpoint
from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, settle, sha256_of


class LayerConfig(Config):
    width: int = 3


def save(folder: Path, module: nn.Module, kind: str = "layer") -> Path:
    return checkpoint.save(
        folder, kind=kind, tensors=module.state_dict(), config=LayerConfig(), meta={"steps": 5}
    )


def test_weights_config_and_facts_come_back(tmp_path: Path) -> None:
    layer = nn.Linear(3, 2)
    loaded = checkpoint.load(save(tmp_path / "c", layer), "layer")
    other = nn.Linear(3, 2)
    checkpoint.load_module(other, loaded.tensors, loaded.path)
    assert torch.equal(other.weight, layer.weight)
    assert loaded.config == {"width": 3} and loaded.meta["steps"] == 5
    assert checkpoint.is_checkpoint(tmp_path / "c", "layer")


def test_another_shape_is_refused_and_named(tmp_path: Path) -> None:
    loaded = checkpoint.load(save(tmp_path / "c", nn.Linear(3, 2)), "layer")
    with pytest.raises(InputError, match=r"weight \(2, 3\) for \(4, 3\)"):
        checkpoint.load_module(nn.Linear(3, 4), loaded.tensors, loaded.path)


def test_missing_and_unknown_keys_are_refused_and_named(tmp_path: Path) -> None:
    loaded = checkpoint.load(save(tmp_path / "c", nn.Linear(3, 2, bias=False)), "layer")
    with pytest.raises(InputError, match="missing: bias"):
        checkpoint.load_module(nn.Linear(3, 2), loaded.tensors, loaded.path)
    with pytest.raises(InputError, match="unknown: weight"):
        checkpoint.load_module(nn.Identity(), loaded.tensors, loaded.path)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'layer'.*'follower'"):
        checkpoint.load(save(tmp_path / "c", nn.Linear(3, 2)), "follower")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", nn.Linear(30, 20))
    weights = folder / checkpoint.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load(folder, "layer")


def test_a_config_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", nn.Linear(3, 2))
    (folder / checkpoint.CONFIG).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load(folder, "layer")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"kind": "layer", "format": "one"}', "{"]
)
def test_damaged_facts_are_refused(tmp_path: Path, text: str) -> None:
    folder = save(tmp_path / "c", nn.Linear(3, 2))
    (folder / checkpoint.META).write_text(text)
    with pytest.raises(InputError):
        checkpoint.load(folder, "layer")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        checkpoint.load(tmp_path / "nothing", "layer")


def test_a_failed_save_leaves_the_old_checkpoint_and_no_litter(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", nn.Linear(3, 2))
    before = sha256_of(folder)
    with pytest.raises(TypeError):
        checkpoint.save(
            folder, kind="layer", tensors={}, config=LayerConfig(), meta={"bad": object()}
        )
    assert sha256_of(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), atomic_path(tmp_path / "out.txt") as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_take_its_place_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "old").write_text("old")
    replace = os.replace

    def refuse_the_new(source: Path, target: Path) -> None:
        if (source / "new").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_the_new)
    with pytest.raises(OSError, match="No space"), atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert [path.name for path in folder.iterdir()] == ["old"]


def test_a_link_to_a_folder_gives_way_and_the_folder_stays(tmp_path: Path) -> None:
    elsewhere = save(tmp_path / "elsewhere", nn.Linear(3, 2))
    before = sha256_of(elsewhere)
    link = tmp_path / "run" / "c"
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    save(link, nn.Linear(3, 2))
    assert not link.is_symlink() and checkpoint.is_checkpoint(link)
    assert [path.name for path in link.parent.iterdir()] == ["c"]
    assert sha256_of(elsewhere) == before


def test_a_full_disk_leaves_the_earlier_checkpoint_and_names_it(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", nn.Linear(3, 2))
    before = sha256_of(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            save(folder, nn.Linear(100, 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG and error.value.filename == str(folder)
    assert sha256_of(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"], "no half-written folder stays"


_KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
from duet_rl import files
folder, at = Path(sys.argv[1]), int(sys.argv[2])
renames, replace = [], os.replace
def replace_and_die(source, target):
    if len(renames) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    renames.append(target)
    replace(source, target)
os.replace = replace_and_die
with files.atomic_path(folder) as temporary:
    temporary.mkdir()
    (temporary / "new").write_text("new")
"""


@pytest.mark.parametrize("renames", [0, 1], ids=["before", "between"])
def test_a_kill_while_saving_leaves_the_earlier_folder(tmp_path: Path, renames: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "old").write_text("old")
    command = [sys.executable, "-c", _KILLED_WHILE_SAVING, str(folder), str(renames)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2, "something is left beside it"
    settle(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert [path.name for path in folder.iterdir()] == ["old"]
