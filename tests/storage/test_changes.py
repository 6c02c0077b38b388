"""A store whose changes are not heard of, or that changes while it is read."""

from pathlib import Path
from typing import Any

import pytest

from duet_rl.errors import InputError
from duet_rl.storage import commits, mirror
from duet_rl.storage.claims import claimed
from duet_rl.storage.commits import Piece, commit
from duet_rl.storage.mirror import Mirror, fetched, working
from duet_rl.storage.places import Place, cache_folder, open_place
from tests.test_storage import cache, files_in, fill, held

__all__ = ["cache"]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"file://{tmp_path}/bucket/run"


def send(place: Place, files: dict[str, bytes], scratch: Path, token: str) -> None:
    """Make a store hold these files, as a run does that sends its folder."""
    fill(scratch, files)
    sizes = {name: len(content) for name, content in files.items()}
    commit(place, token, sizes, {name: Piece(scratch / name, size) for name, size in sizes.items()})


def test_a_program_killed_before_it_noted_its_change_goes_on_where_it_was(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any) -> None:
        commit(*args)
        raise KeyboardInterrupt

    run = Mirror(uri)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), run:
        patch.setattr(mirror, "commit", killed)
        fill(run.folder, {"state": b"1"})
    fill(run.folder, {"state": b"22", "log": b"3"})  # of its last moments
    with working(uri) as again:
        assert files_in(again.local) == {"state": b"22", "log": b"3"}
    assert not list(run.folder.parent.glob("*.unsent"))
    assert held(uri, tmp_path / "seen") == {"state": b"22", "log": b"3"}


def test_a_change_that_the_store_made_though_it_said_otherwise_is_ours(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsure(*args: Any) -> None:
        commit(*args)
        raise OSError("no answer")

    with Mirror(uri, seconds=1000) as run:
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "commit", unsure)
            fill(run.folder, {"state": b"1"})
            with pytest.raises(OSError, match="no answer"):
                run.upload(last=False)
        fill(run.folder, {"state": b"22"})
        assert run.upload(last=False)
    assert held(uri, tmp_path / "seen") == {"state": b"22"}


def test_what_is_known_of_a_claim_is_not_sent(uri: str, tmp_path: Path) -> None:
    with working(uri) as run, claimed(run.local):
        fill(run.local, {"state": b"1"})
    assert held(uri, tmp_path / "seen") == {"state": b"1"}


def test_data_that_change_while_they_are_copied_are_copied_again(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_place(uri)
    send(place, {"data/a": b"old", "data/b": b"old"}, tmp_path / "1", "1")
    real, copies = mirror.download, []

    def slow(*args: Any) -> None:
        real(*args)
        copies.append(args)
        if len(copies) == 1:
            send(place, {"data/a": b"new", "data/b": b"new"}, tmp_path / "2", "2")

    monkeypatch.setattr(mirror, "download", slow)
    monkeypatch.setattr(mirror, "_PAUSE_SECONDS", 0.0)
    assert files_in(fetched(f"{uri}/data")) == {"a": b"new", "b": b"new"}
    fetched(f"{uri}/data")
    assert len(copies) == 2


def test_files_that_go_while_they_are_copied_are_no_fault(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = open_place(uri), mirror.download
    send(place, {"data/a": b"old", "data/b": b"old"}, tmp_path / "1", "1")

    def late(*args: Any) -> None:
        monkeypatch.setattr(mirror, "download", real)
        send(place, {"data/a": b"new"}, tmp_path / "2", "2")
        real(*args)

    monkeypatch.setattr(mirror, "download", late)
    monkeypatch.setattr(mirror, "_PAUSE_SECONDS", 0.0)
    assert files_in(fetched(f"{uri}/data")) == {"a": b"new"}


def test_a_store_left_in_mid_change_is_not_copied(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_place(uri)
    send(place, {"data/a": b"old", "data/b": b"old"}, tmp_path / "1", "1")
    real = commits._make_room

    def make_room(where: Place, name: str) -> None:
        if name == "data/b":  # its turn to come into place
            raise KeyboardInterrupt
        real(where, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(commits, "_make_room", make_room)
        send(place, {"data/a": b"new", "data/b": b"new"}, tmp_path / "2", "2")
    assert files_in(tmp_path / "bucket" / "run" / "data") == {"a": b"new", "b": b"old"}
    monkeypatch.setattr(mirror, "_PAUSE_SECONDS", 0.0)
    with pytest.raises(InputError, match="in the middle of a change"):
        fetched(f"{uri}/data")
    assert not cache_folder("fetched", f"{uri}/data").exists()
    with working(uri):  # the run's own command does the rest
        pass
    assert files_in(fetched(f"{uri}/data")) == {"a": b"new", "b": b"new"}
