"""The page of an evaluation plays the worst, the median and the best clip, and needs no network."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.baselines import TRUTH
from duet_rl.evaluate.followers import Recorded
from duet_rl.evaluate.page import DECIDES, notes_on, telling_scenes, write_evaluation_page
from duet_rl.evaluate.run import evaluate
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.evaluate.table import Evaluation
from duet_rl.generate.view import player
from duet_rl.rewards.base import RewardMixConfig

ALONE = EvaluateConfig(workers=1, seeds=1, probe_clips=0)


@pytest.fixture
def dances(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def evaluation(store: DuetStore, recorded: Callable[..., Path], dances: Path) -> Evaluation:
    """Two runs: one whose every dance is worse than that of the clip before, and a good one."""
    worse = iter(range(1, 4))

    def aside(motion: Motion) -> Motion:
        return motion.moved((0.3 * next(worse), 0.0, 0.0))

    rows = [Recorded("aside", recorded("aside", aside)), Recorded("good", recorded("good"))]
    return evaluate(store, rows, RewardMixConfig(), ALONE, progress=False, dances=dances)


def test_the_clips_shown_are_the_worst_the_median_and_the_best(
    evaluation: Evaluation, store: DuetStore, dances: Path
):
    scenes = telling_scenes(evaluation, store, ["aside", "good"], dances)
    assert [scene.name for scene in scenes] == ["worst: b1", "median: a2", "best: a1"]
    reward = evaluation.row("aside").values[DECIDES][:, 0].tolist()
    for scene, value in zip(scenes, sorted(reward), strict=True):
        assert f"{value:.3f}" in scene.note
        assert {"aside", "good", TRUTH} <= scene.followers.keys()
        apart = scene.followers["aside"].root - scene.followers[TRUTH].root
        assert 0.29 < apart.norm(dim=-1).mean() < 0.91


def test_the_page_says_who_is_ahead_and_refers_to_nothing_outside(
    evaluation: Evaluation, store: DuetStore, dances: Path, tmp_path: Path
):
    path = tmp_path / "report.html"
    write_evaluation_page(path, evaluation, store, ["aside", "good"], dances, ALONE)
    text = path.read_text()
    assert re.search(r'<p class="says">good: total .* over aside', text)
    for said in ("nearest neighbour", "Rewards", "root error", "kid duet", "worst: b1"):
        assert said in text, said
    assert not re.findall(r'(?:src|href)="[^#]', text)
    assert "<section><h2>Stages" not in text  # nothing was trained here
    scenes = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)
    assert scenes is not None and len(json.loads(scenes[1])["scenes"]) == 3


def test_baselines_alone_make_a_page_too(
    evaluation: Evaluation, store: DuetStore, dances: Path, tmp_path: Path
):
    data = write_evaluation_page(tmp_path / "page.html", evaluation, store, [], dances, ALONE)
    assert "nearest neighbour" in data.scenes[0].note
    assert "No run was named" in (tmp_path / "page.html").read_text()


def test_the_page_says_whether_the_clips_were_trained_on(evaluation: Evaluation, store: DuetStore):
    assert "kept from the training" in notes_on(evaluation, store, [])[0]
    trained = replace(evaluation, clips=[record.name for record in store.records("train")])
    assert "of the training itself" in notes_on(trained, store, [])[0]


def test_a_clip_too_far_away_to_be_drawn_does_not_end_the_page(
    evaluation: Evaluation, store: DuetStore, dances: Path, monkeypatch: pytest.MonkeyPatch
):
    opened = store.clip

    def far(name: str) -> DuetClip:
        clip = opened(name)
        away = [dancer.moved((40.0, 0.0, 0.0)) for dancer in (clip.duet.leader, clip.duet.follower)]
        return replace(clip, duet=Duet(*away)) if name == "b1" else clip

    monkeypatch.setattr(store, "clip", far)
    scenes = telling_scenes(evaluation, store, ["aside"], dances)
    assert [scene.name for scene in scenes] == ["median: a2", "best: a1"]
    assert player(scenes)
