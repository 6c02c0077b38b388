"""`duet-rl tune` on the command line: what it refuses, in one line, before Ray is started."""

import sys
from pathlib import Path

import pytest

from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.tune.settings import load_search
from duet_rl.tune.space import settled
from tests.cli.conftest import refusal, run

SEARCHES = Path(__file__).resolve().parents[2] / "tune_configs"
TOKENIZER, FOLLOWER, RL = (SEARCHES / f"{name}.yaml" for name in ("tokenizer", "follower", "rl"))


def words(file: Path, store: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("tune", file, "--data", store, "--out", out, *more)


def test_it_says_what_it_searches_with() -> None:
    told = run("tune", "--help").output
    assert "--smoke" in told and "best.yaml" in told


def test_no_such_file_is_told(store: Path, tmp_path: Path) -> None:
    assert "no.yaml does not exist" in refusal(*words(tmp_path / "no.yaml", store, tmp_path))


def test_an_unknown_setting_in_the_space_is_named(store: Path, tmp_path: Path) -> None:
    told = refusal(*words(RL, store, tmp_path, "search.rl.value_rl.uniform=[0.1,1]"))
    assert "rl.value_rl" in told and "did you mean 'value_lr'" in told


@pytest.mark.slow
def test_a_start_that_is_missing_or_not_wanted_is_told(
    store: Path, follower: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert "--follower" in refusal(*words(RL, store, out))
    assert "--codec" in refusal(*words(FOLLOWER, store, out))
    told = refusal(*words(TOKENIZER, store, out, "--follower", follower))
    assert "stage pose does not use" in told
    told = refusal(*words(FOLLOWER, store, out, "--codec", tmp_path))
    assert "no finished pose and translation" in told
    assert not out.exists(), "nothing was begun"


def test_a_population_of_what_is_pretrained_is_told(store: Path, tmp_path: Path) -> None:
    told = refusal(*words(TOKENIZER, store, tmp_path, "scheduler.kind=pbt"))
    assert "scheduler.kind=asha" in told


def test_a_store_without_clips_to_judge_on_is_told(store: Path, tmp_path: Path) -> None:
    clips = DuetStore.open(store).clips()
    DuetStore.create(tmp_path / "all_train", clips, SplitConfig(val=0, test=0))
    told = refusal(*words(TOKENIZER, tmp_path / "all_train", tmp_path / "out"))
    assert "no clip" in told and "prepare.split.val" in told


def test_a_machine_without_optuna_is_told_how_to_get_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = refusal(*words(TOKENIZER, store, tmp_path / "out"))
    assert "duet-rl[tune]" in told and "searcher=random" in told


def test_a_search_whose_hours_are_over_starts_nothing(store: Path, tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text('{"seconds": 7200.0}')
    told = refusal(*words(TOKENIZER, store, tmp_path, "budget.hours=2"))
    assert "no trial" in told and "the time was up" in told


def test_a_folder_that_a_job_would_lose_is_refused(store: Path) -> None:
    told = refusal(*words(TOKENIZER, store, Path("/tmp/ray/s/_ray_pkg_0/runs/tune")))
    assert "removes after it" in told


def test_a_preset_file_beside_the_search_is_read_once(store: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("{based_on: small, pose: {lr: 3}}")
    config = load_search(TOKENIZER, [f"preset={mine}", "pose.steps=7"])
    mine.unlink()  # trials may run where it is not
    trial = settled(config, {})
    assert (trial.pose.lr, trial.pose.steps, trial.follower.gpt.width) == (3, 7, 384)
    with pytest.raises(InputError, match="no preset is called 'huge'"):
        load_search(TOKENIZER, ["preset=huge"])
