"""What the words of the command line name: a store, runs that dance its clips, or files."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duet_rl.body.motion import Motion
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import INDEX
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.mocap.motion_file import log, read_motion
from duet_rl.tokenizers.codec import AnyCodec, load_codec
from duet_rl.viewer.runs import Danced, Run, runs_in
from duet_rl.viewer.takes import (
    TRUE_DANCER,
    TRUTH,
    Couple,
    Take,
    couple_of,
    take_of_clip,
    take_of_files,
)
from duet_rl.viewer.tokens import TokenRows, encoded

_KEPT = 32  # dances that are kept, so that a clip looked at again is there at once
_DATA = ("data", "../data")  # where a whole run, or a part of it, may have the store it is of
_ORDER = {"test": 0, "val": 1, "rl": 2, "train": 3}  # who looks at runs looks at these first
_KNOWN = (".bvh", ".npz", ".npy")


@dataclass(eq=False)
class Hall:
    """Takes to choose from, and who dances them.

    Args:
        store: whose clips are shown; None: `files` are.
        runs: that dance the clips.
        own_codec: of the tokens of true partners; None: that of the first run that has one.
        files: the one take that files make.
        seed: of the dances.
    """

    store: DuetStore | None
    runs: Sequence[Run] = ()
    own_codec: AnyCodec | None = None
    files: Take | None = None
    seed: int = 0
    _danced: "OrderedDict[tuple[str, str], Danced | None]" = field(default_factory=OrderedDict)

    @property
    def names(self) -> tuple[str, ...]:
        """The takes, by split and name."""
        if self.store is None:
            assert self.files is not None
            return (self.files.name,)
        splits = self.store.index.splits
        records = sorted(
            self.store.records(),
            key=lambda record: (_ORDER.get(splits[record.choreography], 9), record.name),
        )
        return tuple(record.name for record in records)

    @property
    def title(self) -> str:
        """One line about all of it."""
        if self.store is None:
            return self.names[0]
        return f"{self.store.path.resolve().name}: {self.store.summary()}"

    @property
    def codec(self) -> AnyCodec | None:
        """What writes the true partners as tokens."""
        if self.own_codec is not None:
            return self.own_codec
        return next((run.codec for run in self.runs if run.codec is not None), None)

    def split_of(self, name: str) -> str:
        """Return the split of a take; nothing for files."""
        if self.store is None:
            return ""
        choreographies = {record.name: record.choreography for record in self.store.records()}
        return self.store.index.splits[choreographies[name]]

    def take(self, name: str) -> Take:
        """Return a take.

        Raises:
            InputError: there is none of that name, or its file is damaged.
        """
        if self.store is not None:
            return take_of_clip(self.store.clip(name))
        assert self.files is not None
        return self.files

    def couples(self, take: Take) -> list[Couple]:
        """Return those who are known without dancing: true partners, the followers of files."""
        if not take.followers:
            return [couple_of(take, "", None, self._tokens(take, None))]
        return [
            couple_of(take, name, motion, self._tokens(take, name))
            for name, motion in take.followers.items()
        ]

    def danced(self, take: Take, run: Run) -> Couple | None:
        """Return a run's dance of a take, or None if it has none; it may take a while."""
        assert take.clip is not None, "only clips are danced"
        key = (take.name, run.name)
        if key not in self._danced:
            self._danced[key] = run.dance(take.clip, self.seed)
        self._danced.move_to_end(key)
        while len(self._danced) > _KEPT:
            self._danced.popitem(last=False)
        danced = self._danced[key]
        return None if danced is None else couple_of(take, run.name, *danced)

    def _tokens(self, take: Take, follower: str | None) -> TokenRows | None:
        codec = self.codec
        if codec is None:
            return None
        if follower is None:
            assert take.leader is not None
            return encoded(codec, None, take.leader)
        return encoded(codec, take.leader, take.followers[follower])


def open_hall(
    words: Iterable[str],
    data: Path | None = None,
    codec: Path | None = None,
    music: Path | None = None,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> Hall:
    """Return what words name.

    Args:
        words: stores, runs (`PATH` or `NAME=PATH`) and motion files.
        data: the store whose clips runs dance; None: the one among the words, or the run's own.
        codec: folder of the codec whose tokens are shown.
        music: for files: the sound from the first frame on.
        seed: of the dances.
        reading: of files: `fps`, `scale` and `up`, where they are not found out.

    Raises:
        InputError: a word that names nothing of the kind, two stores, files beside runs, or runs
            without a store.
    """
    places = _named(words)
    stores = [path for path in places.values() if (path / INDEX).is_file()]
    files = {name: path for name, path in places.items() if path.is_file()}
    folders = {
        name: path for name, path in places.items() if path not in stores and name not in files
    }
    own = None if codec is None else load_codec(codec)
    if files:
        if stores or folders or data is not None:
            raise InputError(
                "files and stores or runs are not shown together; give files alone, or dance "
                "first: `duet-rl generate --leader FILE` writes a file"
            )
        takes = take_of_files(_read(files, reading or {}), _sound(music))
        return Hall(None, (), own, takes, seed)
    if music is not None:
        raise InputError("--music is for files; the clips of a store have their own")
    known = [*stores, *([] if data is None else [data])]
    if len({path.resolve() for path in known}) > 1:
        raise InputError(f"{len(known)} stores: {', '.join(map(str, known))}; give one")
    store = DuetStore.open(known[0] if known else _store_beside(folders))
    alone = len(folders) == 1
    runs = [run for name, path in folders.items() for run in runs_in(path, store, name, alone)]
    if not store.records():
        raise InputError(f"the store {store.path} has no clips to show")
    return Hall(store, runs, own, None, seed)


def _named(words: Iterable[str]) -> dict[str, Path]:
    """Return the places that words name, by a name each."""
    places: dict[str, Path] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or Path(word).exists():
            key, value = "", word
        path = Path(value)
        if not path.exists():
            raise InputError(f"there is no {value}; give a store, the folder of a run, or a file")
        if path.is_file() and path.suffix.lower() not in _KNOWN and path.name != INDEX:
            raise InputError(f"{path} is no motion; wanted {', '.join(_KNOWN)}, or a folder")
        path = path.parent if path.name == INDEX else path
        name = key or (path.name if path.is_file() else path.resolve().name)
        if name in places or name in (TRUTH, TRUE_DANCER):
            raise InputError(f"two of these are called {name!r}; name them: NAME=PATH")
        places[name] = path
    if not places:
        raise InputError("nothing to show; give a store, the folder of a run, or a file")
    return places


def _store_beside(folders: Mapping[str, Path]) -> Path:
    """Return the store that a run has in its own folder."""
    for folder in folders.values():
        for place in (folder / data for data in _DATA):
            if (place / INDEX).is_file():
                return place
    several = ", ".join(str(folder) for folder in folders.values())
    raise InputError(f"no store was named for {several} to dance; give --data STORE")


def _read(files: Mapping[str, Path], reading: Mapping[str, Any]) -> dict[str, Motion]:
    motions = {}
    for name, path in files.items():
        read = read_motion(path, **reading)
        log(read)
        motions[name] = read.motion  # whole: others and the music begin with its first frame
    return motions


def _sound(music: Path | None) -> Path | None:
    return None if music is None else require_file(music, "music")
