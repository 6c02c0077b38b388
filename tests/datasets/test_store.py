"""What a store promises: the clips come back, or an error says why they do not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.audio.provenance import music_facts
from duet_rl.audio.recipes import MusicConfig
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from tests.datasets.conftest import make_clip


@pytest.fixture
def store(tmp_path: Path, song: Path) -> DuetStore:
    clips = [make_clip(f"take{i}", seed=i, audio=song if i == 0 else None) for i in range(5)]
    return DuetStore.create(tmp_path / "store", clips)


def test_a_clip_comes_back_as_it_was_stored(store: DuetStore, song: Path) -> None:
    before, after = make_clip("take0", seed=0), store.clip("take0")
    for dancer in ("leader", "follower"):
        was, now = getattr(before.duet, dancer), getattr(after.duet, dancer)
        torch.testing.assert_close(now.joints, was.joints, atol=1e-5, rtol=0)
        torch.testing.assert_close(now.rotations, was.rotations, atol=1e-6, rtol=0)
    assert torch.equal(after.music, before.music) and torch.equal(after.hold, before.hold)
    assert (after.style, after.tempo, after.choreography) == ("waltz", 90.0, "take0")
    assert after.audio is not None and after.audio.read_bytes() == song.read_bytes()


def test_beats_are_the_frames_that_the_music_marks(store: DuetStore) -> None:
    assert store.clip("take1").beats.nonzero().flatten().tolist() == [0, 15, 30]


def test_every_clip_is_in_exactly_one_split(store: DuetStore) -> None:
    names = [clip.name for split in ("train", "val", "test") for clip in store.clips(split)]
    assert sorted(names) == [f"take{i}" for i in range(5)]


def test_takes_of_one_choreography_stay_together(tmp_path: Path) -> None:
    clips = [make_clip(f"take{i}", frames=8, choreography=f"dance{i // 3}") for i in range(12)]
    store = DuetStore.create(tmp_path / "store", clips)
    homes: dict[str, set[str]] = {}
    for split in ("train", "val", "test"):
        for record in store.records(split):
            homes.setdefault(record.choreography, set()).add(split)
    assert len(homes) == 4 and all(len(home) == 1 for home in homes.values())


def test_the_hash_tells_data_and_split_apart_but_not_the_folder(tmp_path: Path) -> None:
    def stored(folder: str, seed: int, split: SplitConfig | None = None) -> str:
        clips = [make_clip(f"t{i}", frames=8, seed=seed + i) for i in range(4)]
        return DuetStore.create(tmp_path / folder, clips, split).hash

    assert stored("a", 0) == stored("b", 0)
    assert stored("c", 0, SplitConfig(test=0.5)) != stored("a2", 0)
    assert stored("d", 9) != stored("a3", 0)


def test_a_grown_store_leaves_old_choreographies_where_they_were(store: DuetStore) -> None:
    before = dict(store.index.splits)
    grown = store.append([make_clip(f"more{i}", seed=10 + i) for i in range(10)])
    assert len(grown.clips()) == 15 and grown.hash != store.hash
    assert {name: grown.index.splits[name] for name in before} == before


def test_a_clip_never_takes_the_place_of_another(store: DuetStore) -> None:
    with pytest.raises(InputError, match="has a clip 'take1' already"):
        store.append([make_clip("take1", seed=9)])
    assert len(DuetStore.open(store.path).clips()) == 5


def test_a_changed_clip_is_refused_when_it_is_loaded(store: DuetStore) -> None:
    file = store.path / "clips" / "take3.npz"
    payload = bytearray(file.read_bytes())
    payload[len(payload) // 2] ^= 1
    file.write_bytes(payload)
    with pytest.raises(InputError, match="is not what was written"):
        DuetStore.open(store.path).clips()


def test_a_changed_index_is_refused(store: DuetStore) -> None:
    file = store.path / "store.json"
    values = json.loads(file.read_text())
    values["splits"] = dict.fromkeys(values["splits"], "train")
    file.write_text(json.dumps(values))
    with pytest.raises(InputError, match="edited"):
        DuetStore.open(store.path)


def test_another_version_is_refused(store: DuetStore) -> None:
    file = store.path / "store.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))
    with pytest.raises(InputError, match="format 2; this version reads 1"):
        DuetStore.open(store.path)


def test_an_unknown_key_in_the_index_is_refused(store: DuetStore) -> None:
    file = store.path / "store.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "colour": "red"}))
    with pytest.raises(InputError, match="unknown key 'colour'"):
        DuetStore.open(store.path)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_index_is_refused(store: DuetStore, text: str) -> None:
    (store.path / "store.json").write_text(text)
    with pytest.raises(InputError, match="store"):
        DuetStore.open(store.path)


def test_a_missing_clip_file_is_named(store: DuetStore) -> None:
    (store.path / "clips" / "take2.npz").unlink()
    with pytest.raises(InputError, match="take2"):
        DuetStore.open(store.path)


def test_a_folder_without_an_index_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no store"):
        DuetStore.open(tmp_path)


def test_a_failing_source_leaves_no_store_behind(tmp_path: Path) -> None:
    def clips():
        yield make_clip("good")
        raise InputError("the second take is broken")

    with pytest.raises(InputError, match="second take"):
        DuetStore.create(tmp_path / "store", clips())
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_never_written_over(store: DuetStore) -> None:
    with pytest.raises(InputError, match="exists already"):
        DuetStore.create(store.path, [make_clip()])


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'same'"):
        DuetStore.create(tmp_path / "store", [make_clip("same"), make_clip("same", seed=1)])


def test_a_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot name a clip"):
        DuetStore.create(tmp_path / "store", [make_clip("../escape")])


def test_nan_in_the_music_is_refused() -> None:
    clip = make_clip()
    music = clip.music.clone()
    music[3, 7] = np.nan
    with pytest.raises(InputError, match="NaN"):
        type(clip)(**{**vars(clip), "music": music})


def test_clips_are_cut_to_whole_tokens() -> None:
    assert make_clip(frames=43).frames == 40


def test_a_clip_divides_into_the_tokens_of_the_tokenizers() -> None:
    from duet_rl.datasets.clip import FRAME_MULTIPLE
    from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

    assert FRAME_MULTIPLE == FRAMES_PER_TOKEN


OLD_MUSIC = music_facts(MusicConfig(compat="0.8"))


def test_a_store_says_what_made_its_music_features(tmp_path: Path) -> None:
    store = DuetStore.create(tmp_path / "store", [make_clip()], music=OLD_MUSIC)
    assert store.music == OLD_MUSIC and store.clip("take").music_facts == OLD_MUSIC
    assert json.loads((store.path / "store.json").read_text())["music"]["compat"] == "0.8"


def test_a_store_older_than_the_choice_has_the_features_of_then(store: DuetStore) -> None:
    file = store.path / "store.json"
    index = json.loads(file.read_text())
    del index["music"]
    file.write_text(json.dumps(index))
    assert DuetStore.open(store.path).music["compat"] == "0.11"


def test_a_grown_store_keeps_saying_it(tmp_path: Path) -> None:
    store = DuetStore.create(tmp_path / "store", [make_clip("a")], music=OLD_MUSIC)
    assert store.append([make_clip("b", seed=1)]).music == OLD_MUSIC


def test_clips_of_two_extractors_do_not_meet_in_a_store(store: DuetStore, tmp_path: Path) -> None:
    old = DuetStore.create(tmp_path / "old", [make_clip("other")], music=OLD_MUSIC)
    with pytest.raises(
        InputError, match=r"'other' are of librosa 0\.8 .* of the store of .* 0\.11"
    ):
        store.append(old.clips())
    with pytest.raises(InputError, match=r"'other' are of librosa 0\.8"):
        DuetStore.create(tmp_path / "mixed", [*store.clips(), *old.clips()])
    assert not (tmp_path / "mixed").exists() and len(DuetStore.open(store.path).clips()) == 5


def test_clips_of_a_store_keep_their_extractor_in_another(tmp_path: Path) -> None:
    old = DuetStore.create(tmp_path / "old", [make_clip("other")], music=OLD_MUSIC)
    assert DuetStore.create(tmp_path / "copy", old.clips()).music == OLD_MUSIC
