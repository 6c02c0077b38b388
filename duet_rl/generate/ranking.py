"""Several dances beside one partner: what each of them earns, and the best first."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.features import BEAT, MUSIC_DIMS
from duet_rl.body.contact import hold_due
from duet_rl.body.motion import Motion
from duet_rl.config import validate
from duet_rl.generate.inputs import lengthened
from duet_rl.rewards.base import RewardMix, RewardMixConfig, RewardWeights
from duet_rl.rewards.inputs import RewardInput
from duet_rl.text_table import aligned

TOTAL, HELD = "total", "held"
_UNTOLD = ("tracking", "duolando")  # terms that ask for a true partner, or for tokens


class Ranked(NamedTuple):
    """A dance, and its mean scores by name; `total` first."""

    motion: Motion
    scores: Mapping[str, float]


def rewards_of(meta: Mapping[str, Any]) -> RewardMixConfig:
    """Return the rewards that a checkpoint was refined by, or else the usual ones.

    Without terms that only a true partner or the tokens could tell of; where nothing else is left,
    the usual weights.
    """
    stated = (meta.get("stage_config") or {}).get("rewards")
    mix = validate(RewardMixConfig, stated or {}, source="the checkpoint's rewards")
    left = mix.weights.model_copy(update=dict.fromkeys(_UNTOLD, 0.0))
    if not any(left.model_dump().values()) and not mix.own:
        left = RewardWeights().model_copy(update=dict.fromkeys(_UNTOLD, 0.0))
    return mix.model_copy(update={"weights": left})


def holds_agreed(dances: Sequence[Motion], partner: Motion) -> Bool[Tensor, "T 2 4"]:
    """Return the holds that half of the dances or more keep.

    Nobody knows which holds are due beside a partner who dances with nobody yet. What the follower
    does in most of its dances is what it has learned; one dance alone is asked for its own.
    """
    return most_hold([dance.joints for dance in dances], partner.joints, partner.fps)


def most_hold(
    dances: Sequence[Float[Tensor, "T 55 3"]], partner: Float[Tensor, "T 55 3"], fps: float
) -> Bool[Tensor, "T 2 4"]:
    """Return `holds_agreed` of joints, metres."""
    votes = torch.zeros(len(partner), 2, 4, dtype=torch.int32)
    for joints in dances:
        votes += hold_due(partner, joints, fps).int()
    return 2 * votes >= max(1, len(dances))


def ranked(
    dances: Sequence[Motion],
    partner: Motion,
    music: Float[Tensor, "_ _"],
    rewards: RewardMixConfig,
    hold: Bool[Tensor, "T 2 4"],
) -> list[Ranked]:
    """Return the dances with their rewards, that with the highest total first.

    Args:
        dances: as long as the partner, 30 fps.
        partner: who is danced with.
        music: features from the partner's first frame on, of which the beats count; others than
            Duolando's say none.
        rewards: weights and settings, from `rewards_of`.
        hold: the holds that contact asks for, from `holds_agreed`.
    """
    mix = RewardMix(rewards)
    beats = torch.zeros(partner.frames, dtype=torch.bool)
    if music.shape[1] == MUSIC_DIMS:
        beats = lengthened(music[:, BEAT] > 0, partner.frames)
    told = []
    for dance in dances:  # one at a time for the sake of memory
        data = RewardInput(
            dance.joints[None], partner.joints[None], beats[None], dance.fps, hold[None]
        )
        means = mix(data).means()
        held = hold_due(partner.joints, dance.joints, dance.fps).flatten(1).any(1)
        scores = {TOTAL: means.pop(TOTAL), **means, HELD: float(held.float().mean())}
        told.append(Ranked(dance, scores))
    return sorted(told, key=lambda one: -one.scores[TOTAL])


def table_of(dances: Sequence[Ranked]) -> list[str]:
    """Return a table of ranked dances as lines: a row each, a column each score."""
    names = list(dances[0].scores)
    rows = [
        [f"{number}", *(f"{one.scores[name]:.3f}" for name in names)]
        for number, one in enumerate(dances, start=1)
    ]
    return aligned([["dance", *names], *rows])
