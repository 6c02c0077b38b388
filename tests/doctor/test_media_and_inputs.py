"""Codecs are tried and not looked up; data are compared with what their index knows."""

import av
import numpy as np
import pytest
import soundfile

from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import CLIPS, INDEX
from duet_rl.doctor.findings import stopped_commands
from duet_rl.doctor.inputs import check_body_models, check_runs, check_store
from duet_rl.doctor.media import AUDIO, check_audio, check_video
from duet_rl.meshes.stand_in import write_stand_in
from tests.envs.dancers import walking_couple


@pytest.mark.parametrize("kind", AUDIO)
def test_each_kind_of_music_is_written_and_read(kind: str):
    assert check_audio(kind).state == "ok"


def test_a_library_without_mp3_is_told_and_stops_no_main_command(monkeypatch):
    whole = soundfile.write

    def write(file, *rest, **options):
        if str(file).endswith(".mp3"):
            raise soundfile.LibsndfileError(1, "Error opening: ")
        return whole(file, *rest, **options)

    monkeypatch.setattr(soundfile, "write", write)
    found = check_audio("mp3")
    assert found.state == "missing" and "soundfile" in found.cure
    assert stopped_commands([found]) == []
    assert check_audio("ogg").state == "ok"


def test_sound_that_does_not_come_back_is_told(monkeypatch):
    monkeypatch.setattr(
        "duet_rl.audio.files.read_audio", lambda file: (np.zeros(22_050, np.float32), 22_050)
    )
    found = check_audio("wav")
    assert found.state == "missing" and stopped_commands([found]) == ["prepare", "generate"]


def test_a_second_of_video_is_made():
    assert check_video().state == "ok"


def test_a_build_without_h264_is_told(monkeypatch):
    def refuse(*words, **options):
        raise av.codec.codec.UnknownCodecError("libx264")

    monkeypatch.setattr("duet_rl.generate.media.av.open", refuse)
    found = check_video()
    assert found.state == "missing" and "libx264" in found.found
    assert stopped_commands([found]) == ["demo"]


@pytest.fixture
def store(tmp_path) -> DuetStore:
    clips = [walking_couple(name, 72, seed) for seed, name in enumerate("abcdefghij")]
    return DuetStore.create(tmp_path / "data", clips, split=SplitConfig(val=0.2, test=0.2))


def test_places_behind_uris_are_looked_at_there(store: DuetStore, tmp_path, monkeypatch):
    monkeypatch.setenv("DUET_RL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    there, runs = f"file://{store.path}", f"file://{tmp_path}/bucket/runs"
    found = check_store(there)
    assert found.state == "ok" and f"{there}: 10 clips" in found.found
    assert check_store(f"file://{tmp_path}/none").state == "missing"
    assert check_runs(runs).found == f"{runs} can be written and read"
    assert not any(path.is_file() for path in (tmp_path / "bucket").rglob("*"))
    assert not list(tmp_path.glob("file:*")), "a URI is no local path"


def test_a_whole_store_is_told_with_its_hash(store: DuetStore):
    found = check_store(store.path)
    assert found.state == "ok" and store.hash[:8] in found.found and "10 clips" in found.found


@pytest.mark.parametrize("damage", ["a clip is cut", "a clip is gone", "no index", "index edited"])
def test_a_damaged_store_is_told_and_how_to_mend_it(store: DuetStore, damage: str):
    clip, index = store.path / CLIPS / "c.npz", store.path / INDEX
    if damage == "a clip is cut":
        clip.write_bytes(clip.read_bytes()[:-100])
    elif damage == "a clip is gone":
        clip.unlink()
    elif damage == "no index":
        index.unlink()
    else:
        index.write_text(index.read_text().replace('"val"', '"train"'))
    found = check_store(store.path)
    assert found.state == "missing" and "prepare" in found.cure and "\n" not in found.line


def test_a_store_that_holds_nothing_out_is_told(tmp_path):
    clips = [walking_couple(name, 72, seed) for seed, name in enumerate("ab")]
    DuetStore.create(tmp_path / "data", clips, split=SplitConfig(val=0, test=0))
    found = check_store(tmp_path / "data")
    assert found.state == "warning" and "nothing in val, test" in found.found


def test_each_body_model_is_looked_at(tmp_path):
    pytest.importorskip("smplx")
    write_stand_in(tmp_path)
    assert [found.state for found in check_body_models(tmp_path)] == ["ok"] * 3
    (tmp_path / "SMPLX_MALE.npz").write_bytes(b"nothing")
    (tmp_path / "SMPLX_FEMALE.npz").unlink()
    neutral, male, female = check_body_models(tmp_path)
    assert (neutral.state, male.state, female.state) == ("ok", "missing", "missing")
    assert stopped_commands([male, female]) == []
