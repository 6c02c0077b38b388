"""A store of a few swaying couples to pretrain on."""

from pathlib import Path

import pytest

from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from tests.datasets.conftest import make_clip

SPLIT = SplitConfig(given={"clip0": "val", "clip1": "test"}, val=0.2, test=0.2)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six couples of 80 frames; one is kept for validation, one for testing."""
    folder = tmp_path_factory.mktemp("pretrain") / "store"
    clips = [make_clip(f"clip{i}", frames=80, seed=i) for i in range(6)]
    DuetStore.create(folder, clips, SPLIT)
    return folder
