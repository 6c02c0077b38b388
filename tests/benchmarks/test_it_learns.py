"""What RL changed is paired by clip and seed, and every take is tested once."""

from pathlib import Path

import pytest
import torch
from it_learns import PRETRAINED, REFINED, differences, folds_of

from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.evaluate.baselines import NEAREST
from duet_rl.evaluate.table import Evaluation, EvaluationRow
from duet_rl.run import RunConfig


def evaluation(**jerks: list[list[float]]) -> Evaluation:
    """Return what was measured of the jerk: a row a follower, a list a clip, a number a seed."""
    names = {"pretrained": PRETRAINED, "refined": REFINED, "nearest": NEAREST}
    rows = [EvaluationRow(names[of], {"jerk": torch.tensor(v)}) for of, v in jerks.items()]
    return Evaluation(rows, ["one", "two"], 2, "")


def test_what_clips_and_seeds_share_is_no_doubt_about_a_difference():
    before = torch.tensor([[1.0, 5.0], [30.0, 20.0]])
    after, nearest = (before + 2).tolist(), [[3.0], [27.0]]
    found = differences(
        evaluation(pretrained=before.tolist(), refined=after, nearest=nearest),
    )
    assert [row["RL minus"] for row in found] == [PRETRAINED, NEAREST]
    assert found[0]["jerk"] == "+2.000 [+2.000, +2.000]"
    assert found[1]["jerk"].startswith("+1.000") and found[1]["hold_f1"] == "-"


def test_chance_in_the_start_is_doubt_about_a_difference():
    nearest = [[0.0], [0.0]]
    (row, _) = differences(
        evaluation(
            pretrained=[[0.0, 8.0], [0.0, 8.0]], refined=[[4.0, 4.0], [4.0, 4.0]], nearest=nearest
        )
    )
    assert row["jerk"] == "+0.000 [-4.000, +4.000]"


@pytest.fixture
def couples(tmp_path: Path) -> Path:
    """A folder of three takes; nothing but their names is looked at."""
    for take in "abc":
        for dancer in ("leader", "follower"):
            (tmp_path / f"{take}_{dancer}.npz").touch()
    return tmp_path


def test_every_take_is_tested_once(couples: Path):
    folds = folds_of(couples, resolve(RunConfig, "tiny"), 2)
    given = [fold.prepare.split.given for fold in folds]
    assert given == [
        {"a": "test", "b": "train", "c": "test"},
        {"a": "train", "b": "test", "c": "train"},
    ]


@pytest.mark.parametrize("count", [1, 4])
def test_folds_without_a_take_on_either_side_are_refused(couples: Path, count: int):
    with pytest.raises(InputError, match="ask for 2 to 3"):
        folds_of(couples, resolve(RunConfig, "tiny"), count)
