"""Where the golden arrays are, and the mark of the tests that need them."""

import os
from pathlib import Path

import pytest

GOLDEN = Path(
    os.environ.get("DUET_RL_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden")
)


def needs(*files: Path) -> list[pytest.MarkDecorator]:
    """Return the marks of tests that read `files`: golden, and skipped where one is absent."""
    absent = [str(file) for file in files if not file.is_file()]
    reason = f"absent: {', '.join(absent)}; set DUET_RL_GOLDEN"
    return [pytest.mark.golden, pytest.mark.skipif(bool(absent), reason=reason)]
