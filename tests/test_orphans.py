"""Ray's agents end with the program, whatever else runs on the machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from duet_rl.orphans import end_agents_with_us

NAME = Path("/proc/self/comm")


@pytest.fixture
def cut_name() -> Iterator[None]:
    """Let this process have a name as Linux makes it: cut in the middle of a letter."""
    before = NAME.read_bytes()
    NAME.write_bytes("caf\u00e9".encode()[:-1])
    yield
    NAME.write_bytes(before.rstrip())


@pytest.mark.skipif(not os.access(NAME, os.W_OK), reason="needs the names of Linux")
@pytest.mark.usefixtures("cut_name")
def test_a_process_whose_name_is_no_text_is_no_obstacle() -> None:
    end_agents_with_us()
