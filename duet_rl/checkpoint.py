"""A checkpoint is a folder: weights (safetensors), the resolved config, and what made it.

Each says its format, a number. Folders of earlier formats are mended when they are loaded, see
`MIGRATIONS`, and stay as they are on the disk; those of later ones are refused.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from duet_rl.config import Config, parse_yaml, to_yaml
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, flush, require_folder

FORMAT = 2  # raised with a new line of `MIGRATIONS`, where folders from before need mending
FIRST_FORMAT = 1  # of folders that say none
WEIGHTS = "weights.safetensors"
CONFIG = "config.yaml"
META = "meta.json"
_NAMED_KEYS = 4  # keys spelled out in an error before "and n more"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a folder holds: tensors by name, the config as plain values, and facts about it."""

    path: Path
    kind: str
    tensors: dict[str, Tensor]
    config: dict[str, Any]
    meta: dict[str, Any]


class Migration(NamedTuple):
    """What became of checkpoints after a format, and how one of that format is mended."""

    what: str
    mend: Callable[[Checkpoint], Checkpoint]


def _with_longest(saved: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose refiner says how long the clips of its training were.

    0 is what nobody knows: it sees whole clips of any length, as it did then.
    """
    if saved.kind != "refine" or "longest" in saved.tensors:
        return saved
    return replace(saved, tensors={**saved.tensors, "longest": torch.zeros((), dtype=torch.int64)})


MIGRATIONS: dict[int, Migration] = {  # format -> how it becomes the next
    1: Migration("refiners know how long the clips of their training were", _with_longest),
}


def save(
    folder: Path | str,
    *,
    kind: str,
    tensors: Mapping[str, Tensor],
    config: Config,
    meta: Mapping[str, Any],
) -> Path:
    """Write a checkpoint folder, whole or not at all, and return its path.

    Args:
        folder: where; an existing checkpoint there is replaced.
        kind: what it is, e.g. `pose`, `translation`, `follower`; `load` asks for it.
        tensors: the `state_dict` of the module.
        config: the resolved config that rebuilds the module.
        meta: facts as JSON values, e.g. `data_hash`, `steps`, `metrics`.
    """
    folder = Path(folder)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_files(temporary, kind=kind, tensors=tensors, config=config, meta=meta)
    return folder


def write_files(
    folder: Path,
    *,
    kind: str,
    tensors: Mapping[str, Tensor],
    config: Config,
    meta: Mapping[str, Any],
) -> None:
    """Write the three files into an existing folder; the caller makes it atomic.

    Raises:
        OSError: the disk is full, or does not take them for another reason.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(plain, folder / WEIGHTS)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        # What safetensors says about a disk, as Python says it.
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(folder / WEIGHTS)) from error
    (folder / CONFIG).write_text(to_yaml(config))
    # safetensors lets nobody else read them; a run may lie where others dance with it.
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    facts = {"format": FORMAT, "kind": kind, "created": created, **meta}
    (folder / META).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    flush(folder)


def is_checkpoint(folder: Path | str, kind: str | None = None) -> bool:
    """Return whether `folder` looks like a finished checkpoint, of `kind` if given."""
    folder = Path(folder)
    if not all((folder / name).is_file() for name in (WEIGHTS, CONFIG, META)):
        return False
    return kind is None or read_meta(folder)["kind"] == kind


def require_whole(folder: Path | str) -> None:
    """Raise `InputError` if a folder has lost a file of its checkpoint, as a bad copy does."""
    there = {name for name in (WEIGHTS, CONFIG, META) if (Path(folder) / name).is_file()}
    missing = [name for name in (WEIGHTS, CONFIG, META) if name not in there]
    if missing and there - {CONFIG}:  # the config alone is that of a run
        raise InputError(f"{folder} is no whole checkpoint: it lacks {missing[0]}; copy it again")


def read_meta(folder: Path | str) -> dict[str, Any]:
    """Return the facts about a checkpoint without reading its weights."""
    folder = require_folder(folder, "a checkpoint")
    try:
        meta = json.loads((folder / META).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} is no checkpoint: {META} is missing or damaged; give a folder written by "
            "`duet-rl pretrain` or `duet-rl rl`"
        ) from error
    if not isinstance(meta, dict) or "kind" not in meta:
        raise InputError(f"{folder / META} names no kind; it is not of this program")
    found = meta.setdefault("format", FIRST_FORMAT)
    if type(found) is not int or found < FIRST_FORMAT:
        raise InputError(f"{folder / META} says format {found!r}; wanted a whole number from 1")
    if found > FORMAT:
        raise InputError(
            f"{folder} is of format {found}, and this duet_rl reads up to {FORMAT}; update duet_rl"
        )
    return meta


def load(folder: Path | str, kind: str) -> Checkpoint:
    """Return the checkpoint in `folder`, as one of today's format.

    Raises:
        InputError: nothing there, another kind, or damaged files.
    """
    folder = Path(folder)
    meta = read_meta(folder)
    if meta["kind"] != kind:
        raise InputError(f"{folder} holds a {meta['kind']!r} checkpoint; a {kind!r} one is wanted")
    try:
        tensors = load_file(folder / WEIGHTS)
        text = (folder / CONFIG).read_text()
    except (OSError, SafetensorError, UnicodeDecodeError) as error:
        raise InputError(
            f"{folder} is damaged ({' '.join(str(error).split())}); train it again"
        ) from error
    return _mended(Checkpoint(folder, kind, tensors, parse_yaml(text, str(folder / CONFIG)), meta))


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Copy `tensors` into `module`; every name and shape must match.

    Raises:
        InputError: names the keys that are missing, unknown, or of another shape.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - own.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if tensors[name].shape != own[name].shape
    ]
    faults = [
        f"{what}: {_some(names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("other shape", shapes))
        if names
    ]
    if faults:
        raise InputError(
            f"the weights in {source} do not fit this {type(module).__name__} ({'; '.join(faults)})"
            "; use the config that they were trained with"
        )
    module.load_state_dict(dict(tensors))


def _mended(saved: Checkpoint) -> Checkpoint:
    """Return a checkpoint of any earlier format as one of today's."""
    for step in range(saved.meta["format"], FORMAT):
        saved = MIGRATIONS[step].mend(saved)
        saved = replace(saved, meta={**saved.meta, "format": step + 1})
    return saved


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED_KEYS])
    return shown + (f" and {len(names) - _NAMED_KEYS} more" if len(names) > _NAMED_KEYS else "")
