"""What the plots of a search say."""

import random
from pathlib import Path

import matplotlib.image
import pytest

from duet_rl.tune.plot import (
    FEWEST,
    IMPORTANCE,
    PARALLEL,
    draw_importance,
    draw_parallel,
    importance,
)
from duet_rl.tune.record import PROGRESS, SECONDS, STEP, Trial
from duet_rl.tune.settings import Dimension, TuneConfig

CONFIG = TuneConfig(
    stage="rl",
    search={
        "rl.lr": Dimension(loguniform=(1e-5, 1e-3)),
        "rl.loss": Dimension(choice=("topr", "ppo")),
        "rl.leaders": Dimension(integer=(1, 4)),
    },
)


def trials(count: int) -> list[Trial]:
    """Trials that the loss alone tells apart at first; every other one is measured once more."""
    rng, made = random.Random(1), []
    for n in range(count):
        values = {"rl.lr": 10 ** rng.uniform(-5, -3), "rl.loss": rng.choice(["topr", "ppo"])}
        values["rl.leaders"] = rng.randint(1, 4)
        first = 0.6 if values["rl.loss"] == "topr" else 0.4
        scores = [first, 0.7][: 1 + n % 2]
        rows = tuple(
            {STEP: 5.0 * k, PROGRESS: 50.0 * k, SECONDS: 1.0, CONFIG.judge: score}
            for k, score in enumerate(scores, start=1)
        )
        made.append(Trial(str(n), values, ((0, values),), "finished", "", rows))
    return made


def test_importance_compares_trials_at_a_step_that_all_came_to() -> None:
    pytest.importorskip("optuna")
    found = importance(CONFIG, trials(24))
    assert not isinstance(found, str)
    step, count, shares = found
    assert (step, count) == (5, 24)
    assert shares["rl.loss"] > 0.9 and sum(shares.values()) == pytest.approx(1)


def test_of_few_trials_no_importance_is_told(tmp_path: Path) -> None:
    (tmp_path / IMPORTANCE).touch()  # of an earlier call
    told = draw_importance(CONFIG, trials(FEWEST - 1), tmp_path)
    assert told is not None and f"of {FEWEST} or more" in told
    assert not (tmp_path / IMPORTANCE).exists()


def test_better_trials_have_other_colours_in_parallel_coordinates(tmp_path: Path) -> None:
    two = trials(2)
    pixels = []
    for name, shown in {"one": two[:1], "two": two}.items():
        (tmp_path / name).mkdir()
        assert draw_parallel(CONFIG, shown, tmp_path / name) is None
        pixels.append(matplotlib.image.imread(tmp_path / name / PARALLEL))
    assert pixels[0].shape == pixels[1].shape and (pixels[0] != pixels[1]).any()
