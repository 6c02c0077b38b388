"""What a dance of the environment hears: what the same cut of its clip hears."""

import numpy as np
import pytest
import torch

from duet_rl.audio.files import write_wav
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.datasets.hearing import HEARINGS, Hearing, hear
from duet_rl.datasets.store import DuetStore
from envs.dance import DanceBatch, open_dances
from envs.scene import Pick
from tests.datasets.conftest import make_clip
from tests.envs.dancers import SidestepCodec

FRAMES = 176
LENGTH = 172  # of the cut that is danced to
SECONDS = 1.6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    """A clip with its sound."""
    folder = tmp_path_factory.mktemp("heard")
    write_wav(folder / "salsa.wav", render_rhythm(150, 4, FRAMES / 30, "salsa", 1), SAMPLE_RATE)
    clip = make_clip("salsa", frames=FRAMES, audio=folder / "salsa.wav")
    return DuetStore.create(folder / "store", [clip])


def dances(store: DuetStore, kind: Hearing, start: int = 0) -> DanceBatch:
    clip = store.clip("salsa").slice(start, start + LENGTH)
    settings = {"seconds": SECONDS, "leader": "none", "hears": kind}
    return open_dances([clip], SidestepCodec(), dance=settings, num_dances=40)


@pytest.mark.parametrize("kind", HEARINGS)
@pytest.mark.parametrize("start", [0, 2])
def test_a_dance_hears_what_a_cut_of_the_clip_hears(
    store: DuetStore, kind: Hearing, start: int
) -> None:
    batch = dances(store, kind, start)
    for frame in range(9):
        cut = batch.clips[0].slice(frame, frame + 4 * batch.steps)
        assert torch.equal(batch.window(0, frame)["music"], hear(cut, kind)), frame


@pytest.mark.parametrize(("kind", "apart"), [("bailando_fixed", 4), ("bailando_pp", 1)])
def test_a_drawn_dance_begins_with_a_row_of_its_music(
    store: DuetStore, kind: Hearing, apart: int
) -> None:
    batch = dances(store, kind)
    batch.restart([np.random.default_rng(dance) for dance in range(batch.num_dances)])
    last = LENGTH - 4 * batch.steps
    drawn = {pick.frame for pick in batch.picks}
    assert drawn <= set(range(0, last + 1, apart)) and len(drawn) > 15
    batch.restart([], [Pick(0, 3)] * batch.num_dances)  # who names a dance may begin anywhere
