"""Processes of a new installation compile librosa's loops one after the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from duet_rl.audio import compiled


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[tuple[str, bool]]]:
    """What is imported, and whether another process could do the same at that moment."""
    seen: list[tuple[str, bool]] = []

    def note(name: str) -> None:
        other = FileLock(tmp_path / "lock", is_singleton=False)
        try:
            other.acquire(timeout=0)
        except Timeout:
            seen.append((name, False))
        else:
            other.release()
            seen.append((name, True))

    monkeypatch.setattr(compiled, "import_module", note)
    monkeypatch.setattr(compiled, "lock_path", lambda: tmp_path / "lock")
    compiled.compile_librosa.cache_clear()
    yield seen
    compiled.compile_librosa.cache_clear()


def test_while_one_process_imports_librosa_no_other_does(imported) -> None:
    compiled.compile_librosa()
    assert imported and not any(free for _, free in imported)
    FileLock(compiled.lock_path()).acquire(timeout=0)  # and the next one may


def test_a_process_asks_once(imported) -> None:
    compiled.compile_librosa()
    first = len(imported)
    compiled.compile_librosa()
    assert len(imported) == first


def test_where_nothing_can_be_locked_librosa_is_imported_all_the_same(
    imported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(compiled, "lock_path", lambda: tmp_path / "file" / "lock")
    compiled.compile_librosa()
    assert imported
