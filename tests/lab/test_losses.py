"""The lab on a very small world: trained once, added to later, and told what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from duet_rl.audio.provenance import AUTHORS
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.lab.comparison import Comparison
from duet_rl.lab.losses import FOLDER, PLOT, TABLE, run_lab
from duet_rl.lab.results import CELLS, Results
from duet_rl.lab.settings import LabConfig
from duet_rl.models.sampling import SamplingConfig
from duet_rl.rl.settings import RLConfig
from tests.cli.conftest import refusal
from tests.envs.dancers import walking_couple
from tests.rl.world import write_dancer

SMALL: dict[str, Any] = {
    "losses": ("topr",),
    "staleness": (1,),
    "seeds": 2,
    "updates": 3,
    "leaders": 1,
    "rollouts": 2,
    "seconds": 1.6,
    "window_seconds": 1.6,
    "dances": 1,
    "workers": 1,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a follower that knows nothing."""
    folder = tmp_path_factory.mktemp("lab")
    clips = [walking_couple(name, 72, seed) for seed, name in enumerate("abcdef")]
    store = DuetStore.create(folder / "data", clips, music=AUTHORS, split=SplitConfig(val=0.3))
    write_dancer(folder / "follower", store)
    return folder


def lab(world: Path, out: Path, rl: RLConfig = RLConfig(), **changes: Any) -> Comparison:
    config = LabConfig(**{**SMALL, **changes})
    start = world / "follower"
    return run_lab(config, rl, SamplingConfig(), start, world / "data", out, progress=False)


def names(out: Path) -> list[str]:
    """Return what was done, in the order in which it was finished."""
    return [json.loads(line)["name"] for line in (out / FOLDER / CELLS).read_text().splitlines()]


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_what_is_done_is_not_done_again(world: Path, tmp_path: Path):
    first = lab(world, tmp_path)
    done = ["references", "topr at staleness 1, seed 0", "topr at staleness 1, seed 1"]
    assert names(tmp_path) == done
    assert (tmp_path / FOLDER / PLOT).stat().st_size > 1000
    table = json.loads((tmp_path / FOLDER / TABLE).read_text())
    assert [training["training"]["staleness"] for training in table["trainings"]] == [1, 1]
    assert first.rows[0].reward.mean != first.start["reward/total"]
    assert first.rows[0].kl.mean > 0 == first.start["kl"]
    assert first.references["true partner"]["reward/total"] > first.start["reward/total"]

    again = lab(world, tmp_path)
    assert names(tmp_path) == done and again == first

    more = lab(world, tmp_path, seeds=3)  # only the new one
    assert names(tmp_path) == [*done, "topr at staleness 1, seed 2"]
    assert more.means["topr"][:2] == first.means["topr"]

    with pytest.raises(InputError, match=r"2 of 2 trainings failed: topr at .*NoDance"):
        lab(world, tmp_path, RLConfig(env="envs:NoDance-v0"))
    assert len(names(tmp_path)) == 4


def test_a_line_that_a_crash_cut_short_is_forgotten(tmp_path: Path):
    results = Results(tmp_path)
    results.add("a", "first", {"x": 1})
    results.add("b", "second", {"x": 2})
    file = tmp_path / CELLS
    file.write_text(file.read_text()[:-5])
    results = Results(tmp_path)
    assert "a" in results and "b" not in results
    results.add("c", "third", {"x": 3})
    again = Results(tmp_path)
    assert again["a"] == {"x": 1} and again["c"] == {"x": 3} and "b" not in again


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"window_seconds": 60.0}, "lasts the 60.0 s of a window"),
        ({"splits": ("test",), "window_seconds": 4.0}, "lasts the 4.0 s"),
    ],
)
def test_leaders_that_are_not_there_are_refused_before_any_training(
    world: Path, tmp_path: Path, changes: dict[str, Any], said: str
):
    with pytest.raises(InputError, match=said):
        lab(world, tmp_path, **changes)
    assert not (tmp_path / FOLDER).exists()


def test_kl_cannot_be_measured_without_a_reference(world: Path, tmp_path: Path):
    rl = RLConfig.model_validate({"reference": False, "topr": {"kl_weight": 0}})
    with pytest.raises(InputError, match=r"rl\.reference is false"):
        lab(world, tmp_path, rl)


def test_the_command_says_what_is_wrong(world: Path, tmp_path: Path):
    losses = ("lab", "losses", "--out", tmp_path / "out")
    assert "without data" in refusal(*losses, "--follower", world / "follower")
    assert "is no store" in refusal(*losses, "--data", tmp_path)
    assert "lab.losses" in refusal(*losses, "lab.losses=[reinforce]")
    assert "lab.seeds" in refusal(*losses, "lab.seeds=1")
    given = ("--data", world / "data", "--follower", world / "follower")
    assert "rl.greedy" in refusal(*losses, *given, "rl.greedy=true")
    assert not (tmp_path / "out").exists()
