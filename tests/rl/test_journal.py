"""Every iteration is noted everywhere, and nothing that cannot be written ends a training."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from duet_rl.audio.files import write_wav
from duet_rl.audio.provenance import AUTHORS
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from duet_rl.generate.media import SAMPLE_RATE, sound_of
from duet_rl.rl.algorithm import DuetRL
from duet_rl.rl.journal import Journal
from duet_rl.rl.settings import RLConfig
from duet_rl.rl.show import DanceShow
from duet_rl.run_log import METRICS, read_metrics
from tests.envs.dancers import walking_couple
from tests.rl.world import write_dancer

RATE = 22_050  # Hz
FRAMES = 72


class SmallRun:
    """What a journal asks of an algorithm, with numbers that a test chooses."""

    def __init__(self, done: int = 0, weights: Any = None) -> None:
        self.iterations_done, self.token_steps = done, 100 * done
        self.weights, self.fresh = weights, []
        self.config = SimpleNamespace(num_env_runners=2)

    def train(self, codes: int = 4, frozen: float = 0.0) -> dict[str, Any]:
        self.iterations_done += 1
        self.token_steps += 100
        tokens = np.stack([np.arange(48) % codes, np.zeros(48)], -1).astype(np.int16)
        self.fresh = [SimpleNamespace(tokens=tokens.reshape(2, 24, 2))]
        return {"reward/total": 0.5, "motion/frozen": frozen, "healthy_runners": 2, "restarts": 1}

    def numbers(self, results: dict[str, Any]) -> dict[str, float]:
        return {name: float(value) for name, value in results.items()}

    def follower_tensors(self) -> dict[str, torch.Tensor]:
        return self.weights


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    """A store whose clips have music that can be heard."""
    folder = tmp_path_factory.mktemp("journal")
    time = np.arange(3 * RATE) / RATE
    write_wav(folder / "tone.wav", np.sin(2764 * time).astype(np.float32) / 2, RATE)
    clips = [walking_couple(name, FRAMES, seed) for seed, name in enumerate("abcdef")]
    for clip in clips:
        object.__setattr__(clip, "audio", folder / "tone.wav")
    return DuetStore.create(folder / "data", clips, music=AUTHORS, split=SplitConfig(val=0.3))


@pytest.fixture
def show(store: DuetStore, tmp_path: Path) -> DanceShow:
    start = write_dancer(tmp_path / "follower", store)
    return DanceShow(load_follower(start), store, tmp_path / "work" / "dances", seconds=1.6)


def journal(work: Path, run: SmallRun, show: DanceShow | None = None, **settings) -> Journal:
    config = RLConfig(iterations=10, **settings)
    return Journal(work, config, run, ["lower", "upper"], show, progress=False)


def events(work: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(work))
    accumulator.Reload()
    return accumulator


def test_each_iteration_is_a_line_of_json_and_the_same_in_tensorboard(tmp_path: Path):
    run = SmallRun()
    with journal(tmp_path, run) as seen:
        for _ in range(3):
            seen.note(run.train())
    rows = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert {"reward/total", "healthy_runners", "restarts", "seconds/left"} <= rows[0].keys()
    assert rows[0]["diversity/codes_lower"] == pytest.approx(4)
    assert rows[0]["diversity/codes_upper"] == pytest.approx(1)
    assert all(row["steps_per_second"] > 0 for row in rows)
    in_tensorboard = events(tmp_path)
    assert set(in_tensorboard.Tags()["scalars"]) == rows[0].keys() - {"step"}
    assert len(in_tensorboard.Scalars("restarts")) == 3


def test_the_faults_that_rllib_counts_are_among_the_numbers():
    counted = {"num_healthy_workers": 1, "num_remote_worker_restarts": 3}
    numbers = DuetRL.numbers({"fault_tolerance": counted})
    assert numbers == {"healthy_runners": 1.0, "restarts": 3.0}


def test_a_run_that_goes_on_overwrites_what_its_state_does_not_know(tmp_path: Path):
    """Also after a crash that cut a line short."""
    run = SmallRun()
    with journal(tmp_path, run) as seen:
        for _ in range(4):
            seen.note(run.train())
    with (tmp_path / METRICS).open("a") as stream:
        stream.write('{"step": 5, "rew')
    run = SmallRun(done=2)
    with journal(tmp_path, run) as seen:
        for _ in range(3):
            seen.note(run.train())
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]


def test_collapse_is_said_once_with_its_stream(tmp_path: Path, caplog):
    run = SmallRun()
    with journal(tmp_path, run) as seen:
        for codes, frozen in ((24, 0.0), (2, 0.0), (2, 0.9)):
            seen.note(run.train(codes, frozen))
    said = [record.getMessage() for record in caplog.records]
    assert ["lower" in line for line in said] == [True, False]
    assert "iteration 2" in said[0] and "frozen" in said[1]
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_a_dance_is_drawn_with_its_music_and_shown_in_tensorboard(tmp_path: Path, show: DanceShow):
    weights = {name: value.clone() for name, value in show.follower.model.state_dict().items()}
    run, work = SmallRun(weights=weights), tmp_path / "work"
    chance = torch.get_rng_state()
    with journal(work, run, show, show_every=2) as seen:
        for _ in range(5):
            seen.note(run.train())
    assert torch.equal(chance, torch.get_rng_state()), "drawing changes nothing of the training"
    names = {f"iteration_0000{done}.{kind}" for done in (2, 4) for kind in ("mp4", "png")}
    assert {path.name for path in (work / "dances").iterdir()} == names
    with av.open(work / "dances" / "iteration_00002.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 24  # 1.6 s at 15 pictures a second
        assert video.streams.audio
    tags = events(work).Tags()
    assert tags["images"] == ["dance"] and tags["audio"] == ["dance/music"]


def test_the_middle_of_a_take_is_danced_to_its_own_music(show: DanceShow, store: DuetStore):
    whole = store.clip(show.clip.name)
    assert show.start == 12 and show.clip.frames == 48  # of 72
    assert torch.equal(show.clip.music, whole.music[12:60])
    weights = show.follower.model.state_dict()
    heard = show.draw(weights, "middle").sound
    whole_sound = sound_of(whole.audio, 60 / FPS)
    assert len(heard) == round(48 / FPS * SAMPLE_RATE)
    np.testing.assert_array_equal(heard, whole_sound[round(12 / FPS * SAMPLE_RATE) :])


@pytest.mark.slow
def test_the_dance_is_that_of_the_present_weights_with_a_held_out_leader(
    show: DanceShow, store: DuetStore
):
    assert show.clip.name == store.records("val")[0].name
    weights = {name: value.clone() for name, value in show.follower.model.state_dict().items()}
    before, again = (show.draw(weights, "before").still for _ in range(2))
    assert np.array_equal(before, again)
    generator = torch.Generator().manual_seed(1)
    other = {k: v + torch.randn(v.shape, generator=generator) for k, v in weights.items()}
    assert not np.array_equal(before, show.draw(other, "after").still)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), InputError("no music")])
def test_a_dance_that_cannot_be_drawn_is_said_and_the_training_goes_on(
    tmp_path: Path, caplog, monkeypatch, show: DanceShow, error: Exception
):
    def fail(*pictures: Any) -> None:
        raise error

    monkeypatch.setattr("duet_rl.rl.show.write_video", fail)
    monkeypatch.setattr("duet_rl.rl.show.pictures_of", lambda *dance: [np.zeros((2, 2, 3), "u1")])
    run = SmallRun(weights=show.follower.model.state_dict())
    with journal(tmp_path, run, show, show_every=1) as seen:
        for _ in range(2):
            seen.note(run.train())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and "iteration 1" in said[0] and str(error) in said[0]
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]


def test_numbers_that_cannot_be_written_are_said_and_the_training_goes_on(tmp_path: Path, caplog):
    run = SmallRun()
    with journal(tmp_path, run) as seen:
        seen.note(run.train())
        metrics = tmp_path / METRICS
        kept = metrics.rename(tmp_path / "kept")
        metrics.symlink_to("/dev/full")
        for _ in range(3):
            seen.note(run.train())
        metrics.unlink()
        kept.rename(metrics)
        seen.note(run.train())
    (line,) = [record.getMessage() for record in caplog.records]
    assert "iteration 2" in line and "goes on" in line
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 5]
