"""Who is measured: trained followers and recorded dances here, all others in `baselines`.

Each is a small frozen record that travels to a worker and opens there into a `Dance`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.files import require_folder
from duet_rl.generate.follower import KIND, load_follower
from duet_rl.generate.judged import stacked
from duet_rl.mocap.read import read_motion
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.duet import DecodedFollower
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

MOTIONS = (".npz", ".bvh")  # suffixes of recorded dances
_OF_A_RUN = ("rl", "follower")  # where a run has its followers, the better one first

Dance = Callable[[Sequence[DuetClip], int], list[Motion | None]]
"""Clips of one length and a seed in, a follower for each out; None where it has none."""


@runtime_checkable
class Entrant(Protocol):
    """One row of the table."""

    sampled: ClassVar[bool]  # whether another seed gives another dance
    answers: ClassVar[bool]  # whether it dances with any leader and music, not only those it knows

    @property
    def name(self) -> str:
        """Of the row."""
        ...

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        """Return what dances."""
        ...

    def __hash__(self) -> int:
        """Return the same for the same follower, so that a worker opens it once."""
        ...


@dataclass(frozen=True)
class Trained:
    """A follower from a checkpoint."""

    name: str
    folder: Path
    device: str = "cpu"
    sampled: ClassVar[bool] = True
    answers: ClassVar[bool] = True

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        follower = load_follower(self.folder, self.device)

        def dance(clips: Sequence[DuetClip], seed: int) -> list[Motion | None]:
            danced = follower.dance(
                [clip.duet.leader for clip in clips],
                stacked(follower.music_of(clip) for clip in clips),
                seed=seed,
                sampling=config.sampling,
                look_ahead=config.look_ahead,
                true_followers=(
                    [clip.duet.follower for clip in clips] if config.true_start else None
                ),
            )
            return motions_of(follower.codec, danced)

        return dance


@dataclass(frozen=True)
class Recorded:
    """Dances that are files already: one for each clip, of its name."""

    name: str
    folder: Path
    sampled: ClassVar[bool] = False
    answers: ClassVar[bool] = False

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        return lambda clips, seed: [self._read(clip) for clip in clips]

    def require_whole(self, names: Sequence[str]) -> None:
        """Make sure that there is a dance for every clip.

        Raises:
            InputError: some are missing.
        """
        missing = [name for name in names if self._file(name) is None]
        if missing:
            raise InputError(
                f"{self.folder} has dances for {len(names) - len(missing)} of {len(names)} clips; "
                f"missing: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}. Name each "
                f"after its clip, CLIP{MOTIONS[0]}, or choose another split (evaluate.split)"
            )

    def _file(self, name: str) -> Path | None:
        files = (self.folder / f"{name}{suffix}" for suffix in MOTIONS)
        return next((file for file in files if file.is_file()), None)

    def _read(self, clip: DuetClip) -> Motion:
        file = self._file(clip.name)
        assert file is not None, "`require_whole` was asked before"
        motion = read_motion(file).resample(FPS)
        more = motion.frames - clip.frames
        if not 0 <= more < FRAMES_PER_TOKEN:  # a store cuts its clips to whole tokens
            raise InputError(
                f"{file} has {motion.frames} frames at {FPS:g} fps and the clip {clip.frames}; "
                "give a dance as long as its leader's"
            )
        return motion.slice(0, clip.frames)


def entrant_of(name: str, folder: Path, device: str = "cpu") -> Trained | Recorded:
    """Return what is measured of a folder: a follower, that of a whole run, or recorded dances.

    Raises:
        InputError: the folder is none of these, or is not there.
    """
    place = follower_in(require_folder(folder, f"the run {name!r}"))
    if place is not None:
        return Trained(name, place.resolve(), device)
    if any(file.suffix in MOTIONS for file in folder.iterdir()):
        return Recorded(name, folder.resolve())
    raise InputError(
        f"{folder} holds neither a follower (`duet-rl pretrain`, `duet-rl rl`) nor dances "
        f"({' or '.join(f'CLIP{suffix}' for suffix in MOTIONS)}); name a folder that does"
    )


def follower_in(folder: Path) -> Path | None:
    """Return where a folder has a follower: itself, or the better one of a whole run.

    Raises:
        InputError: a follower lacks a file; what else the folder has must not stand in for it.
    """
    for place in (folder, *(folder / part for part in _OF_A_RUN)):
        if checkpoint.is_checkpoint(place, KIND):
            return place
        checkpoint.require_whole(place)
    return None


def motions_of(codec: AnyCodec, danced: DecodedFollower) -> list[Motion | None]:
    """Return decoded followers one by one, on the CPU.

    Raises:
        InputError: a decoded follower holds NaN.
    """
    skeleton = Skeleton(codec.offsets.cpu(), KIND)
    pairs = zip(danced.joints.cpu(), danced.rotations.cpu(), strict=True)
    return [Motion(joints, rotations, skeleton, FPS) for joints, rotations in pairs]
