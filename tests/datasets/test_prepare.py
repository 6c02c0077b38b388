"""Preparation makes a whole store or none, and never the same take twice."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from duet_rl.audio.recipes import MusicConfig
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.prepare import PrepareConfig, PrepareTask, fingerprint, prepare, run_task
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.synthetic import SyntheticConfig
from duet_rl.datasets.synthetic_takes import synthetic_tasks
from duet_rl.errors import InputError
from tests.datasets.conftest import make_clip

HERE = PrepareConfig(parallel=False)


def build(name: str, seed: int, scratch: Path) -> DuetClip:
    return make_clip(name, frames=8, seed=seed)


def broken(scratch: Path) -> DuetClip:
    raise InputError("b.bvh: the file is truncated, fetch it again")


def interrupted(scratch: Path) -> DuetClip:
    raise KeyboardInterrupt


def good(name: str, seed: int = 0) -> PrepareTask:
    return PrepareTask(name, f"fingerprint {seed}", partial(build, name, seed))


def other(name: str, make: Callable[[Path], DuetClip]) -> PrepareTask:
    return PrepareTask(name, "fingerprint", make)


def prepared(tasks: list[PrepareTask], out: Path, config: PrepareConfig = HERE) -> DuetStore:
    return prepare(tasks, out, config, made_with={"a": 1}, progress=False)


def test_all_takes_end_in_the_store(tmp_path: Path) -> None:
    store = prepared([good("a"), good("b"), good("c")], tmp_path / "store")
    assert [clip.name for clip in store.clips()] == ["a", "b", "c"]
    assert store.index.made_with == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert sorted(path.name for path in store.path.iterdir()) == ["clips", "store.json"]


def test_a_bad_take_is_one_line_that_names_it_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^take b: b.bvh: the file is truncated, .*$"):
        prepared([good("a"), other("b", broken), good("c")], tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_bad_takes_can_be_left_out(tmp_path: Path) -> None:
    config = PrepareConfig(parallel=False, skip_bad=True)
    store = prepared([good("a"), other("b", broken)], tmp_path / "store", config)
    assert [clip.name for clip in store.clips()] == ["a"]


def test_takes_that_are_all_bad_make_no_store(tmp_path: Path) -> None:
    config = PrepareConfig(parallel=False, skip_bad=True)
    with pytest.raises(InputError, match="none of 1 takes"):
        prepared([other("b", broken)], tmp_path / "store", config)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_no_store_and_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepared([good("a"), other("b", interrupted)], out)
    assert not out.exists()
    only_b = [PrepareTask("a", "fingerprint 0", broken), good("b")]  # making a again would fail
    assert [clip.name for clip in prepared(only_b, out).clips()] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_unfinished_take_whose_file_was_changed_is_made_again(tmp_path: Path) -> None:
    out = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepared([good("a"), other("b", interrupted)], out)
    (tmp_path / ".store.partial" / "clips" / "a.npz").write_bytes(b"half a file")
    assert len(prepared([good("a"), good("b")], out).clips()) == 2


def test_what_a_killed_run_left_lying_about_does_not_get_into_the_store(tmp_path: Path) -> None:
    for name in (".a.1234.tmp.npz", "stranger.npz"):
        path = tmp_path / ".store.partial" / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a file")
    store = prepared([good("a")], tmp_path / "store")
    assert sorted(p.name for p in store.path.rglob("*") if p.is_file()) == ["a.npz", "store.json"]


def test_takes_that_are_in_the_store_are_not_made_again(tmp_path: Path) -> None:
    out = tmp_path / "store"
    first = prepared([good("a"), good("b")], out)
    again = prepared([PrepareTask(name, "fingerprint 0", broken) for name in "ab"], out)
    assert again.hash == first.hash


def test_a_store_grows_by_the_new_takes(tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepared([good("a"), good("b")], out)
    grown = prepared([good("a"), good("b"), good("c")], out)
    assert [clip.name for clip in grown.clips()] == ["a", "b", "c"]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_failing_new_take_leaves_the_old_store_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "store"
    before = prepared([good("a")], out).hash
    with pytest.raises(InputError, match="take b"):
        prepared([good("a"), other("b", broken)], out)
    assert DuetStore.open(out).hash == before
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_take_made_from_other_files_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepared([good("a")], out)
    with pytest.raises(InputError, match=r"'a' .* other files or settings"):
        prepared([good("a", seed=1)], out)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="exists already"):
        prepared([good("a")], tmp_path)


def test_no_takes_and_equal_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no takes"):
        prepared([], tmp_path / "store")
    with pytest.raises(InputError, match="two takes are called 'a'"):
        prepared([good("a"), good("a")], tmp_path / "store")


def test_the_split_is_the_one_asked_for(tmp_path: Path) -> None:
    split = SplitConfig(given={"a": "test", "b": "val", "c": "train"})
    config = PrepareConfig(parallel=False, split=split)
    store = prepared([good(name) for name in "abc"], tmp_path / "store", config)
    assert store.index.splits == {"a": "test", "b": "val", "c": "train"}


@pytest.mark.ray
def test_takes_made_in_parallel_are_those_made_one_by_one(
    ray_cluster: None, tmp_path: Path
) -> None:
    tasks = [good(name, seed) for seed, name in enumerate("abcd")]
    parallel = prepared(tasks, tmp_path / "parallel", PrepareConfig())
    assert parallel.hash == prepared(tasks, tmp_path / "one_by_one").hash


@pytest.mark.ray
def test_a_bad_take_ends_a_parallel_run_and_leaves_nothing(
    ray_cluster: None, tmp_path: Path
) -> None:
    tasks = [good("a"), other("b", broken), good("c"), good("d")]
    with pytest.raises(InputError, match="take b: b"):
        prepared(tasks, tmp_path / "store", PrepareConfig())
    assert list(tmp_path.iterdir()) == []


def test_takes_heard_in_two_ways_are_not_mixed(tmp_path: Path) -> None:
    old = HERE.model_copy(update={"music": MusicConfig(compat="0.8")})
    store = prepared([good("a")], tmp_path / "store", old)
    assert store.music["compat"] == "0.8"
    with pytest.raises(InputError, match=r"librosa 0\.8 .*set prepare\.music\.compat=0\.8"):
        prepared([good("a"), good("b")], tmp_path / "store")
    assert len(prepared([good("a"), good("b")], tmp_path / "store", old).clips()) == 2


def test_a_finished_take_is_made_anew_when_it_is_to_be_heard_otherwise() -> None:
    settings = [MusicConfig(), MusicConfig(compat="0.8")]
    ours, theirs = (fingerprint(HERE, "a take", music=music) for music in settings)
    assert ours == fingerprint(HERE, "a take") != theirs


def test_the_synthetic_world_is_heard_as_asked(tmp_path: Path) -> None:
    config = SyntheticConfig(choreographies=1, seconds=2.0)
    clips = [
        run_task(*synthetic_tasks(config, MusicConfig(compat=compat)), tmp_path / compat).record
        for compat in ("0.11", "0.8")
    ]
    assert clips[0] and clips[1] and clips[0].sha256 != clips[1].sha256
