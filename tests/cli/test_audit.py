"""`duet-rl audit` on a small store: table, files, and what is refused."""

import json
from pathlib import Path

from tests.cli.conftest import refusal, run

SHORT = ("audit.seconds=2.4", "audit.attacks=[frozen,jitter_above,clinging]")


def test_the_audit_prints_the_table_and_writes_everything(store: Path, tmp_path: Path) -> None:
    result = run("audit", "--data", store, "--out", tmp_path / "audit", *SHORT)
    assert result.exit_code == 0, result.output
    assert "reward/total" in result.output and "jitter_above" in result.output
    written = sorted(path.name for path in (tmp_path / "audit").iterdir())
    assert written == ["audit.csv", "audit.json", "audit.png"]
    told = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert list(told["attacks"]) == ["frozen", "jitter_above", "clinging"]


def test_the_rewards_are_those_of_the_settings(store: Path, tmp_path: Path) -> None:
    old = ("rl.rewards.consistency.free_jerk=null", "rl.rewards.weights.beat=0")
    result = run("audit", "--data", store, "--out", tmp_path / "audit", *SHORT, *old)
    assert result.exit_code == 0, result.output
    judges = json.loads((tmp_path / "audit" / "audit.json").read_text())["judges"]
    assert "reward/beat" not in judges
    assert judges["reward/consistency"]["attacks"]["jitter_above"]["said"] == "fooled"


def test_the_same_command_again_replaces_what_was_written(store: Path, tmp_path: Path) -> None:
    for attack in ("frozen", "clinging"):
        words = ("audit.seconds=2.4", f"audit.attacks=[{attack}]")
        assert run("audit", "--data", store, "--out", tmp_path, *words).exit_code == 0
    assert list(json.loads((tmp_path / "audit.json").read_text())["attacks"]) == ["clinging"]


def test_what_cannot_be_audited_is_refused(store: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "audit")
    assert "audit.seconds lower" in refusal("audit", "--data", store, *out, "audit.seconds=9")
    assert "'freezing'" in refusal("audit", "--data", store, *out, "audit.attacks=[freezing]")
    assert "is no store" in refusal("audit", "--data", tmp_path, *out)
    assert not (tmp_path / "audit").exists()
