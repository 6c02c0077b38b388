"""One piece of an evaluation: some clips danced and measured by one follower, in any process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal
from uuid import uuid4

import torch
from jaxtyping import Float, Int16
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.dances import in_millimetres
from duet_rl.evaluate.followers import Dance, Entrant
from duet_rl.evaluate.probes import probe
from duet_rl.evaluate.scores import score_clips
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.evaluate.surfaces import surface_measures
from duet_rl.generate.judged import dance_alone, stacked
from duet_rl.metrics.duet import diversity
from duet_rl.metrics.set_features import window_features
from duet_rl.rewards.base import RewardMix, RewardMixConfig

PROBE_SEED = 0
Aim = Literal["measure", "reference", "probe"]


@dataclass(frozen=True)
class Job:
    """What all pieces of an evaluation share.

    Args:
        store: folder of the clips.
        rewards: whose terms are counted.
        config: settings.
        number: of this evaluation alone: the next one in the same process opens stores and
            followers anew, for other files may lie in their folders by then.
    """

    store: Path
    rewards: RewardMixConfig = field(hash=False)  # a mapping is in it
    config: EvaluateConfig
    number: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Piece:
    """Some clips of one length and who dances them.

    Args:
        entrant: who.
        clips: names.
        aim: `measure` counts everything; `reference` only what sets of dances are compared by;
            `probe` asks what the follower reads.
        cut: `probe` only: frames of each clip, from its start on.
    """

    entrant: Entrant
    clips: tuple[str, ...]
    aim: Aim = "measure"
    cut: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a piece found.

    Args:
        values: name of the measure -> `(clips, seeds)`, NaN where it does not apply.
        features: kind -> `(clips, seeds, windows, dimensions)`.
        dances: the first seed's dances of each clip, whole millimetres; None for one that is
            missing or out of sight.
    """

    values: dict[str, Float[Tensor, "clips seeds"]] = field(default_factory=dict)
    features: dict[str, Tensor] = field(default_factory=dict)
    dances: Sequence[Int16[Tensor, "T 55 3"] | None] = ()


def run_piece(piece: Piece, job: Job) -> Outcome:
    """Dance and measure one piece.

    Raises:
        InputError: the clips or the follower cannot be used.
    """
    store = _open_store(job)
    clips = [store.clip(name) for name in piece.clips]
    dance = _open_dance(piece.entrant, job)
    if piece.aim == "probe":
        cuts = [clip.slice(*cut) for clip, cut in zip(clips, piece.cut, strict=True)]
        found = probe(partial(_joints_of, dance), cuts, PROBE_SEED, piece.entrant.sampled)
        return Outcome({name: values[:, None] for name, values in found.items()})
    seeds = job.config.seeds if piece.entrant.sampled else 1
    first = dance(clips, 0)
    danced = [_joints(first, clips)]
    danced += [_joints_of(dance, clips, seed) for seed in range(1, seeds)]
    features = _features(danced, clips)
    if piece.aim == "reference":
        return Outcome(features=features)
    values = _values(danced, clips, RewardMix(job.rewards))
    if seeds > 1:
        dances = torch.stack(danced, dim=1)  # (clips, seeds, T, 55, 3)
        spread = torch.stack([diversity(of_clip) for of_clip in dances])
        values["diversity"] = spread[:, None].expand(-1, seeds)
    if job.config.surface_every is not None:
        for name, met in surface_measures(first, clips, job.config.surface_every).items():
            rest = torch.full((len(clips), seeds - 1), torch.nan)  # of the other seeds
            values[name] = torch.cat([met[:, None], rest], dim=1)
    return Outcome(values, features, in_millimetres(danced[0]))


@lru_cache(maxsize=1)
def _open_store(job: Job) -> DuetStore:
    return DuetStore.open(job.store)


@lru_cache(maxsize=1)  # a worker has room for one follower; pieces come sorted by follower
def _open_dance(entrant: Entrant, job: Job) -> Dance:
    return entrant.open(_open_store(job), job.config)


def _joints_of(dance: Dance, clips: Sequence[DuetClip], seed: int) -> Float[Tensor, "B T 55 3"]:
    return _joints(dance(clips, seed), clips)


def _joints(
    motions: Sequence[Motion | None], clips: Sequence[DuetClip]
) -> Float[Tensor, "B T 55 3"]:
    """Return the joints of dances as one batch, NaN for a missing one."""
    missing = torch.full((clips[0].frames, NUM_JOINTS, 3), torch.nan)
    return stacked(missing if motion is None else motion.joints for motion in motions)


def _values(
    danced: Sequence[Float[Tensor, "B T 55 3"]], clips: Sequence[DuetClip], rewards: RewardMix
) -> dict[str, Tensor]:
    """Return every measure, `(clips, seeds)`."""
    missing = torch.isnan(danced[0]).flatten(1).all(1)
    numbers = [score_clips(torch.nan_to_num(joints), clips, rewards) for joints in danced]
    return {
        name: torch.stack([found[name] for found in numbers], 1).masked_fill(
            missing[:, None], torch.nan
        )
        for name in numbers[0]
    }


def _features(
    danced: Sequence[Float[Tensor, "B T 55 3"]], clips: Sequence[DuetClip]
) -> dict[str, Tensor]:
    alone = dance_alone(clips)
    leader = None if alone else stacked(clip.duet.leader.joints for clip in clips)
    by_seed = [window_features(joints, leader, FPS) for joints in danced]
    return {kind: torch.stack([one[kind] for one in by_seed], 1) for kind in by_seed[0]}
