"""Clips and settings that the tests of the environment share."""

from typing import Any

import pytest

from tests.envs.dancers import SidestepCodec, walking_couple

SECONDS = 1.6  # an episode: 12 tokens


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    """Keyword arguments of a small environment: three clips, one too short to be danced."""
    clips = [walking_couple("a", 120, 0), walking_couple("b", 40, 1), walking_couple("c", 60, 2)]
    dance = {"seconds": SECONDS, "look_back": 3, "look_ahead": 2}
    return {"data": clips, "codec": SidestepCodec(), "dance": dance}
