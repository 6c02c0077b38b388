"""Rollouts of the follower in training: what likelihood does not tell about how it dances."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.captions.accuracy import fact_accuracy
from duet_rl.captions.captioner import Captioner
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.windows import step_generator
from duet_rl.generate.follower import Follower
from duet_rl.generate.judged import judged
from duet_rl.models.follower import FollowerGPT
from duet_rl.pretrain.text_windows import dancers_to_tell
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
        self.texts: list[str] = []

    def tell(self) -> None:
        """Let followers hear captions of what the true ones dance, one for each clip."""
        captioner = Captioner()
        self.texts = [
            captioner.caption(joints, step_generator(0, index), partner).text
            for index, (joints, partner, _) in enumerate(dancers_to_tell(self.clips))
        ]

    def score(self, gpt: FollowerGPT) -> dict[str, float]:
        """Return the reward mix, its terms, and the distance from the true root (m).

        Of a follower who hears words also which share of the facts that it was told it shows, and
        as a control which share of those that another one was told.
        """
        if not self.clips:
            return {}
        device = next(gpt.parameters()).device
        follower = Follower(self.codec.to(device), gpt, {})
        music = torch.stack([follower.music_of(clip) for clip in self.clips])
        leaders, texts = [clip.duet.leader for clip in self.clips], self.texts or None
        danced = follower.dance(leaders, music, text=texts).joints.cpu()
        data = judged(danced, self.clips)
        terms = self.mix(data)
        assert data.partner is not None
        root_error = (danced[:, :, 0] - data.partner[:, :, 0]).norm(dim=-1).mean()
        return {**terms.means(), "root_error": float(root_error), **self._heard(danced)}

    def _heard(self, danced: Float[Tensor, "B T 55 3"]) -> dict[str, float]:
        """Return how much of the captions is true of the dances, and of those of other clips."""
        if not self.texts:
            return {}
        partners = [d.partner for d in dancers_to_tell(self.clips) if d.partner is not None]
        others = self.texts[1:] + self.texts[:1]
        return {
            name: fact_accuracy(texts, list(danced), partners or None)["all"].share
            for name, texts in (("facts", self.texts), ("facts_of_others", others))
        }
