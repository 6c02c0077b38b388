"""A rehearsal: a follower dances a song with several seeds, and every dance is measured."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.choreograph.guard import Look, number
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.evaluate.scores import REWARD_PREFIX, TOTAL
from duet_rl.generate.follower import KIND, Follower
from duet_rl.metrics.duet import diversity, measure_duet
from duet_rl.models.sampling import SamplingConfig
from duet_rl.rewards.base import RewardInput, RewardMix, RewardMixConfig
from duet_rl.tokenizers.duet import DecodedFollower

REWARD = REWARD_PREFIX + TOTAL
DIVERSITY = "diversity"
_FRAMES_AT_ONCE = 16_000  # of all dances that are sampled as one batch, for the sake of memory

Scores = dict[str, Float[Tensor, "seeds"]]
"""Name of a reward or measure -> a value a dance, NaN where it does not apply."""


class Dances(NamedTuple):
    """One song, danced with several seeds."""

    joints: Float[Tensor, "seeds T 55 3"]
    root_velocity: Float[Tensor, "seeds T 3"] | None  # what the tokens say of it, m/s
    first: Motion


class Rehearsal:
    """Dances one song whenever it is asked, always with the same seeds.

    Args:
        follower: who dances; its weights may be exchanged.
        clip: the song, and its leader if it has one.
        rewards: what is rewarded.
        sampling: of the tokens; dances of the likeliest ones are all alike.
    """

    def __init__(
        self,
        follower: Follower,
        clip: DuetClip,
        rewards: RewardMixConfig,
        sampling: SamplingConfig,
    ) -> None:
        self.follower, self.clip, self.sampling = follower, clip, sampling
        self._mix, self._heard = RewardMix(rewards), follower.music_of(clip)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Give the follower other weights."""
        on_cpu = {name: tensor.detach().cpu() for name, tensor in weights.items()}
        checkpoint.load_module(self.follower.model, on_cpu, "the follower in training")
        self.follower.model.eval()

    def dance(self, seed: int, count: int) -> Dances:
        """Return `count` dances; the same seed gives the same ones."""
        alike = self.sampling.temperature == 0
        wanted = 1 if alike else count
        size = min(wanted, max(1, _FRAMES_AT_ONCE // self.clip.frames))
        parts = [
            self._batch(seed + start, min(size, wanted - start)) for start in range(0, wanted, size)
        ]
        joints = torch.cat([part.joints.cpu() for part in parts])
        said = [part.root_velocity for part in parts if part.root_velocity is not None]
        velocity = torch.cat([one.cpu() for one in said]) if said else None
        first = Motion(
            parts[0].joints[0].cpu(),
            parts[0].rotations[0].cpu(),
            Skeleton(self.follower.codec.offsets.cpu(), KIND),
            FPS,
        )
        if alike:
            joints = joints.expand(count, -1, -1, -1)
            velocity = None if velocity is None else velocity.expand(count, -1, -1)
        return Dances(joints, velocity, first)

    def scores(self, dances: Dances) -> Scores:
        """Return rewards and measures of dances, one at a time for the sake of memory."""
        said = dances.root_velocity
        rows = [
            self._scores_of(joints[None], None if said is None else said[index][None])
            for index, joints in enumerate(dances.joints)
        ]
        found = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        return {**found, DIVERSITY: diversity(dances.joints).expand(len(rows))}

    def look(self, iteration: int, kl: float, seed: int, count: int) -> Look:
        """Return what the guard wants to see of the follower as it is now."""
        return look_of(self.scores(self.dance(seed, count)), iteration, kl)

    def _batch(self, seed: int, count: int) -> DecodedFollower:
        leaders = [self.clip.duet.leader] * count
        music = self._heard.expand(count, -1, -1)
        return self.follower.dance(leaders, music, seed, self.sampling)

    def _scores_of(
        self, joints: Float[Tensor, "1 T 55 3"], velocity: Float[Tensor, "1 T 3"] | None
    ) -> dict[str, Tensor]:
        """Return the scores of one dance; of a true partner and of holds due nobody knows."""
        leader = None if self.clip.solo else self.clip.duet.leader.joints[None]
        beats = self.clip.beats[None]
        terms = self._mix(RewardInput(joints, leader, beats, FPS, root_velocity=velocity))
        measured = measure_duet(joints, leader, beats, FPS)
        rewards = {REWARD_PREFIX + name: torch.tensor(x) for name, x in terms.means().items()}
        return {**rewards, **{name: values[0].cpu() for name, values in measured.items()}}


def look_of(scores: Scores, iteration: int = 0, kl: float | None = 0.0) -> Look:
    """Return what the guard wants to see of dances with these scores.

    Args:
        scores: from `Rehearsal.scores`.
        iteration: of the follower.
        kl: nats a token to what it was.
    """
    means = {name: number(float(values.mean())) for name, values in scores.items()}
    terms = {
        name.removeprefix(REWARD_PREFIX): mean
        for name, mean in means.items()
        if name.startswith(REWARD_PREFIX) and name != REWARD
    }
    return Look(
        iteration=iteration,
        reward=means[REWARD],
        terms=terms,
        kl=None if kl is None else number(kl),
        jerk=means["jerk"],
        diversity=means[DIVERSITY],
        frozen=means["frozen_share"],
        held=means.get("hold_share"),
    )
