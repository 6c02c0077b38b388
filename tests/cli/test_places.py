"""Stores and results behind URIs, from the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from duet_rl.cli.main import app
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.page import PAGE
from duet_rl.storage.mirror import fetched
from duet_rl.storage.places import CACHE
from tests.cli.conftest import refusal, run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


def test_a_store_is_made_and_used_behind_a_uri(store: Path, follower: Path, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/bucket"
    made = run(
        *("prepare", "synthetic", "--out", f"{uri}/data", "synthetic.choreographies=6"),
        *("synthetic.seconds=2.5", "prepare.parallel=false"),
    )
    assert made.exit_code == 0 and made.output.startswith(f"{uri}/data: "), made.output
    assert DuetStore.open(fetched(f"{uri}/data")).hash == DuetStore.open(store).hash
    (tmp_path / "bucket" / "a=b").symlink_to(follower)
    words = ("evaluate.workers=1", "evaluate.max_clips=1", "evaluate.seeds=1")
    said = run(
        *("evaluate", f"{uri}/a=b", "--data", f"{uri}/data", "--out", f"{uri}/measured", *words)
    )
    assert said.exit_code == 0, said.output
    assert f"open {uri}/measured/{PAGE} in a browser" in said.output
    there, here = tmp_path / "measured", tmp_path / "bucket" / "measured"
    local = run("evaluate", f"a={follower}", "--data", store, "--out", there, *words)
    assert local.exit_code == 0, local.output
    written = {path.relative_to(there) for path in there.rglob("*.csv")}
    assert written and all((here / name).read_bytes() for name in written)
    assert (here / PAGE).is_file()


def test_a_place_that_cannot_be_written_is_told_before_any_work(store: Path) -> None:
    said = refusal("pretrain", "all", "--data", store, "--out", "/etc/hostname/run")
    assert "is a file" in said
    assert "removes after it" in refusal(
        *("prepare", "synthetic", "--out", "/tmp/ray/s/_ray_pkg_0/data")
    )


def test_a_command_that_needs_a_local_folder_says_so() -> None:
    said = CliRunner().invoke(app, ["lab", "losses", "--out", "s3://bucket/lab"])
    words = " ".join(said.output.replace("│", " ").split())
    assert said.exit_code == 2 and "needs a local folder" in words
    assert not Path("s3:").exists()
