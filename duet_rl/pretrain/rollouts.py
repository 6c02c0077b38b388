"""Rollouts of the follower in training: what likelihood does not tell about how it dances."""

from collections.abc import Sequence

import torch

from duet_rl.datasets.clip import DuetClip
from duet_rl.generate.follower import Follower
from duet_rl.generate.judged import judged
from duet_rl.models.follower import FollowerGPT
from duet_rl.rewards.base import RewardMix, RewardMixConfig
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN


class Rollouts:
    """Lets a follower dance with held-out leaders and scores it, the same way every time.

    Args:
        codec: of the follower's tokens.
        clips: held-out dances; their beginnings are danced, as long as the shortest allows.
        most: so many of them at most.
        tokens: so long at most, token steps.
        rewards: by which they are scored.
    """

    def __init__(
        self,
        codec: AnyCodec,
        clips: Sequence[DuetClip],
        most: int,
        tokens: int,
        rewards: RewardMixConfig = RewardMixConfig(),
    ) -> None:
        shortest = min((clip.frames for clip in clips), default=0)
        frames = min(shortest, tokens * FRAMES_PER_TOKEN)
        self.codec, self.mix = codec, RewardMix(rewards)
        self.clips = [clip.slice(0, frames) for clip in clips[:most]]

    def score(self, gpt: FollowerGPT) -> dict[str, float]:
        """Return the reward mix, its terms, and the distance from the true root (m)."""
        if not self.clips:
            return {}
        device = next(gpt.parameters()).device
        follower = Follower(self.codec.to(device), gpt, {})
        music = torch.stack([follower.music_of(clip) for clip in self.clips])
        danced = follower.dance([clip.duet.leader for clip in self.clips], music).joints.cpu()
        data = judged(danced, self.clips)
        terms = self.mix(data)
        assert data.partner is not None
        root_error = (danced[:, :, 0] - data.partner[:, :, 0]).norm(dim=-1).mean()
        return {**terms.means(), "root_error": float(root_error)}
