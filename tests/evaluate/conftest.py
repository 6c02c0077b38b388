"""A store of couples that step, two of them takes of one dance, and dances recorded for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from duet_rl.audio.features import BEAT, MUSIC_DIMS
from duet_rl.audio.provenance import AUTHORS
from duet_rl.body.contact import hold_due
from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.mocap.npz import write_npz
from tests.couple import BEAT_SECONDS, stepping_couple

SECONDS = 4.0
TAKES = {  # name -> choreography, split, seconds a beat, turn of the whole couple
    "a1": ("a", "test", BEAT_SECONDS, 0.0),
    "a2": ("a", "test", BEAT_SECONDS, 1.0),
    "b1": ("b", "test", 0.6, 0.5),
    "c1": ("c", "train", 0.5, 0.0),
    "d1": ("d", "train", 0.7, 2.0),
    "e1": ("e", "train", 0.4, -1.0),
}


def clip_of(name: str, choreography: str, duet: Duet, beat_seconds: float) -> DuetClip:
    """Return a clip with the beats of the steps in its music."""
    music = torch.zeros(duet.frames, MUSIC_DIMS)
    music[:: round(beat_seconds * FPS), BEAT] = 1
    return DuetClip(
        name=name,
        choreography=choreography,
        duet=duet,
        music=music,
        hold=hold_due(duet.leader.joints, duet.follower.joints, FPS),
        audio=None,
        music_source="recorded",
        style="steps",
        tempo=60 / beat_seconds,
        source="tests",
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    """Three dances to test on, three to learn from."""
    clips = [
        clip_of(name, choreography, stepping_couple(SECONDS, FPS, beat).turned(turn), beat)
        for name, (choreography, _, beat, turn) in TAKES.items()
    ]
    given = {choreography: split for choreography, split, *_ in TAKES.values()}
    folder = tmp_path_factory.mktemp("evaluate") / "store"
    return DuetStore.create(folder, clips, SplitConfig(given=given), music=AUTHORS)


@pytest.fixture
def recorded(store: DuetStore, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a dance for each test clip: the true one, changed."""

    def write(name: str, change: Callable[[Motion], Motion] = lambda motion: motion) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for clip in store.clips("test"):
            write_npz(folder / f"{clip.name}.npz", change(clip.duet.follower))
        return folder

    return write
