"""Who is measured: the true partner, followers that need no training, noise, and the trained.

Each is a small frozen record that travels to a worker and opens there into a `Dance`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import torch

from duet_rl import checkpoint
from duet_rl.body.kinematics import Posed, forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.files import require_folder
from duet_rl.generate.follower import KIND, load_follower
from duet_rl.generate.inputs import require_device
from duet_rl.generate.judged import stacked
from duet_rl.metrics.baselines import mirror_leader, typical_distance
from duet_rl.metrics.other_take import placed_to
from duet_rl.metrics.retrieval import RetrievalFollower
from duet_rl.mocap.read import read_motion
from duet_rl.tokenizers.codec import AnyCodec, load_codec
from duet_rl.tokenizers.duet import DecodedFollower
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.planting import PlantingConfig, plant_feet
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

TRUTH, MIRROR, RANDOM = "true partner", "mirror", "random tokens"
NEAREST, PLANTED, OTHER = "nearest neighbour", "nearest, feet planted", "other take"
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
class TruePartner:
    """Who really danced."""

    name: str = TRUTH
    sampled: ClassVar[bool] = False
    answers: ClassVar[bool] = False

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        return lambda clips, seed: [clip.duet.follower for clip in clips]


@dataclass(frozen=True)
class Mirror:
    """The leader's mirror image."""

    name: str = MIRROR
    sampled: ClassVar[bool] = False
    answers: ClassVar[bool] = True

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        distance = typical_distance([clip.duet for clip in store.clips("train")])
        return lambda clips, seed: [mirror_leader(clip.duet.leader, distance) for clip in clips]


@dataclass(frozen=True)
class Nearest:
    """Who remembers the training couples, as they were or with the feet that stand held still.

    Of a clip shorter than the windows that it looks up it remembers nothing.
    """

    planted: bool = False
    sampled: ClassVar[bool] = False
    answers: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return PLANTED if self.planted else NEAREST

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        memory = RetrievalFollower([clip.duet for clip in store.clips("train")])

        def dance(clips: Sequence[DuetClip], seed: int) -> list[Motion | None]:
            if clips[0].frames < memory.window:
                return [None for _ in clips]
            found = (memory.follow(clip.duet.leader) for clip in clips)
            return [_planted(one) if self.planted else one for one in found]

        return dance


@dataclass(frozen=True)
class NearestSong:
    """Who remembers the training soloists, and dances the one whose beats fall like the song's.

    Of a clip longer than all of them it remembers nothing.
    """

    name: str = NEAREST
    sampled: ClassVar[bool] = False
    answers: ClassVar[bool] = True

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        known = store.clips("train")

        def dance(clips: Sequence[DuetClip], seed: int) -> list[Motion | None]:
            frames = clips[0].frames
            able = [clip.slice(0, frames) for clip in known if clip.frames >= frames]
            return [_in_time(clip, able).duet.follower if able else None for clip in clips]

        return dance


@dataclass(frozen=True)
class OtherTake:
    """Who danced the same choreography another time, put to this leader as they stood to theirs."""

    name: str = OTHER
    sampled: ClassVar[bool] = False
    answers: ClassVar[bool] = False

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        takes = other_takes(store)

        def dance(clips: Sequence[DuetClip], seed: int) -> list[Motion | None]:
            return [
                placed_to(clip.duet.leader, store.clip(takes[clip.name]).duet)
                if clip.name in takes
                else None
                for clip in clips
            ]

        return dance


@dataclass(frozen=True)
class RandomTokens:
    """Whose tokens are drawn evenly; `folder` holds the codec that decodes them."""

    folder: Path
    device: str = "cpu"
    name: str = RANDOM
    sampled: ClassVar[bool] = True
    answers: ClassVar[bool] = False

    def open(self, store: DuetStore, config: EvaluateConfig) -> Dance:
        codec = load_codec(self.folder).to(require_device(self.device)).eval()
        return lambda clips, seed: _random(codec, clips, seed, self.device)


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
            return _motions(follower.codec, danced)

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


def other_takes(store: DuetStore) -> Mapping[str, str]:
    """Return for each clip the next one of its choreography that lasts as long, if there is one."""
    records, found = store.records(), {}
    for record in records:
        others = [
            other.name
            for other in records
            if other.choreography == record.choreography
            and other.name != record.name
            and other.frames >= record.frames
        ]
        if others:
            found[record.name] = next((n for n in others if n > record.name), others[0])
    return found


def _in_time(clip: DuetClip, others: Sequence[DuetClip]) -> DuetClip:
    """Return whose music has its beats nearest to those of `clip`, on average both ways."""
    frame = torch.arange(clip.frames)

    def apart(one: DuetClip) -> float:
        ours, theirs = frame[clip.beats], frame[one.beats]
        if not (len(ours) and len(theirs)):
            return math.inf
        far = (ours[:, None] - theirs).abs().float()
        return float(far.amin(0).mean() + far.amin(1).mean())

    return min(others, key=apart)


def _planted(motion: Motion) -> Motion:
    """Return a motion whose feet stand where its own legs say that they stand."""
    root, offsets = motion.root, motion.skeleton.offsets
    pose = forward_kinematics(motion.rotations, root, offsets)
    posed = Posed(*(values[None] for values in (motion.rotations, *pose)))
    travel = torch.diff(root, dim=0, prepend=root[:1]) * motion.fps
    planted = plant_feet(posed, travel[None], offsets, motion.fps, PlantingConfig())
    return replace(motion, joints=planted.joints[0], rotations=planted.rotations[0])


def _random(
    codec: AnyCodec, clips: Sequence[DuetClip], seed: int, device: str
) -> list[Motion | None]:
    leader = MotionBatch(
        stacked(clip.duet.leader.joints for clip in clips).to(device),
        stacked(clip.duet.leader.rotations for clip in clips).to(device),
    )
    generator = torch.Generator().manual_seed(seed)
    shape = (len(clips), clips[0].frames // FRAMES_PER_TOKEN)
    streams = [torch.randint(n, shape, generator=generator) for n in codec.spec.classes]
    return _motions(codec, codec.decode(torch.stack(streams, dim=-1).to(device), leader))


def _motions(codec: AnyCodec, danced: DecodedFollower) -> list[Motion | None]:
    """Return decoded followers one by one, on the CPU.

    Raises:
        InputError: a decoded follower holds NaN.
    """
    skeleton = Skeleton(codec.offsets.cpu(), KIND)
    pairs = zip(danced.joints.cpu(), danced.rotations.cpu(), strict=True)
    return [Motion(joints, rotations, skeleton, FPS) for joints, rotations in pairs]
