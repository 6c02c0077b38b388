"""Who needs no training: the true partner, followers that remember, a mirror, and noise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch

from duet_rl.body.kinematics import Posed, forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.followers import Dance, motions_of
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.generate.inputs import require_device
from duet_rl.generate.judged import stacked
from duet_rl.metrics.baselines import mirror_leader, typical_distance
from duet_rl.metrics.other_take import placed_to
from duet_rl.metrics.retrieval import RetrievalFollower
from duet_rl.tokenizers.codec import AnyCodec, load_codec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.planting import PlantingConfig, plant_feet
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

TRUTH, MIRROR, RANDOM = "true partner", "mirror", "random tokens"
NEAREST, PLANTED, OTHER = "nearest neighbour", "nearest, feet planted", "other take"


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
    return motions_of(codec, codec.decode(torch.stack(streams, dim=-1).to(device), leader))
