"""Dances for the published protocols: the files of the original programs, or ours in their axes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.features import BEAT
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.dd100 import DD100Config
from duet_rl.datasets.dd100_export import Axes, axes_of, in_axes
from duet_rl.datasets.dd100_files import SUFFIX, SmplxFile
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import require_folder
from duet_rl.metrics.motion_features import FEATURE_JOINTS, FEWEST_FRAMES, joints_of_smpl
from duet_rl.mocap.npz import read_npz
from duet_rl.pickles import load_object_npy

BAILANDO_FPS = 60.0  # of AIST++, whose scripts count in frames; Duolando's is ours
LENGTH_GAP = 120  # frames by which dancers of a take may differ: a Duolando GPT ends 116 early

_MOTION = ("motion/pos3d/all", "data/motion/pos3d/all", "pos3d/all", "all")
_MUSIC = ("music/feature/all", "data/music/feature/all")
_GENERATED = ("npy/pos3d", "pos3d", "")  # in the folder of an evaluation; epochs lie below
_SHOWN = 6  # names in an error before "and n more"

Beats = Bool[Tensor, "T_music"]


@dataclass(frozen=True, eq=False)
class PublishedDance:
    """A dance as the original programs read it."""

    name: str
    follower: Float[Tensor, "T J 3"]  # the soloist, where there is no couple
    leader: Float[Tensor, "T_leader J 3"] | None
    beats: Beats | None  # of the music, frame by frame; may be longer than the dance
    couple: Callable[[], Duet] | None = None  # with rotations, for bodies with a surface


@dataclass(frozen=True)
class DanceSet:
    """Dances by name, each read when it is its turn."""

    where: str
    names: tuple[str, ...]
    read: Callable[[str], PublishedDance]


@dataclass(frozen=True)
class BeatSet:
    """Where the beats of the music come from."""

    names: frozenset[str]
    where: str
    read: Callable[[str], Beats]

    def require(self, names: Iterable[str]) -> "BeatSet":
        """Return the same if every name has music, else raise `InputError`."""
        if missing := sorted(set(names) - self.names):
            raise InputError(f"{self.where} has no music for {listed(missing)}; add NAME.npy of it")
        return self


def couples_in_files(folder: Path, beats: BeatSet | None, models: Path | None = None) -> DanceSet:
    """Return Duolando's dances: `TAKE_00.npy` (follower) and `TAKE_01.npy`, 55 joints, metres.

    Args:
        folder: of the joints, or above it as the original's evaluation lays it out.
        beats: of their music, if known.
        models: the body models; with them, takes whose SMPL-X parameters lie beside can be given
            a surface.

    Raises:
        InputError: no dances, a dancer alone, a file of another name, or no music for one.
    """
    folder = _joints_folder(folder)
    files = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    suffixes = {role: f"_{number}" for role, number in SUFFIX.items()}
    strange = [stem for stem in files if not stem.endswith(tuple(suffixes.values()))]
    if strange:
        raise InputError(
            f"{folder} holds {listed(strange)}; wanted TAKE_00.npy (follower) and TAKE_01.npy "
            "(leader) alone: move the others away"
        )
    names = sorted({stem[:-3] for stem in files})
    alone = [name for name in names for end in suffixes.values() if name + end not in files]
    if alone:
        raise InputError(
            f"in {folder} {listed(alone)} lack one of the two dancers; wanted TAKE_00.npy "
            "(follower) and TAKE_01.npy (leader) of each"
        )
    told = None if beats is None else beats.require(names)
    parameters = _parameters_beside(folder, models)

    def read(name: str) -> PublishedDance:
        follower, leader = (
            read_joints(files[name + suffixes[role]], NUM_JOINTS) for role in ("follower", "leader")
        )
        _require_one_take(name, len(follower), len(leader))
        couple = None
        if parameters is not None and models is not None:
            couple = partial(_couple_of, parameters, name, models)
        return PublishedDance(name, follower, leader, _told(told, name), couple)

    return DanceSet(str(folder), tuple(names), read)


def soloists_in_files(folder: Path, beats: BeatSet | None) -> DanceSet:
    """Return Bailando's dances: `NAME.npy`, 24 joints at 60 frames a second, metres.

    Raises:
        InputError: no dances, or no music for one.
    """
    files = {path.stem: path for path in sorted(require_folder(folder, "dances").glob("*.npy"))}
    if not files:
        raise InputError(f"{folder} has no dances; wanted NAME.npy of (T, {3 * FEATURE_JOINTS})")
    told = None if beats is None else beats.require(files)

    def read(name: str) -> PublishedDance:
        joints = read_joints(files[name], FEATURE_JOINTS)
        return PublishedDance(name, joints, None, _told(told, name))

    return DanceSet(str(folder), tuple(files), read)


def couples_of(store: DuetStore, dances: Mapping[str, Path] | None = None) -> DanceSet:
    """Return the couples of a store in the axes of DD100's files, or its leaders with other dances.

    Args:
        store: all its clips are the reference, as the original's are, whatever their split.
        dances: clip -> the follower's motion (.npz); None: the true partners.
    """
    axes = axes_of(store, DD100Config())

    def read(name: str) -> PublishedDance:
        clip = store.clip(name)
        follower = clip.duet.follower if dances is None else _ours(dances[name])
        _require_one_take(name, follower.frames, clip.frames)
        shared = min(follower.frames, clip.frames)

        def couple() -> Duet:
            pair = (clip.duet.leader, follower)
            return Duet(*(in_axes(motion.slice(0, shared), axes) for motion in pair))

        ours, theirs = (_joints_in(axes, motion) for motion in (follower, clip.duet.leader))
        return PublishedDance(name, ours, theirs, clip.beats, couple)

    return DanceSet(str(store.path), _names(store, dances), read)


def soloists_of(store: DuetStore, dances: Mapping[str, Path] | None = None) -> DanceSet:
    """Return the followers of a store as Bailando reads dancers: 24 joints, 60 frames a second.

    Args:
        store: as `couples_of`.
        dances: as `couples_of`.
    """

    def read(name: str) -> PublishedDance:
        clip = store.clip(name)
        follower = clip.duet.follower if dances is None else _ours(dances[name])
        _require_one_take(name, follower.frames, clip.frames)
        step = round(BAILANDO_FPS / FPS)
        beats = torch.zeros(step * clip.frames, dtype=torch.bool)
        beats[::step] = clip.beats
        joints = joints_of_smpl(follower.resample(BAILANDO_FPS).joints)
        return PublishedDance(name, joints, None, beats)

    return DanceSet(str(store.path), _names(store, dances), read)


def beats_in_files(folder: Path) -> BeatSet:
    """Return the beats of music features `NAME.npy`, whose column 53 is 1 on a beat.

    Raises:
        InputError: no such folder, or no features in it.
    """
    files = {path.stem: path for path in sorted(require_folder(folder, "music").glob("*.npy"))}
    if not files:
        raise InputError(f"{folder} has no music features; wanted NAME.npy of (T, {BEAT + 1})")
    return BeatSet(frozenset(files), str(folder), lambda name: _read_beats(files[name]))


def beats_of(store: DuetStore) -> BeatSet:
    """Return the beats of the music of a store's clips."""
    names = frozenset(record.name for record in store.records())
    return BeatSet(names, str(store.path), lambda name: store.clip(name).beats)


def reference_folder(root: Path) -> Path:
    """Return the folder of a data set's joints, given it or the root of the data set."""
    return _first(root, _MOTION) or require_folder(root, "the reference")


def music_folder(root: Path) -> Path | None:
    """Return the folder of a data set's music features, given its root, if there is one."""
    return _first(root, _MUSIC)


def motions_in(folder: Path) -> dict[str, Path]:
    """Return the motions of ours (`CLIP.npz`) in a folder, by name."""
    return {path.stem: path for path in sorted(require_folder(folder, "dances").glob("*.npz"))}


def read_joints(path: Path, joints: int) -> Float[Tensor, "T J 3"]:
    """Return positions from a table of (T, 3 J), (1, T, 3 J) or (T, J, 3), in its own precision.

    Raises:
        InputError: another kind of file or shape, damaged, too few frames, or NaN.
    """
    table = _numbers(path)
    if table.ndim == 3 and table.shape[0] == 1 and table.shape[2] == 3 * joints:
        table = table[0]
    if table.shape[1:] not in ((3 * joints,), (joints, 3)) or len(table) < FEWEST_FRAMES:
        raise InputError(
            f"{path} has the shape {table.shape}; wanted (T, {3 * joints}) or (T, {joints}, 3) "
            f"with at least {FEWEST_FRAMES} frames: positions of {joints} joints in metres"
        )
    return torch.from_numpy(np.ascontiguousarray(table)).reshape(len(table), joints, 3)


def listed(names: Iterable[str]) -> str:
    """Return names in a row, the first of many."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _numbers(path: Path) -> np.ndarray:
    table = load_object_npy(path)
    if not isinstance(table, np.ndarray) or not np.issubdtype(table.dtype, np.floating):
        kind = table.dtype if isinstance(table, np.ndarray) else type(table).__name__
        raise InputError(f"{path} holds {kind}; wanted a table of floating-point numbers")
    if table.ndim < 2 or not np.isfinite(table).all():
        wrong = "NaN or infinity" if table.ndim >= 2 else f"an array of shape {table.shape}"
        raise InputError(f"{path} holds {wrong}; wanted a finite row for every frame: repair it")
    return table if table.dtype in (np.float32, np.float64) else table.astype(np.float32)


def _read_beats(path: Path) -> Beats:
    table = _numbers(path)
    if table.ndim != 2 or table.shape[1] <= BEAT:
        raise InputError(
            f"{path} has the shape {table.shape}; wanted music features (T, {BEAT + 1}) or wider, "
            f"with the beats in column {BEAT}"
        )
    return torch.from_numpy(table[:, BEAT] > 0)


def _told(beats: BeatSet | None, name: str) -> Beats | None:
    return None if beats is None else beats.read(name)


def _joints_folder(folder: Path) -> Path:
    require_folder(folder, "dances")
    if any(folder.glob("*.npy")):
        return folder
    for below in _GENERATED:
        epochs = sorted(path for path in (folder / below).glob("ep*") if path.is_dir())
        if len(epochs) > 1:
            raise InputError(
                f"{folder / below} has {len(epochs)} evaluations, {listed(p.name for p in epochs)};"
                " give the folder of one"
            )
        if epochs and any(epochs[0].glob("*.npy")):
            return epochs[0]
    raise InputError(
        f"{folder} has no dances; wanted TAKE_00.npy (follower) and TAKE_01.npy (leader), or our "
        "CLIP.npz beside a store (--data)"
    )


def _parameters_beside(folder: Path, models: Path | None) -> Path | None:
    """Return the folder of the SMPL-X parameters that belong to a folder of joints."""
    if models is None:
        return None
    if folder.parent.name == "pos3d":
        for found in (
            folder.parent.parent / folder.name,
            folder.parents[1] / "smplx" / folder.name,
        ):
            if found.is_dir():
                return found
    return None


def _couple_of(parameters: Path, name: str, models: Path) -> Duet:
    leader, follower = (
        SmplxFile(parameters / f"{name}_{SUFFIX[role]}.npy", models).read(role)
        for role in ("leader", "follower")
    )
    shared = min(leader.frames, follower.frames)
    return Duet(leader.slice(0, shared), follower.slice(0, shared))


def _names(store: DuetStore, dances: Mapping[str, Path] | None) -> tuple[str, ...]:
    known = sorted(record.name for record in store.records())
    if dances is None:
        return tuple(known)
    strange = sorted(set(dances) - set(known))
    if strange:
        raise InputError(
            f"the store {store.path} has no clips {listed(strange)}, for which there are dances; "
            "name each dance after its clip, or give the store that it was made for"
        )
    return tuple(sorted(dances))


def _ours(path: Path) -> Motion:
    motion = read_npz(path).resample(FPS)
    if motion.frames < FEWEST_FRAMES:
        raise InputError(f"{path} has {motion.frames} frames; at least {FEWEST_FRAMES} are wanted")
    return motion


def _joints_in(axes: Axes, motion: Motion) -> Float[Tensor, "T 55 3"]:
    return in_axes(motion, axes).joints


def _require_one_take(name: str, follower: int, leader: int) -> None:
    if abs(follower - leader) > LENGTH_GAP:
        raise InputError(
            f"the follower of {name} has {follower} frames and the leader {leader}; dancers of one "
            f"take differ by {LENGTH_GAP} frames at most: pair files of one take"
        )


def _first(root: Path, folders: Iterable[str]) -> Path | None:
    found = (root / folder for folder in folders)
    return next((folder for folder in found if folder.is_dir()), None)
