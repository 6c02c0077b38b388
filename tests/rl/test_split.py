"""Which clips are danced to: those of training, or some that are kept for refinement."""

import logging
from pathlib import Path

import pytest

from duet_rl.audio.provenance import AUTHORS
from duet_rl.datasets.split import Split, SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.rl.dances import make_dances
from duet_rl.rl.run import env_settings_of, run_rl
from envs.dance import open_dances
from tests.envs.dancers import SidestepCodec, walking_couple
from tests.rl.world import GPT, SETTINGS, write_dancer

GIVEN: dict[str, Split] = {"a": "train", "b": "rl", "c": "test"}


@pytest.fixture
def store(tmp_path: Path) -> DuetStore:
    clips = [walking_couple(name, 72, seed) for seed, name in enumerate(GIVEN)]
    return DuetStore.create(tmp_path / "data", clips, SplitConfig(given=GIVEN), music=AUTHORS)


@pytest.mark.parametrize("split", ["train", "rl"])
def test_dances_are_drawn_from_the_split_that_is_named(store: DuetStore, split: Split) -> None:
    config = SETTINGS.model_copy(update={"split": split})
    settings = env_settings_of(config, GPT, Path("."), store.path)
    dances = open_dances(
        settings["data"],
        SidestepCodec(),
        split=settings["split"],
        dance={"seconds": config.seconds},
    )
    assert [clip.name for clip in dances.clips] == [name for name in GIVEN if GIVEN[name] == split]


def test_a_split_without_clips_is_refused_before_anything_is_written(
    store: DuetStore, tmp_path: Path
) -> None:
    follower = write_dancer(tmp_path / "follower", store)
    config = SETTINGS.model_copy(update={"split": "val"})
    with pytest.raises(InputError, match=r"'val' .* has no clips"):
        run_rl(config, follower, store.path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_refining_on_test_music_is_said_aloud(
    store: DuetStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    follower = write_dancer(tmp_path / "follower", store)
    # A greedy rollout is refused for this loss, after the split has been looked at.
    config = SETTINGS.model_copy(update={"split": "test", "greedy": True})
    with caplog.at_level(logging.WARNING), pytest.raises(InputError, match="greedy"):
        run_rl(config, follower, store.path, tmp_path / "out", progress=False)
    assert "rl.split=test" in caplog.text


def test_what_an_environment_of_ones_own_is_told_goes_along(store: DuetStore) -> None:
    config = SETTINGS.model_copy(update={"env_settings": {"enough": 0.2}})
    settings = env_settings_of(config, GPT, Path("."), store.path)
    assert settings == env_settings_of(SETTINGS, GPT, Path("."), store.path) | {"enough": 0.2}
    with pytest.raises(InputError, match="enough"):  # which the duet does not take
        make_dances(SETTINGS.env, 2, settings)
    config = SETTINGS.model_copy(update={"env_settings": {"codec": "other"}})
    with pytest.raises(InputError, match=r"rl\.env_settings\.codec"):
        env_settings_of(config, GPT, Path("."), store.path)
