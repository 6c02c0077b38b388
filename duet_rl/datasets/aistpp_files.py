"""The files of AIST++: dances as SMPL parameters, the authors' splits, and numbered songs."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import NUM_SMPL_JOINTS
from duet_rl.datasets.split import Split
from duet_rl.errors import InputError, listed
from duet_rl.files import require_file
from duet_rl.pickles import load_pickle

OFFICIAL_SPLITS: tuple[Split, ...] = ("train", "val", "test")
IGNORED = "ignore_list.txt"
GENRES = {
    "BR": "break",
    "PO": "pop",
    "LO": "lock",
    "MH": "middle_hip_hop",
    "LH": "la_hip_hop",
    "HO": "house",
    "WA": "waack",
    "KR": "krump",
    "JS": "street_jazz",
    "JB": "ballet_jazz",
}

# GENRE_SITUATION_CAMERA_DANCER_MUSIC_CHOREOGRAPHY
_NAME = re.compile(r"g([A-Z]{2})_s[A-Z]+_c[^_]+_d\d+_(m[A-Z]+\d+)_ch\d+")
_TOPS = (".", "aist_plusplus_final", "annotations")  # where motions/ and splits/ may lie
_MUSIC = ("music", "musics", "wav", "wavs", "all_musics")
_AUDIO_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AistSequence:
    """One dance of the data set: its file of 60 frames a second, its song, and its split."""

    name: str
    motion: Path
    music: Path
    split: Split

    @property
    def style(self) -> str:
        """Return the genre, in words where they are known."""
        code = self.name[1:3]
        return GENRES.get(code, code)


class Parameters(NamedTuple):
    """A dance as its file has it, with the scale taken out."""

    poses: Float[Tensor, "T 24 3"]  # axis-angles, rad
    transl: Float[Tensor, "T 3"]  # m


def find_sequences(
    root: Path, music: Path | None = None, val_is_test: bool = False, skip_bad: bool = False
) -> list[AistSequence]:
    """Return the sequences that the authors' splits name, by name, but for those they ignore.

    Args:
        root: folder with `motions/`, `splits/` and `ignore_list.txt`.
        music: folder of the songs; None looks for one in `root`.
        val_is_test: put the validation split into the test split, as Bailando does.
        skip_bad: leave out sequences that lack motion or music, and say so, instead of stopping.

    Raises:
        InputError: no such folders or lists, a sequence in two splits or of no known form of name,
            or one that lacks its motion or its song.
    """
    top = _top(root)
    ignored = set(_listed(top / IGNORED, top / "splits" / IGNORED))
    splits = _splits(top / "splits")
    songs = _songs(music or _music_folder(root, top))
    found, lacks = [], []
    for name in sorted(splits.keys() - ignored):
        motion, song = top / "motions" / f"{name}.pkl", songs.get(music_of(name))
        if song is None or not motion.is_file():
            lacks.append(
                f"{name} ({f'no music {music_of(name)}' if song is None else 'no motion'})"
            )
            continue
        split: Split = "test" if val_is_test and splits[name] == "val" else splits[name]
        found.append(AistSequence(name, motion, song, split))
    _tell_lacks(root, lacks, len(splits.keys() - ignored), skip_bad and bool(found))
    _tell_others(top / "motions", splits.keys() | ignored)
    return found


def music_of(name: str) -> str:
    """Return the number of the song that a sequence is danced to, its fifth field.

    Raises:
        InputError: the name is none of AIST++.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"{name!r} is no sequence of AIST++, such as gBR_sBM_cAll_d04_mBR0_ch01; mend the "
            "lists in splits/"
        )
    return match[2]


def read_parameters(path: Path) -> Parameters:
    """Return the dance in a file of `motions/`; nothing in it is run.

    Raises:
        InputError: another kind of file, wrong shapes, NaN, or a scale that is none.
    """
    values = load_pickle(path, "a motion of AIST++")
    scale = _table(path, values, "smpl_scaling", ())
    if scale.size != 1 or not scale.item() > 0:
        raise InputError(f"{path}: smpl_scaling is {scale.tolist()}; wanted one number above 0")
    poses = _table(path, values, "smpl_poses", (3 * NUM_SMPL_JOINTS,))
    transl = _table(path, values, "smpl_trans", (3,))
    if len(poses) != len(transl):
        raise InputError(
            f"{path} has {len(poses)} frames of smpl_poses and {len(transl)} of smpl_trans; fetch "
            "it again"
        )
    return Parameters(
        torch.from_numpy(poses).unflatten(1, (NUM_SMPL_JOINTS, 3)),
        torch.from_numpy(transl / scale.item()),
    )


def _table(
    path: Path, values: Mapping[str, Any], name: str, shape: tuple[int, ...]
) -> Float[np.ndarray, "..."]:
    """Return one of the parameters as (frames, *shape), and a shape of none as it is."""
    if name not in values:
        raise InputError(f"{path} has no {name}; it has {', '.join(map(str, values))}")
    array = np.asarray(values[name])
    if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
        raise InputError(f"{path}: {name} holds NaN or no numbers; leave the sequence out")
    if shape:
        flat = array.reshape(len(array), -1) if array.ndim > 1 and len(array) else array
        if flat.shape[1:] != shape:
            wanted = f"(frames, {', '.join(map(str, shape))})"
            raise InputError(f"{path}: {name} has the shape {array.shape}; wanted {wanted}")
        array = flat
    return array.astype(np.float64)


def _top(root: Path) -> Path:
    """Return the folder that has `motions` and `splits`."""
    for name in _TOPS:
        if (root / name / "motions").is_dir() and (root / name / "splits").is_dir():
            return root / name
    raise InputError(
        f"{root} has no folders motions/ and splits/; give the folder of the annotations of AIST++"
    )


def _splits(folder: Path) -> dict[str, Split]:
    """Return sequence -> the authors' split."""
    splits: dict[str, Split] = {}
    for split in OFFICIAL_SPLITS:
        for name in _listed(folder / f"crossmodal_{split}.txt"):
            if splits.get(name, split) != split:
                raise InputError(
                    f"{name} is in the splits {splits[name]} and {split} of {folder}; fetch the "
                    "lists again"
                )
            music_of(name)
            splits[name] = split
    return splits


def _listed(*paths: Path) -> list[str]:
    """Return the names in the first of the lists that is there."""
    path = next((path for path in paths if path.is_file()), paths[0])
    require_file(path, "a list of AIST++'s sequences")
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def _music_folder(root: Path, top: Path) -> Path:
    for folder in (*(root / name for name in _MUSIC), *(top / name for name in _MUSIC)):
        if folder.is_dir():
            return folder
    raise InputError(
        f"{root} has no folder of songs ({', '.join(_MUSIC)}) with mBR0.wav and the others; give "
        "one with --music"
    )


def _songs(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder of the songs")
    files = sorted(folder.rglob("*"), reverse=True)  # a wav wins over an mp3 of one name
    return {file.stem: file for file in files if file.suffix.lower() in _AUDIO_SUFFIXES}


def _tell_lacks(root: Path, lacks: Sequence[str], total: int, go_on: bool) -> None:
    if not lacks:
        return
    told = f"{len(lacks)} of {total} sequences in {root} are not whole: {listed(lacks)}"
    if not go_on:
        raise InputError(f"{told}; add the files, or set prepare.skip_bad=true")
    logger.warning("%s; left out", told)


def _tell_others(folder: Path, named: Iterable[str]) -> None:
    """Say how many motions are in no split: nobody trains on them or measures by them."""
    others = {file.stem for file in folder.glob("*.pkl")} - set(named)
    if others:
        logger.info("%d motions in %s are in no split and are left out", len(others), folder)
