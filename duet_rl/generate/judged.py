"""Dances put before the judges: what rewards and measures look at, from clips and joints."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.errors import InputError
from duet_rl.metrics.duet import measure_duet
from duet_rl.rewards.base import RewardInput


def judged(
    joints: Float[Tensor, "B T 55 3"],
    clips: Sequence[DuetClip],
    root_velocity: Float[Tensor, "B T 3"] | None = None,
) -> RewardInput:
    """Return what the rewards look at when these dancers dance in `clips`.

    Args:
        joints: a follower for each clip, metres.
        clips: of one length; their leaders, music, holds and true partners are what counts. Those
            of soloists have neither leaders nor holds.
        root_velocity: what the followers' tokens say of the root, m/s, if they say it.

    Raises:
        InputError: soloists beside couples.
    """
    alone = dance_alone(clips)
    return RewardInput(
        joints,
        None if alone else stacked(clip.duet.leader.joints for clip in clips),
        stacked(clip.beats for clip in clips),
        FPS,
        None if alone else stacked(clip.hold for clip in clips),
        stacked(clip.duet.follower.joints for clip in clips),
        root_velocity,
    )


def measured(data: RewardInput) -> dict[str, Float[Tensor, "B"]]:
    """Return every measure of dances that are put before the judges."""
    return measure_duet(data.follower, data.leader, data.beats, data.fps, data.hold, data.partner)


def dance_alone(clips: Sequence[DuetClip]) -> bool:
    """Return whether these are clips of soloists.

    Raises:
        InputError: some are and some are not.
    """
    kinds = {clip.solo for clip in clips}
    if len(kinds) > 1:
        raise InputError(
            "soloists and couples are mixed; put them into a store each (`duet-rl prepare solo`)"
        )
    return kinds == {True}


def stacked(tensors: Iterable[Tensor]) -> Tensor:
    """Return the tensors as one batch."""
    return torch.stack(list(tensors))
