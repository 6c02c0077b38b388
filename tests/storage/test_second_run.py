"""A second program in the folder of a run is refused before it starts anything."""

from pathlib import Path

import pytest

from tests.cli.conftest import follower, refusal, store
from tests.storage.test_claims import another

__all__ = ["follower", "store"]

SEARCH = Path(__file__).resolve().parents[2] / "tune_configs" / "tokenizer.yaml"


@pytest.mark.parametrize("command", ["pretrain", "rl", "tune", "lab"])
def test_two_programs_do_not_work_in_one_folder(
    command: str, store: Path, follower: Path, tmp_path: Path
) -> None:
    words = {
        "pretrain": ("pretrain", "all"),
        "rl": ("rl", "--follower", follower),
        "tune": ("tune", SEARCH),
        "lab": ("lab", "losses", "--follower", follower),
    }
    out = tmp_path / "run"
    with another(out) as (program, _):
        before = sorted(out.iterdir())
        told = refusal(*words[command], "--data", store, "--out", out)
        assert f"{out} is in use by process {program.pid}" in told
        assert sorted(out.iterdir()) == before


@pytest.mark.parametrize("command", [("pretrain", "all"), ("rl",)])
def test_where_nothing_can_be_written_no_data_are_copied(command: tuple[str, ...]) -> None:
    told = refusal(*command, "--data", "file:///nowhere", "--out", "/etc/hostname/run")
    assert "is a file" in told, "and not that there are no data"
