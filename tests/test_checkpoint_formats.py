"""What was saved once goes on to load, and what is newer than the program is refused."""

import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from duet_rl.models.level_refiner import LevelRefiner, LevelRefinerConfig
from tests.data.make_checkpoint import DANCE, FOLDER, danced

STORED = sorted(FOLDER.iterdir())
SMALL = LevelRefinerConfig(classes=(4, 3), levels=2, codes=8, width=8, layers=1, heads=2)


def say(folder: Path, **facts: object) -> Path:
    """Change what a checkpoint says of itself; None takes a fact away."""
    file = folder / checkpoint.META
    meta = {**json.loads(file.read_text()), **facts}
    file.write_text(json.dumps({key: value for key, value in meta.items() if value is not None}))
    return folder


@pytest.fixture
def refiner(tmp_path: Path) -> LevelRefiner:
    """One that was saved, in `tmp_path / "refine"`, before refiners knew their longest clip."""
    torch.manual_seed(0)
    made = LevelRefiner(SMALL).eval()
    tensors = {name: value for name, value in made.state_dict().items() if name != "longest"}
    folder = checkpoint.save(
        tmp_path / "refine", kind="refine", tensors=tensors, config=SMALL, meta={}
    )
    say(folder, format=1)
    return made


@pytest.mark.parametrize("folder", STORED, ids=lambda folder: folder.name)
def test_a_follower_that_was_stored_dances_as_it_did(folder: Path) -> None:
    known = np.load(folder / DANCE)
    now = danced(load_follower(folder))
    assert np.array_equal(now["tokens"], known["tokens"])
    np.testing.assert_allclose(now["joints"], known["joints"], atol=1e-4)


def test_loading_changes_nothing_on_the_disk(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER / "format_1", tmp_path / "old")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert checkpoint.load(folder, "follower").meta["format"] == checkpoint.FORMAT
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_that_says_no_format_is_of_the_first(tmp_path: Path) -> None:
    folder = say(shutil.copytree(FOLDER / "format_1", tmp_path / "old"), format=None)
    assert checkpoint.read_meta(folder)["format"] == 1
    assert load_follower(folder).meta["steps"] == 0


def test_a_folder_of_the_next_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    newer = checkpoint.FORMAT + 1
    folder = say(shutil.copytree(FOLDER / "format_1", tmp_path / "new"), format=newer)
    with pytest.raises(InputError, match=f"format {newer}, .* up to {newer - 1}; update duet_rl"):
        load_follower(folder)
    with pytest.raises(InputError, match="update duet_rl"):
        checkpoint.read_meta(folder)


def test_every_format_has_a_way_to_the_next() -> None:
    formats = range(checkpoint.FIRST_FORMAT, checkpoint.FORMAT)
    assert sorted(checkpoint.MIGRATIONS) == list(formats)
    stored = {f"format_{number}" for number in (*formats, checkpoint.FORMAT)}
    assert {folder.name for folder in STORED} == stored, "run python -m tests.data.make_checkpoint"


def test_a_refiner_from_before_it_knew_its_clips_is_mended(
    tmp_path: Path, refiner: LevelRefiner
) -> None:
    saved = checkpoint.load(tmp_path / "refine", "refine")
    again = LevelRefiner(SMALL).eval()
    checkpoint.load_module(again, saved.tensors, saved.path)
    tokens = torch.zeros(1, 5, 2, dtype=torch.long)
    assert torch.equal(again.sample(tokens), refiner.sample(tokens))
    assert int(again.longest) == 0, "nobody knows it: whole clips are seen, as before"


def test_of_todays_format_nothing_is_mended(tmp_path: Path, refiner: LevelRefiner) -> None:
    saved = checkpoint.load(
        say(tmp_path / "refine", format=checkpoint.FORMAT),
        "refine",
    )
    with pytest.raises(InputError, match="missing: longest"):
        checkpoint.load_module(LevelRefiner(SMALL), saved.tensors, saved.path)


def test_whoever_may_read_the_settings_may_read_the_weights(
    tmp_path: Path, refiner: LevelRefiner
) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "refine").iterdir()
    }
    assert modes[checkpoint.WEIGHTS] == modes[checkpoint.CONFIG]
