"""What the tests of surfaces share."""

from pathlib import Path

import pytest

from duet_rl.meshes.smplx import GENDERS, BodyModel
from duet_rl.meshes.stand_in import write_stand_in


@pytest.fixture(scope="session")
def body_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our stand-ins for the licensed body models."""
    return write_stand_in(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def bodies(body_models: Path) -> dict[str, BodyModel]:
    """The stand-ins of each gender."""
    return {gender: BodyModel.load(body_models, gender) for gender in GENDERS}
