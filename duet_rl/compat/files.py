"""Checkpoint files of other systems: read without running them, told apart, named in errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from duet_rl import checkpoint
from duet_rl.compat.state import plain_state
from duet_rl.errors import InputError
from duet_rl.files import sha256_of
from duet_rl.pickles import load_torch_checkpoint

FOLLOWER = "follower"  # kind of the checkpoint that a conversion writes
_MODEL, _CONFIG, _EPOCH = "model", "config", "epoch"


class Original(NamedTuple):
    """What one of the files holds."""

    path: Path
    state: dict[str, Tensor]
    stored: Any  # its config, as plain values
    facts: dict[str, Any]


def read_original(path: Path | str, kind: str, marks: Mapping[str, str]) -> Original:
    """Return what an original checkpoint of this kind holds, without running anything in it.

    Args:
        path: `{'model', 'config', 'epoch'}` as torch writes it.
        kind: what it should be.
        marks: what the keys of each kind begin with, and no other's.

    Raises:
        InputError: names the file that is missing, damaged, hostile or of another kind.
    """
    path = Path(path)
    loaded = load_torch_checkpoint(path)
    if not isinstance(loaded.get(_MODEL), Mapping):
        raise InputError(
            f"{path} holds {sorted(map(str, loaded))[:5]} and no {_MODEL!r}; give a file that the "
            f"original training wrote, with {_MODEL!r}, {_CONFIG!r} and {_EPOCH!r}"
        )
    with named(path):
        state = plain_state(loaded[_MODEL])
    for other, mark in marks.items():
        if other != kind and any(key.startswith(mark) for key in state):
            raise InputError(
                f"{path} is the checkpoint of the {other} and was given as that of the {kind}; "
                "look whether two files are swapped"
            )
    epoch = loaded.get(_EPOCH)
    facts = {
        "file": path.name,
        "sha256": sha256_of(path),
        "epoch": epoch if isinstance(epoch, int) else None,
    }
    return Original(path, state, loaded.get(_CONFIG), facts)


def require_free(out: Path, kind: str = FOLLOWER) -> None:
    """Raise `InputError` if what is written to `out` would take the place of something else.

    Args:
        out: the folder to write.
        kind: of the checkpoint, which may take the place of one of its kind.
    """
    if out.is_file() or (
        out.is_dir() and any(out.iterdir()) and not checkpoint.is_checkpoint(out, kind)
    ):
        raise InputError(f"{out} exists and holds no {kind}; give a folder that is new or empty")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
