"""What the tests of the body share."""

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest

from duet_rl.body.smplx import GENDERS, BodyModel
from duet_rl.body.stand_in import write_stand_in


@pytest.fixture(scope="session")
def body_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our stand-ins for the licensed body models."""
    return write_stand_in(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def bodies(body_models: Path) -> dict[str, BodyModel]:
    """The stand-ins of each gender."""
    return {gender: BodyModel.load(body_models, gender) for gender in GENDERS}


@pytest.fixture
def as_users_run() -> Iterator[None]:
    """Leave out the shape checks that only tests have, so that our own refusals are heard."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
