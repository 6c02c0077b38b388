"""Dancers and songs that the tests of this room share."""

from pathlib import Path

import pytest

from tests.choreograph.world import write_dancer, write_song


@pytest.fixture(scope="session")
def soloist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a follower that dances alone."""
    return write_dancer(tmp_path_factory.mktemp("soloist") / "follower")


@pytest.fixture(scope="session")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a follower that wants a leader."""
    return write_dancer(tmp_path_factory.mktemp("partner") / "follower", ("music", "leader"))


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a band."""
    return write_song(tmp_path_factory.mktemp("songs") / "tango.wav")
