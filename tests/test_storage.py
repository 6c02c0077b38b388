"""Runs behind URIs: what a store holds is whole at any moment, and comes back as it was."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from duet_rl.errors import InputError
from duet_rl.storage.commits import Contents, Piece, commit, contents_of, download, finish
from duet_rl.storage.mirror import Mirror, fetched, working
from duet_rl.storage.places import CACHE, Place, check_writable, open_place
from tests.integration.processes import wait_until

BIG = bytes(range(256)) * 8192  # more than is copied before it is sent
PATIENCE = 60.0  # s


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URI of a folder that is not there yet."""
    memory = fsspec.filesystem("memory")
    yield f"file://{tmp_path}/bucket/run" if request.param == "file" else "memory://bucket/run"
    if memory.exists("/bucket"):
        memory.rm("/bucket", recursive=True)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def held(uri: str, scratch: Path) -> dict[str, bytes]:
    """Return what a store holds, as another machine sees it that goes on there."""
    place = open_place(uri)
    finish(place)
    download(place, contents_of(place), scratch)
    return files_in(scratch)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_a_run_is_found_again_on_another_machine(store: str, tmp_path: Path, cache: Path) -> None:
    first = {"rl/weights": BIG, "rl_work/state/meta.json": b"{}", "gone": b"x"}
    with working(store) as run:
        assert run.uri == store and run.public(run.local / "rl") == f"{store}/rl"
        fill(run.local, first)
    shutil.rmtree(cache)  # another machine
    with working(store) as run:
        assert files_in(run.local) == first
        (run.local / "gone").unlink()
        fill(run.local, {"rl/weights": BIG[::-1]})
    assert held(store, tmp_path / "seen") == {
        "rl/weights": BIG[::-1],
        "rl_work/state/meta.json": b"{}",
    }


def test_what_was_done_before_a_fault_is_sent(store: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), working(store) as run:
        fill(run.local, {"state": b"1"})
        raise KeyboardInterrupt
    assert held(store, tmp_path / "seen") == {"state": b"1"}


def test_what_changes_is_sent_on_the_way(store: str, tmp_path: Path) -> None:
    with Mirror(store, seconds=0.01) as mirror:
        fill(mirror.folder, {"state": b"1"})
        place = open_place(store)
        wait_until(lambda: "state" in contents_of(place).files, PATIENCE, "the state")
        # Who only reads must not finish what the writer is about.
        download(place, contents_of(place), tmp_path / "seen")
        assert files_in(tmp_path / "seen") == {"state": b"1"}


def test_what_is_being_written_is_not_sent(store: str, tmp_path: Path) -> None:
    with working(store) as run:
        fill(run.local, {"rl/weights": b"1", ".rl.0123abcd.tmp/weights": b"half"})
    assert held(store, tmp_path / "seen") == {"rl/weights": b"1"}


def test_a_folder_that_changes_while_it_is_looked_at_is_sent_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, real = f"file://{tmp_path}/bucket", shutil.copyfile
    with Mirror(uri, seconds=1000) as mirror:

        def copy(source: Path, kept: Path) -> Any:
            fill(mirror.folder, {"b": b"new"})  # of the same save as the first, which is old
            return real(source, kept)

        fill(mirror.folder, {"a": b"old", "b": b"old"})
        monkeypatch.setattr(shutil, "copyfile", copy)
        os.utime(mirror.folder / "b", ns=(0, 0))
        assert not mirror.upload(last=False)
        assert contents_of(open_place(uri)).files == {}
        monkeypatch.undo()
        assert mirror.upload(last=False)
        assert contents_of(open_place(uri)).files == {"a": 3, "b": 3}


def test_a_log_may_grow_meanwhile_and_is_sent_as_far_as_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, real = f"file://{tmp_path}/bucket", shutil.copyfile
    with Mirror(uri, seconds=1000) as mirror:

        def copy(source: Path, kept: Path) -> Any:
            with (mirror.folder / "metrics.jsonl").open("ab") as log:
                log.write(b"{}\n")
            return real(source, kept)

        fill(mirror.folder, {"metrics.jsonl": b"{}\n"})
        monkeypatch.setattr(shutil, "copyfile", copy)
        assert mirror.upload(last=False)
        assert held(uri, tmp_path / "seen") == {"metrics.jsonl": b"{}\n"}


def test_what_could_not_be_sent_stays_and_is_sent_by_the_next(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"file://{tmp_path}/bucket"
    mirror = Mirror(uri)
    with pytest.raises(InputError, match=r"could not be sent .* the same command"), mirror:
        fill(mirror.folder, {"state": b"1"})
        fill(tmp_path, {"bucket": b"in the way"})
    (tmp_path / "bucket").unlink()
    with working(uri) as run:
        assert files_in(run.local) == {"state": b"1"}
    assert held(uri, tmp_path / "seen") == {"state": b"1"}


def test_two_runs_do_not_mix_in_one_folder(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/bucket"
    with working(uri), pytest.raises(InputError, match="in use by process"):
        with working(uri):
            pass
    other = tmp_path / "other"
    fill(other, {"f": b"theirs"})
    mirror = Mirror(uri)
    with pytest.raises(InputError, match="changed by another run"), mirror:
        fill(mirror.folder, {"f": b"ours"})
        commit(open_place(uri), "theirs", {"f": 6}, {"f": Piece(other / "f", 6)})
    assert held(uri, tmp_path / "seen") == {"f": b"theirs"}
    for _ in range(2):  # what was refused is not lost, and is set aside once
        with working(uri) as run:
            assert files_in(run.local) == {"f": b"theirs"}
        (kept,) = mirror.folder.parent.glob("*.unsent")
        assert files_in(kept) == {"f": b"ours"}


class _Breaking(FSSpecHandler):
    """A store whose writer is killed at its `left`-th change."""

    def __init__(self, left: int) -> None:
        super().__init__(fsspec.filesystem("memory"))
        self.left = left

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def create_dir(self, *args: Any) -> None:
        self._count()
        super().create_dir(*args)

    def delete_dir(self, *args: Any) -> None:
        self._count()
        super().delete_dir(*args)

    def delete_file(self, *args: Any) -> None:
        self._count()
        super().delete_file(*args)

    def move(self, *args: Any) -> None:
        self._count()
        super().move(*args)

    def open_output_stream(self, *args: Any) -> Any:
        self._count()
        return super().open_output_stream(*args)


def test_a_writer_killed_at_any_moment_leaves_all_of_the_old_or_all_of_the_new(
    tmp_path: Path,
) -> None:
    before = {"weights": b"old", "meta": b"old", "gone": b"old"}
    after = {"weights": b"newer", "meta": b"newer", "more": b"newer"}
    outcomes = []
    for moment in range(100):
        uri, memory = "memory://bucket/killed", fsspec.filesystem("memory")
        for token, files in (("1", before), ("2", after)):
            handler = _Breaking(moment if token == "2" else 1000)
            place = Place(PyFileSystem(handler), "/bucket/killed")
            fill(tmp_path / token, files)
            sizes = {name: len(content) for name, content in files.items()}
            pieces = {name: Piece(tmp_path / token / name, size) for name, size in sizes.items()}
            try:
                commit(place, token, sizes, pieces)
            except KeyboardInterrupt:
                assert token == "2"
        outcomes.append(held(uri, tmp_path / "seen"))
        assert outcomes[-1] in (before, after), f"mixed after {moment} changes"
        memory.rm("/bucket", recursive=True)
        if handler.left > 0:
            break
    assert outcomes[0] == before and outcomes[-1] == after
    assert outcomes.count(after) > 5, "killed also after the moment of change"


def test_a_folder_put_there_by_hand_is_a_run_too(store: str, cache: Path) -> None:
    place = open_place(store)
    place.filesystem.create_dir(place.file("follower"), recursive=True)
    with place.filesystem.open_output_stream(place.file("follower/meta.json")) as stream:
        stream.write(b"{}")
    with working(store) as run:
        assert files_in(run.local) == {"follower/meta.json": b"{}"}


def test_data_are_fetched_once_and_again_when_they_change(tmp_path: Path) -> None:
    fill(tmp_path / "data", {"store.json": b"1", "clips/a": BIG})
    uri = f"file://{tmp_path}/data"
    folder = fetched(uri)
    assert files_in(folder) == {"store.json": b"1", "clips/a": BIG}
    inode = (folder / "clips/a").stat().st_ino
    assert fetched(uri + "/") == folder and (folder / "clips/a").stat().st_ino == inode
    fill(tmp_path / "data", {"store.json": b"22"})
    assert fetched(uri) == folder and (folder / "store.json").read_bytes() == b"22"
    assert fetched(tmp_path / "data") == tmp_path / "data"


def test_nothing_to_fetch_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is at"):
        fetched(f"file://{tmp_path}/none")


def test_a_file_cut_short_in_the_store_is_named(tmp_path: Path) -> None:
    fill(tmp_path, {"bucket/weights": b"12"})
    place = Place(LocalFileSystem(), str(tmp_path / "bucket"))
    with pytest.raises(InputError, match=r"weights has 2 bytes and 5 were written"):
        download(place, Contents("1", {"weights": 5}), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_store_cannot_write_outside_the_copy(tmp_path: Path) -> None:
    fill(tmp_path, {"bucket/a/x": b"12", "evil": b"!"})
    place = Place(LocalFileSystem(), str(tmp_path / "bucket" / "a"))
    with pytest.raises(InputError, match="none below it"):
        download(place, Contents("1", {"../../evil": 1}), tmp_path / "deep" / "copy")


def test_a_check_leaves_nothing_and_makes_nothing(store: str, tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "run")
    assert files_in(tmp_path) == {} and not (tmp_path / "a").exists()
    check_writable(store)
    assert open_place(store).sizes() == {}


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere://bucket/run", "cannot be opened"),
        ("s3://", "names no folder"),
        ("file://relative/run", "cannot be opened"),
        ("file:///proc/run", "cannot be written"),
        ("/proc/run", "cannot be written"),
        ("/etc/hostname/run", "is a file"),
        ("/tmp/ray/session/_ray_pkg_0123/runs/mine", "removes after it"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(place: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        check_writable(place)
    assert "\n" not in str(refused.value)
