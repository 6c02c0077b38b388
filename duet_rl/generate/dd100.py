"""A store, or a follower's dances, as files that the programs of DD100's authors read."""

from collections.abc import Sized
from pathlib import Path

from tqdm import tqdm

from duet_rl.body.motion import Duet
from duet_rl.datasets.dd100_export import Axes, write_dance, write_data_set
from duet_rl.datasets.split import SPLITS, Split
from duet_rl.datasets.store import DuetStore, refuse_existing
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.generate.follower import Follower, dance_clip
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig


def export_takes(
    store: DuetStore,
    out: Path,
    axes: Axes,
    split: Split | None = None,
    models: Path | None = None,
    progress: bool | None = None,
) -> int:
    """Write the true couples of a store as the data set, whole or not at all.

    Args:
        store: the takes.
        out: a new folder.
        axes: of the files.
        split: which takes; None writes all.
        models: folder of the body models; with them SMPL-X parameters are written too.
        progress: whether to show a bar; None: if there is a terminal.

    Returns:
        How many takes were written.

    Raises:
        InputError: something is at `out`, or the split has no takes.
    """
    refuse_existing(out)
    parts: tuple[Split, ...] = SPLITS if split is None else (split,)
    wanted = [(record.name, part) for part in parts for record in store.records(part)]
    _require_takes(store, wanted, split)
    bar = tqdm(wanted, "export", disable=None if progress is None else not progress)
    with atomic_path(out) as folder:
        write_data_set(folder, ((store.clip(name), part) for name, part in bar), axes, models)
    return len(wanted)


def export_dances(
    follower: Follower,
    store: DuetStore,
    out: Path,
    axes: Axes,
    split: Split = "test",
    models: Path | None = None,
    sampling: SamplingConfig = DEFAULT_SAMPLING,
    seed: int = 0,
    original_length: bool = False,
    progress: bool | None = None,
) -> int:
    """Write a follower's dances with the leaders of a split, whole or not at all.

    A model that has to be given its first tokens gets them from the true followers, as in the
    authors' evaluation.

    Args:
        follower: from `load_follower`.
        store: the leaders and their music.
        out: a new folder.
        axes: of the files.
        split: which leaders.
        models: folder of the body models; with them the translations of SMPL-X are exact.
        sampling: temperature and cut-offs.
        seed: of the sampling.
        original_length: a Duolando GPT stops as early as the authors' program, and its leader
            with it.
        progress: whether to show a bar; None: if there is a terminal.

    Returns:
        How many dances were written.

    Raises:
        InputError: something is at `out`, the split is empty, or the follower learned from other
            music features.
    """
    refuse_existing(out)
    follower.require_fits(store, "the follower")
    wanted = [record.name for record in store.records(split)]
    _require_takes(store, wanted, split)
    bar = tqdm(wanted, "export", disable=None if progress is None else not progress)
    with atomic_path(out) as folder:
        for name in bar:
            clip = store.clip(name)
            danced = dance_clip(follower, clip, seed, sampling, original_length)
            duet = Duet(clip.duet.leader.slice(0, danced.frames), danced)
            write_dance(folder, name, duet, axes, models)
    return len(wanted)


def _require_takes(store: DuetStore, wanted: Sized, split: Split | None) -> None:
    if not len(wanted):
        raise InputError(
            f"the split {split!r} of {store.path} has no takes; it is {store.summary()}"
        )
