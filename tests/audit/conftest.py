"""A small synthetic store, and what the audit says of it."""

from pathlib import Path

import pytest

from duet_rl.audit.results import Audit
from duet_rl.audit.run import run_audit
from duet_rl.audit.settings import AuditConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.rewards.base import RewardMix
from tests.cli.conftest import run

ATTACKS = ("frozen", "sliding", "jitter_above", "floating_20cm", "late_half_beat", "stranger")
CONFIG = AuditConfig(attacks=ATTACKS, seconds=4.0)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    """Eight synthetic dances of four and a half seconds."""
    folder: Path = tmp_path_factory.mktemp("audit") / "store"
    result = run(
        *("prepare", "synthetic", "--out", folder, "synthetic.choreographies=8"),
        *("synthetic.seconds=4.5", "prepare.parallel=false"),
    )
    assert result.exit_code == 0, result.output
    return DuetStore.open(folder)


@pytest.fixture(scope="session")
def audit(store: DuetStore) -> Audit:
    return run_audit(store, RewardMix(), CONFIG, progress=False)
