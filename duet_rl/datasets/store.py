"""A store of clips: one folder, versioned, hashed, split by choreography."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duet_rl.audio.provenance import UNSTATED, MusicFacts, are_equal, describe
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.split import SPLITS, Split, SplitConfig
from duet_rl.datasets.store_files import (
    AUDIO,
    CLIPS,
    ClipRecord,
    StoreIndex,
    read_clip,
    read_index,
    write_clip,
    write_index,
)
from duet_rl.errors import InputError
from duet_rl.files import atomic_path

SWAPPED = "swapped"  # in `made_with`: whether the roles of the couples were exchanged


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
        index = read_index(path)
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


def refuse_existing(path: Path) -> None:
    """Raise `InputError` if something is at `path` that a store would overwrite."""
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise InputError(f"{path} exists already; choose another folder or remove it")


def _require_equal_music(clip: DuetClip, music: MusicFacts | None) -> None:
    if clip.music_facts is not None and not are_equal(clip.music_facts, music or UNSTATED):
        raise InputError(
            f"the music features of clip {clip.name!r} are of {describe(clip.music_facts)}, those "
            f"of the store of {describe(music or UNSTATED)}; prepare the clip anew for this store"
        )
