"""The stage of a `MultiStreamGPT`: whole clips become rows of tokens, windows of them batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.pretrain.follower_stage import FollowerConfig, FollowerStage
from duet_rl.pretrain.stage import Metrics
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.leader import LEADER, LEADER_TOKENS
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

MUSIC = "music"  # name of the condition
_TOLD: Mapping[str, tuple[str, ...]] = {
    "features": (LEADER,),
    "tokens": (LEADER_TOKENS,),
    "both": (LEADER, LEADER_TOKENS),
    "none": (),
}


class TokenRows(NamedTuple):
    """A couple token step by token step; what the follower is not told of has no channels."""

    tokens: Int[Tensor, "*batch N S"]
    music: Float[Tensor, "*batch N 4 54"]
    leader: Float[Tensor, "*batch N 4 C"]
    leader_tokens: Int[Tensor, "*batch N K"]


class FollowerLoss(nn.Module):
    """A GPT whose call gives its loss; the value head is left to RL."""

    def __init__(self, gpt: MultiStreamGPT, names: Sequence[str]) -> None:
        super().__init__()
        self.gpt, self.names = gpt, tuple(names)
        gpt.value.requires_grad_(False)

    def forward(
        self, tokens: Int[Tensor, "B N S"], conditions: Mapping[str, Tensor]
    ) -> tuple[Tensor, Metrics]:
        """Return the sum over streams of the mean negative log-likelihood, in nats."""
        return stream_losses(self.gpt(tokens, conditions).logits, tokens, self.names)


class MultiStreamStage(FollowerStage):
    """Windows of tokens with music and leader for the GPT."""

    def __init__(self, store: DuetStore, config: FollowerConfig, codec_folder: Path) -> None:
        super().__init__(store, config, codec_folder)
        assert isinstance(config.gpt, MultiStreamGPTConfig)
        self.told = _TOLD[config.leader]
        rows = [row for clip in store.clips("train") for row in self._encode(clip)]
        window = config.window_tokens
        self.train = Windows(rows, window, config.stride)
        self.val = windows_if_any([self._encode(clip)[0] for clip in store.clips("val")], window)
        known = {"classes": self.codec.spec.classes, "conditions": self._conditions()}
        gpt = MultiStreamGPT(config.gpt.model_copy(update=known))
        for name, column in ((MUSIC, 1), (LEADER, 2)):
            if name in gpt.conditions.names:
                frames = torch.cat([row[column].flatten(0, 1) for row in rows])
                gpt.conditions[name].set_normalisation(frames.mean(0), frames.std(0))
        self._module = FollowerLoss(gpt, self.codec.spec.names)

    @property
    def module(self) -> FollowerLoss:
        """The GPT with its loss."""
        return self._module

    @property
    def gpt(self) -> MultiStreamGPT:
        """The GPT that is trained."""
        return self._module.gpt

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return tokens and conditions."""
        return self._flat(self.draw(step, rank, world))

    def held_out(self) -> tuple[Any, ...] | None:
        """Return tokens and conditions of held-out clips."""
        if self.val is None:
            return None
        return self._flat(self.val.covering(self.config.validation_windows))

    def _conditions(self) -> tuple[ConditionConfig, ...]:
        reach = {"look_ahead": self.config.look_ahead, "look_back": self.config.look_back}
        features = {MUSIC: MUSIC_DIMS, LEADER: self.codec.leader_channels}
        conditions = [
            ConditionConfig(
                name=name, channels=features[name], frames_per_token=FRAMES_PER_TOKEN, **reach
            )
            for name in (MUSIC, *self.told)
            if name in features
        ]
        if LEADER_TOKENS in self.told:
            classes = self.codec.leader_classes
            conditions.append(
                ConditionConfig(name=LEADER_TOKENS, kind="tokens", classes=classes, **reach)
            )
        return tuple(conditions)

    def _encode(self, clip: DuetClip) -> list[TokenRows]:
        """Return a clip as tokens, once for every frame that its first token may begin at."""
        codec = self.codec
        leader, follower = (
            MotionBatch(motion.joints[None], motion.rotations[None])
            for motion in (clip.duet.leader, clip.duet.follower)
        )
        features = codec.leader_features(leader)[0] if LEADER in self.told else None
        rows = []
        for start in range(FRAMES_PER_TOKEN):
            count = (clip.frames - start) // FRAMES_PER_TOKEN
            cut = slice(start, start + count * FRAMES_PER_TOKEN)
            steps = (count, FRAMES_PER_TOKEN)
            led = MotionBatch(leader.joints[:, cut], leader.rotations[:, cut])
            followed = MotionBatch(follower.joints[:, cut], follower.rotations[:, cut])
            rows.append(
                TokenRows(
                    codec.encode(led, followed)[0],
                    clip.music[cut].unflatten(0, steps),
                    torch.empty(*steps, 0)
                    if features is None
                    else features[cut].unflatten(0, steps),
                    self._leader_tokens(led, count),
                )
            )
        return rows

    def _leader_tokens(self, leader: MotionBatch, count: int) -> Int[Tensor, "N K"]:
        if LEADER_TOKENS in self.told:
            return self.codec.leader_tokens(leader)[0]
        return torch.empty(count, 0, dtype=torch.int64)

    def _flat(self, rows: TokenRows) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the tokens, and conditions as the GPT takes them."""
        known = {
            MUSIC: rows.music.flatten(1, 2),
            LEADER: rows.leader.flatten(1, 2),
            LEADER_TOKENS: rows.leader_tokens,
        }
        return rows.tokens, {name: known[name] for name in (MUSIC, *self.told)}


def stream_losses(
    logits: Sequence[Tensor], tokens: Int[Tensor, "B N S"], names: Sequence[str]
) -> tuple[Tensor, Metrics]:
    """Return the sum over streams of the mean negative log-likelihood in nats, and each."""
    losses = [
        nn.functional.cross_entropy(stream.flatten(0, 1).float(), tokens[..., i].flatten())
        for i, stream in enumerate(logits)
    ]
    named = zip(names, losses, strict=True)
    return torch.stack(losses).sum(), {f"nll/{name}": x.detach() for name, x in named}
