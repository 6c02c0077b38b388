"""Where the takes of DD100 lie: files of one name belong together, wherever they are."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duet_rl.datasets.dd100_files import SUFFIX, JointFiles, SmplxFile
from duet_rl.errors import InputError, listed
from duet_rl.files import atomic_path, sha256_of

CHECKSUMS = "inputs.sha256"  # in a store: `sha256sum -c` reads it in the folder of the data set

_AUDIO_SUFFIXES = (".mp3", ".wav", ".flac", ".ogg")
_SPLIT_FOLDERS = ("all", "train", "test", ".")  # takes lie in any of these
_TAKE = re.compile(r"([^_]+_(\d+)(?:_.+)?)_(00|01)")  # GENRE_CHOREOGRAPHY_TAKE_DANCER

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Take:
    """The files of one take; `audio` is there to be heard, `music` to be danced to."""

    name: str
    leader: SmplxFile | JointFiles
    follower: SmplxFile | JointFiles
    music: Path
    audio: Path | None

    @property
    def genre(self) -> str:
        return self.name.split("_")[0]

    @property
    def choreography(self) -> str:
        """Return `GENRE_NUMBER`, by which the data set is split."""
        return "_".join(self.name.split("_")[:2])

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Return the files that the clip is made of."""
        heard = [] if self.audio is None or self.audio == self.music else [self.audio]
        return (*self.leader.paths, *self.follower.paths, self.music, *heard)


def find_takes(
    root: Path, music_tables: bool, models: Path | None = None, skip_bad: bool = False
) -> list[Take]:
    """Return the takes under `root`, by name.

    Motion lies in `motion/smplx`, or in `motion/pos3d` and `motion/rotmat`, music in `music/mp3`
    or `music/feature`; each holds its files, or folders `all`, `train` and `test` of them. All
    this may lie in a folder `data`, and `motion` and `music` may be left out.

    Args:
        root: folder of the data set.
        music_tables: take the authors' music features instead of the music.
        models: folder of the body models, to read `smplx`; None reads `pos3d` and `rotmat`.
        skip_bad: leave out takes that are not whole, and say so, instead of stopping.

    Raises:
        InputError: no takes, a take without leader, follower or music, or two files of one name
            that differ.
    """
    heard = _files(root, ("music/mp3", "mp3", "music"), _AUDIO_SUFFIXES)
    music = _files(root, ("music/feature", "feature"), (".npy",)) if music_tables else heard
    kinds = ("smplx",) if models is not None else ("pos3d", "rotmat")
    motion = [_files(root, _motion_folders(kind), (".npy",)) for kind in kinds]
    names = sorted({match[1] for found in motion for match in map(_TAKE.fullmatch, found) if match})
    if not names:
        raise InputError(
            f"{root} has no takes GENRE_NUMBER_TAKE_00.npy and _01.npy in "
            f"{' or '.join(f'motion/{kind}' for kind in kinds)}; give the folder that has them"
        )
    takes, lacks = [], []
    for name in names:
        missing = [
            f"no {role} in {kind}"
            for role, suffix in SUFFIX.items()
            for kind, found in zip(kinds, motion, strict=True)
            if f"{name}_{suffix}" not in found
        ]
        if name not in music:
            missing.append("no music")
        if missing:
            lacks.append(f"{name} ({', '.join(missing)})")
            continue
        dancers = {
            role: _dancer([found[f"{name}_{suffix}"] for found in motion], models)
            for role, suffix in SUFFIX.items()
        }
        takes.append(Take(name, **dancers, music=music[name], audio=heard.get(name)))
    _tell_lacks(root, lacks, len(names), skip_bad and bool(takes))
    return takes


def checksums(takes: Iterable[Take]) -> dict[Path, str]:
    """Return the SHA-256 of every file that the takes are made of."""
    return {path: sha256_of(path) for take in takes for path in take.inputs}


def write_checksums(folder: Path, root: Path, sums: Mapping[Path, str]) -> Path:
    """Write the checksums of the inputs into `folder`, as `sha256sum` writes them.

    Those of inputs that have gone since, whose takes the store still has, stay.
    """
    file = folder / CHECKSUMS
    known = {}
    if file.is_file():
        known = dict(line.split("  ", 1)[::-1] for line in file.read_text().splitlines())
    known |= {path.relative_to(root).as_posix(): value for path, value in sums.items()}
    lines = sorted(f"{value}  {name}" for name, value in known.items())
    with atomic_path(file) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    return file


def _motion_folders(kind: str) -> tuple[str, ...]:
    alone = ("motion", ".") if kind == "smplx" else ()  # no other files have these names
    return (f"motion/{kind}", kind, *alone)


def _files(root: Path, folders: Sequence[str], suffixes: Sequence[str]) -> dict[str, Path]:
    """Return stem -> file of the first of `folders` that has any, split folders put together.

    Raises:
        InputError: two files of one name differ.
    """
    for top in (root, root / "data"):
        for folder in folders:
            if found := _gathered(_listed(top / folder, suffixes)):
                return found
    return {}


def _listed(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    for split in _SPLIT_FOLDERS:
        if (folder / split).is_dir():
            for path in sorted((folder / split).iterdir()):
                if path.suffix.lower() in suffixes and path.is_file():
                    yield path


def _gathered(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        first = found.setdefault(path.stem, path)
        if first != path and sha256_of(first) != sha256_of(path):
            raise InputError(
                f"{first} and {path} have one name and differ; keep the one that is right"
            )
    return found


def _dancer(paths: Sequence[Path], models: Path | None) -> SmplxFile | JointFiles:
    return JointFiles(*paths) if models is None else SmplxFile(paths[0], models)


def _tell_lacks(root: Path, lacks: Sequence[str], total: int, go_on: bool) -> None:
    if not lacks:
        return
    told = f"{len(lacks)} of {total} takes in {root} are not whole: {listed(lacks)}"
    if not go_on:
        raise InputError(
            f"{told}; fetch the missing files, or set prepare.skip_bad=true to go on without them"
        )
    logger.warning("left out %s", told)
