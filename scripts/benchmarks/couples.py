"""Couples for the benchmarks of contact: captured and synthetic, as danced and moved together."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import UP
from duet_rl.config import resolve
from duet_rl.datasets.bvh_pairs import PairsConfig, find_pairs, read_pair
from duet_rl.datasets.synthetic import synthesize


class Couple(NamedTuple):
    """A true couple."""

    name: str
    duet: Duet
    hold: Bool[Tensor, "T 2 4"]  # the holds that are due


def captured(folder: Path, settings: Sequence[str], takes: int) -> list[Couple]:
    """Return the first takes in a folder of captured couples; `settings` as in `prepare pairs`."""
    config = resolve(PairsConfig, None, settings)
    couples = []
    with tempfile.TemporaryDirectory() as scratch:
        for pair in find_pairs(folder, config)[:takes]:
            clip = read_pair(pair, config, Path(scratch))
            couples.append(Couple(clip.name, clip.duet, clip.hold))
    return couples


def synthetic(count: int) -> list[Couple]:
    """Return the first dances of the synthetic world."""
    dances = [synthesize(number) for number in range(count)]
    return [Couple(dance.name, dance.duet, dance.hold) for dance in dances]


def some_frames(duet: Duet, count: int) -> Duet:
    """Return `count` frames of a dance, evenly spread; a cloud of poses and no dance any more."""
    chosen = torch.linspace(0, duet.frames - 1, count).long()
    return Duet(*(_frames(motion, chosen) for motion in (duet.leader, duet.follower)))


def moved_together(duet: Duet, metres: float) -> Duet:
    """Return the couple with the follower so much nearer, level, in every frame."""
    way = duet.leader.root - duet.follower.root
    way[:, UP] = 0
    shift = way / way.norm(dim=-1, keepdim=True).clamp_min(1e-6) * metres
    return Duet(duet.leader, replace(duet.follower, joints=duet.follower.joints + shift[:, None]))


def _frames(motion: Motion, chosen: Tensor) -> Motion:
    return replace(motion, joints=motion.joints[chosen], rotations=motion.rotations[chosen])
