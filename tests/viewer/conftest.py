"""A store of couples with joined hands, and a run that was never trained."""

from pathlib import Path

import pytest
import torch

from duet_rl.audio.files import write_wav
from duet_rl.datasets.clip import DuetClip, align
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.mocap.bvh import write_bvh
from tests.couple import beats, stepping_couple
from tests.edit.codecs import tiny_codec
from tests.tiny_run import RATE, clicks, save_follower

SECONDS = 2.0
FRAMES = 60


def couple_clip(name: str, audio: Path | None = None) -> DuetClip:
    """A couple that lets go of its right hand's hold in the second half, as far as it is due."""
    music = torch.zeros(FRAMES, 54)
    music[:, 53] = beats(SECONDS)[0].float()
    hold = torch.zeros(FRAMES, 2, 4, dtype=torch.bool)
    hold[:, 0, 1] = True
    hold[: FRAMES // 2, 1, 0] = True
    return align(
        stepping_couple(SECONDS),
        music,
        hold,
        name=name,
        choreography=name,
        audio=audio,
        music_source="recorded",
        style="waltz",
        tempo=120.0,
        source="a test",
    )


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` (clips `kept`, `learned`), `mine` (a run), `readable`, `take.bvh` ..."""
    folder = tmp_path_factory.mktemp("viewer")
    song = folder / "song.wav"
    write_wav(song, clicks(SECONDS), RATE)
    split = SplitConfig(given={"kept": "test"}, val=0)
    clips = [couple_clip("kept", song), couple_clip("learned")]
    DuetStore.create(folder / "data", clips, split)
    save_follower(folder / "mine" / "follower")
    save_follower(folder / "far" / "away")
    (folder / "empty").mkdir()
    tiny_codec().save(folder / "readable", {})
    write_bvh(folder / "take.bvh", stepping_couple(SECONDS).leader)
    write_bvh(folder / "short.bvh", stepping_couple(1.0).follower)
    return folder
