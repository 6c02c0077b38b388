"""Where the pieces of an evaluation are done."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from duet_rl.evaluate import parallel
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.evaluate.task import Job, Outcome, Piece
from duet_rl.resources import ADDRESS
from duet_rl.rewards.base import RewardMixConfig


@pytest.mark.parametrize(
    ("workers", "cpus", "address", "on_ray"),
    [
        (1, 8, "", False),
        (1, 8, "head:6379", False),
        (None, 1, "", False),
        (None, 1, "head:6379", True),  # a small machine that has a cluster to send its work to
        (None, 8, "", True),
        (2, 1, "", True),
    ],
)
def test_pieces_go_to_other_processes_where_there_are_some(
    workers: int | None,
    cpus: int,
    address: str,
    on_ray: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Job] = []

    def send(pieces: Sequence[Piece], job: Job) -> Iterator[tuple[Piece, Outcome]]:
        sent.append(job)
        return iter(())

    monkeypatch.setenv(ADDRESS, address)
    monkeypatch.setattr(parallel, "usable_cpus", lambda: cpus)
    monkeypatch.setattr(parallel, "_in_parallel", send)
    job = Job(tmp_path, RewardMixConfig(), EvaluateConfig(workers=workers))
    assert not list(parallel.outcomes_of([], job))
    assert bool(sent) is on_ray
