"""What lies in the folder of a store: its index, and a file for each clip, with its sound."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duet_rl.audio.provenance import MusicFacts
from duet_rl.config import Config, validate
from duet_rl.datasets.clip import DuetClip, MusicSource, from_arrays, to_arrays
from duet_rl.datasets.split import Split, SplitConfig, split_choreographies
from duet_rl.errors import InputError
from duet_rl.files import atomic_path

FORMAT = 1  # raised when an older reader could misread a newer store
INDEX = "store.json"
CLIPS = "clips"
AUDIO = "audio"


class ClipRecord(Config):
    """What the index says about a clip without opening its file."""

    name: str
    choreography: str
    frames: int
    sha256: str  # of the .npz
    audio: str | None  # file name in the audio folder
    music_source: MusicSource
    style: str
    tempo: float  # beats per minute
    source: str
    fingerprint: str  # of the task that made it: its inputs and settings
    solo: bool = False  # whether the follower dances alone
    audio_start: int = 0  # frame of the audio at which the clip begins


class StoreIndex(Config):
    """The contents of `store.json`."""

    format: int = FORMAT
    data_hash: str  # of clips and splits; changes when anything that is learned from changes
    split: SplitConfig
    made_with: dict[str, Any]  # the settings of the preparation
    music: dict[str, Any] | None = None  # what made the features; older stores do not say
    splits: dict[str, Split]  # choreography -> split
    clips: tuple[ClipRecord, ...]


def write_clip(folder: Path, clip: DuetClip, fingerprint: str = "") -> ClipRecord:
    """Write the arrays and the audio of `clip` under `folder` and return its record.

    Raises:
        InputError: the name of the clip cannot be a file name.
    """
    if not clip.name or Path(clip.name).name != clip.name or clip.name.startswith("."):
        raise InputError(f"{clip.name!r} cannot name a clip; use letters, digits, - and _")
    buffer = io.BytesIO()
    np.savez(buffer, **to_arrays(clip))  # type: ignore[arg-type]
    payload = buffer.getvalue()
    with atomic_path(folder / CLIPS / f"{clip.name}.npz") as temporary:
        temporary.write_bytes(payload)
    return ClipRecord(
        name=clip.name,
        choreography=clip.choreography,
        frames=clip.frames,
        sha256=hashlib.sha256(payload).hexdigest(),
        audio=_keep_audio(folder, clip),
        music_source=clip.music_source,
        style=clip.style,
        tempo=clip.tempo,
        source=clip.source,
        fingerprint=fingerprint,
        solo=clip.solo,
        audio_start=clip.audio_start,
    )


def read_clip(folder: Path, record: ClipRecord, audio: Path | None, music: MusicFacts) -> DuetClip:
    """Return the clip that `record` describes.

    Raises:
        InputError: its file is not the one that was written.
    """
    file = folder / CLIPS / f"{record.name}.npz"
    try:
        payload = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); prepare it again") from error
    if hashlib.sha256(payload).hexdigest() != record.sha256:
        raise InputError(
            f"{file} is not what was written there (its hash differs); prepare the store again"
        )
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} is no clip ({error}); prepare the store again") from error
    return from_arrays(
        values,
        name=record.name,
        choreography=record.choreography,
        audio=audio,
        music_source=record.music_source,
        style=record.style,
        tempo=record.tempo,
        source=record.source,
        music_facts=music,
        solo=record.solo,
        audio_start=record.audio_start,
    )


def write_index(
    folder: Path,
    records: Sequence[ClipRecord],
    split: SplitConfig,
    made_with: Mapping[str, Any],
    known: Mapping[str, Split] | None = None,
    music: MusicFacts | None = None,
) -> None:
    """Write `store.json`, the last thing that makes a folder a store.

    Raises:
        InputError: no clips, or two of one name.
    """
    twice = [name for name, n in Counter(record.name for record in records).items() if n > 1]
    if twice or not records:
        raise InputError(
            f"two clips are called {twice[0]!r}; names must differ"
            if twice
            else "no clips to store"
        )
    ordered = tuple(sorted(records, key=lambda record: record.name))
    styles = {record.choreography: record.style for record in ordered}
    splits = split_choreographies(styles, split, known)
    index = StoreIndex(
        data_hash=_hash(ordered, splits),
        split=split,
        made_with=dict(made_with),
        music=None if music is None else dict(music),
        splits=dict(sorted(splits.items())),
        clips=ordered,
    )
    with atomic_path(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(index.model_dump(mode="json"), indent=1) + "\n")


def read_index(path: Path) -> StoreIndex:
    """Return what the index of a store says.

    Raises:
        InputError: there is none, it is of another version, or it was changed by hand.
    """
    file = path / INDEX
    if not file.is_file():
        raise InputError(f"{path} is no store: it has no {INDEX}; make one with `duet-rl prepare`")
    try:
        values = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}); prepare the store again") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{file} has the format {found}; this version reads {FORMAT}: prepare the store again"
        )
    index = validate(StoreIndex, values, source=str(file))
    if _hash(index.clips, index.splits) != index.data_hash:
        raise InputError(
            f"{file} was edited after it was written (its hash differs); prepare the store again"
        )
    return index


def _hash(records: Sequence[ClipRecord], splits: Mapping[str, Split]) -> str:
    """Return a hash of what is learned from; names of sources and folders do not count."""
    rows = [
        [r.name, r.choreography, splits.get(r.choreography, ""), r.sha256, r.style] for r in records
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _keep_audio(folder: Path, clip: DuetClip) -> str | None:
    """Copy the audio of `clip` under `folder` and return its file name."""
    if clip.audio is None:
        return None
    kept = folder / AUDIO / f"{clip.name}{clip.audio.suffix}"
    if not kept.exists() or not os.path.samefile(clip.audio, kept):
        with atomic_path(kept) as temporary:
            shutil.copyfile(clip.audio, temporary)
    return kept.name
