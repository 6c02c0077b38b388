"""A store of clips: one folder, versioned, hashed, split by choreography."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from duet_rl.audio.provenance import UNSTATED, MusicFacts, are_equal, describe
from duet_rl.config import Config, validate
from duet_rl.datasets.clip import FPS, DuetClip, MusicSource, from_arrays, to_arrays
from duet_rl.datasets.split import SPLITS, Split, SplitConfig, split_choreographies
from duet_rl.errors import InputError
from duet_rl.files import atomic_path

FORMAT = 1  # raised when an older reader could misread a newer store
INDEX = "store.json"
CLIPS = "clips"
AUDIO = "audio"
SWAPPED = "swapped"  # in `made_with`: whether the roles of the couples were exchanged


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


class DuetStore:
    """Clips on disk. `open` an existing store; `create` or `prepare` makes one."""

    def __init__(self, path: Path, index: StoreIndex) -> None:
        self.path = path
        self.index = index

    @classmethod
    def open(cls, path: Path | str) -> "DuetStore":
        """Return the store at `path` after checking version, hash and that its files are there.

        Raises:
            InputError: there is no store, it has another version, or files are missing or were
                changed. The contents of a clip are checked when it is loaded.
        """
        path = Path(path)
        index = _read_index(path)
        missing = [
            str(path / CLIPS / f"{record.name}.npz")
            for record in index.clips
            if not (path / CLIPS / f"{record.name}.npz").is_file()
        ]
        if missing:
            raise InputError(
                f"the store {path} lacks {len(missing)} of its {len(index.clips)} clips, the first "
                f"is {missing[0]}; prepare it again"
            )
        return cls(path, index)

    @classmethod
    def create(
        cls,
        path: Path | str,
        clips: Iterable[DuetClip],
        split: SplitConfig | None = None,
        made_with: Mapping[str, Any] | None = None,
        music: MusicFacts | None = None,
    ) -> "DuetStore":
        """Write `clips` as a new store, whole or not at all.

        Args:
            path: folder of the store.
            clips: of one extractor of music features.
            split: how choreographies are split.
            made_with: settings, for the record.
            music: what made the features; None: what the clips say, if they do.

        Raises:
            InputError: something is at `path` already, two clips share a name, or their music
                features are of different extractors.
        """
        path = Path(path)
        refuse_existing(path)
        with atomic_path(path) as temporary:
            records = []
            for clip in clips:
                music = music or clip.music_facts
                _require_equal_music(clip, music)
                records.append(write_clip(temporary, clip))
            write_index(temporary, records, split or SplitConfig(), made_with or {}, music=music)
        return cls.open(path)

    def append(self, clips: Iterable[DuetClip]) -> "DuetStore":
        """Add `clips` and return the grown store; clips that are there keep their split.

        Raises:
            InputError: a clip of that name is there already, or its music features are of
                another extractor.
        """
        known, records = {record.name for record in self.index.clips}, []
        for clip in clips:
            if clip.name in known:
                raise InputError(
                    f"the store {self.path} has a clip {clip.name!r} already; names must differ"
                )
            known.add(clip.name)
            self.require_alike(clip.name, clip.solo)
            _require_equal_music(clip, self.music)
            records.append(write_clip(self.path, clip))
        return self.adopt(records)

    def adopt(
        self, records: Sequence[ClipRecord], given: Mapping[str, Split] | None = None
    ) -> "DuetStore":
        """Return the store with `records`, whose files are in its folders already, added.

        Args:
            records: of the new clips.
            given: choreography -> split, of those that are new; the others keep theirs.
        """
        index = self.index
        everyone = [*index.clips, *records]
        known = {**(given or {}), **index.splits}
        write_index(self.path, everyone, index.split, index.made_with, known, index.music)
        return DuetStore.open(self.path)

    def require_alike(self, name: str, solo: bool) -> None:
        """Raise `InputError` if a clip of that name would mix soloists and couples here."""
        if solo != self.solo:
            kinds = {True: "a soloist", False: "a couple"}
            raise InputError(
                f"{name} is {kinds[solo]}, and each dance in the store {self.path} is of "
                f"{kinds[self.solo]}; choose another folder for the new store"
            )

    def require_music(self, facts: MusicFacts) -> None:
        """Raise `InputError` if features with these facts are not as those of the store."""
        if not are_equal(facts, self.music):
            raise InputError(
                f"the store {self.path} has music features of {describe(self.music)}, and these "
                f"would be of {describe(facts)}; set prepare.music.compat="
                f"{self.music.get('compat')}, or choose another folder for the store"
            )

    @property
    def music(self) -> MusicFacts:
        """What made the music features of all clips."""
        return self.index.music or UNSTATED

    @property
    def swapped(self) -> bool:
        """Whether the roles were exchanged: its followers are those who led."""
        return bool(self.index.made_with.get(SWAPPED, False))

    @property
    def hash(self) -> str:
        """A hash of all that is learned from: clips and splits."""
        return self.index.data_hash

    @property
    def solo(self) -> bool:
        """Whether its dancers dance alone.

        Raises:
            InputError: some do and some do not.
        """
        kinds = {record.solo for record in self.index.clips}
        if len(kinds) > 1:
            raise InputError(
                f"the store {self.path} mixes soloists and couples; put them into a store each"
            )
        return kinds == {True}

    def require_couples(self, what: str) -> None:
        """Raise `InputError` if its dancers dance alone; `what` is for whom couples are needed."""
        if self.solo:
            raise InputError(
                f"{self.path} holds soloists, and {what} is about couples; give a store of couples"
            )

    def records(self, split: Split | None = None) -> list[ClipRecord]:
        """Return the records of a split, or of all clips, by name."""
        splits = self.index.splits
        return [r for r in self.index.clips if split is None or splits[r.choreography] == split]

    def clips(self, split: Split | None = None) -> list[DuetClip]:
        """Return the clips of a split, or all of them, by name.

        Raises:
            InputError: a clip file is damaged or was changed, or the split is none of ours.
        """
        if split is not None and split not in SPLITS:
            raise InputError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
        return [self._load(record) for record in self.records(split)]

    def clip(self, name: str) -> DuetClip:
        """Return one clip.

        Raises:
            InputError: the store has no clip of that name, or its file is damaged.
        """
        found = {record.name: record for record in self.index.clips}
        if name not in found:
            raise InputError(f"the store {self.path} has no clip {name!r}; it has {sorted(found)}")
        return self._load(found[name])

    def summary(self) -> str:
        """Return one line: how many clips and minutes, and how they are split."""
        minutes = sum(record.frames for record in self.index.clips) / FPS / 60
        counts = Counter(self.index.splits[record.choreography] for record in self.index.clips)
        told = [
            split for split in SPLITS if counts[split] or split != "rl"
        ]  # rl is rarely asked for
        shares = ", ".join(f"{counts[split]} {split}" for split in told)
        return f"{len(self.index.clips)} clips, {minutes:.1f} min ({shares})"

    def _load(self, record: ClipRecord) -> DuetClip:
        audio = None if record.audio is None else self.path / AUDIO / record.audio
        return read_clip(self.path, record, audio, self.music)


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


def refuse_existing(path: Path) -> None:
    """Raise `InputError` if something is at `path` that a store would overwrite."""
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise InputError(f"{path} exists already; choose another folder or remove it")


def _read_index(path: Path) -> StoreIndex:
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


def _require_equal_music(clip: DuetClip, music: MusicFacts | None) -> None:
    if clip.music_facts is not None and not are_equal(clip.music_facts, music or UNSTATED):
        raise InputError(
            f"the music features of clip {clip.name!r} are of {describe(clip.music_facts)}, those "
            f"of the store of {describe(music or UNSTATED)}; prepare the clip anew for this store"
        )


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
