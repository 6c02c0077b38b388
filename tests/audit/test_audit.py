"""The audit of a small world: known cheats are seen by who should see them, and all is written."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import duet_rl.audit.run as audit_run
from duet_rl.audit.files import PLOT, ROWS, TABLE, write_audit
from duet_rl.audit.judges import SET_JUDGES, UNHEARD
from duet_rl.audit.results import Audit, as_text
from duet_rl.audit.run import run_audit
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.metrics.duet import MEASURES
from duet_rl.rewards.base import RewardMix
from tests.audit.conftest import ATTACKS, CONFIG


def test_no_attack_fools_the_reward(audit: Audit):
    for attack in ATTACKS:
        assert audit.of("reward/total", attack).said == "sees"


@pytest.mark.parametrize(
    ("judge", "attack", "said"),
    [
        ("reward/foot", "frozen", "sees"),
        ("reward/foot", "floating_20cm", "sees"),
        ("reward/consistency", "frozen", "sees"),
        ("reward/consistency", "jitter_above", "sees"),
        ("reward/beat", "late_half_beat", "sees"),
        ("reward/beat", "jitter_above", "fooled"),
        ("reward/tracking", "sliding", "fooled"),
        ("reward/contact", "stranger", "sees"),
        ("foot_slide", "frozen", "prefers"),
        ("jitter_share", "jitter_above", "sees"),
        ("root_error", "stranger", "sees"),
        ("paper/slip_penalty", "frozen", "prefers"),
    ],
)
def test_judges_are_fooled_by_what_they_do_not_look_at(audit, judge, attack, said):
    assert audit.of(judge, attack).said == said


def test_every_measure_is_tried_or_it_is_said_why_not(audit: Audit):
    judging = {name for name, measure in MEASURES.items() if measure.better}  # no controls
    assert judging - set(audit.verdicts) <= set(UNHEARD)
    assert not (set(MEASURES) - judging) & set(audit.verdicts)
    assert set(SET_JUDGES) <= set(audit.verdicts)
    assert not set(UNHEARD) & set(audit.verdicts)


def test_numbers_without_meaning_are_never_given(audit: Audit):
    for judge, verdicts in audit.verdicts.items():
        for verdict in verdicts:
            if verdict.said == "n/a":
                assert verdict.reason and verdict.loss is None, judge
            else:
                assert math.isfinite(verdict.truth) and math.isfinite(verdict.value), judge
                assert verdict.loss is not None and verdict.share <= 1, judge


@pytest.mark.slow
def test_the_verdicts_do_not_depend_on_batches(audit, store, monkeypatch):
    monkeypatch.setattr(audit_run, "_BATCH", 3)
    again = run_audit(store, RewardMix(), CONFIG, progress=False)
    for judge, verdicts in audit.verdicts.items():
        for one, other in zip(verdicts, again.verdicts[judge], strict=True):
            assert one.said == other.said, judge
            assert other.value == pytest.approx(one.value, rel=1e-3, abs=1e-6, nan_ok=True), judge


def test_everything_is_written(audit: Audit, tmp_path: Path):
    write_audit(audit, tmp_path)
    told = json.loads((tmp_path / TABLE).read_text())
    frozen = told["judges"]["reward/total"]["attacks"]["frozen"]
    assert frozen["said"] == "sees" and frozen["loss"]["low"] > 0
    rows = list(csv.DictReader((tmp_path / ROWS).open()))
    assert len(rows) == len(audit.verdicts) * len(ATTACKS)
    assert {row["attack"] for row in rows} == set(ATTACKS)
    with Image.open(tmp_path / PLOT) as picture:
        assert picture.size[1] > 20 * len(audit.verdicts)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([TABLE, ROWS, PLOT])


def test_the_table_says_of_every_judge_and_attack_whether_it_is_fooled(audit: Audit):
    lines = as_text(audit).splitlines()
    line = next(line for line in lines if line.startswith("foot_slide")).split()
    assert line[1 + ATTACKS.index("frozen")] == "LIKE"
    assert line[-1] == str(sum(verdict.fooled for verdict in audit.verdicts["foot_slide"]))
    counts = next(line for line in lines if line.startswith("judges fooled")).split()[2:]
    assert counts == [str(len(audit.fooled_by(attack))) for attack in ATTACKS]
    assert all(any(attack in line.split() for line in lines) for attack in ATTACKS)


def test_a_lone_couple_has_no_stranger_and_too_few_takes(store: DuetStore, tmp_path: Path):
    clip = store.clips()[0]
    twice = [replace(clip, name=name, audio=None) for name in ("a", "b")]
    alone = DuetStore.create(tmp_path / "alone", twice)
    audit = run_audit(alone, RewardMix(), CONFIG, progress=False)
    stranger = audit.of("reward/total", "stranger")
    assert stranger.said == "n/a" and "cannot be made" in stranger.reason
    assert audit.of("reward/total", "frozen").said == "n/a"
    write_audit(audit, tmp_path / "out")


def test_a_single_window_is_refused(store: DuetStore, tmp_path: Path):
    single = DuetStore.create(tmp_path / "single", store.clips()[:1])
    with pytest.raises(InputError, match="one window of 4 s"):
        run_audit(single, RewardMix(), CONFIG, progress=False)
