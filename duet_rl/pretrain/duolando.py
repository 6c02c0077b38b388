"""The stage of a `DuolandoGPT`: each window of motion is encoded by itself, as it is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.errors import InputError
from duet_rl.models.duolando import FOLLOWER_STREAMS, DuolandoGPT, DuolandoGPTConfig
from duet_rl.pretrain.follower_stage import FollowerConfig, FollowerStage
from duet_rl.pretrain.multistream import stream_losses
from duet_rl.pretrain.stage import Metrics
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN


class MotionRows(NamedTuple):
    """A couple and its music frame by frame."""

    leader_joints: Float[Tensor, "*batch T 55 3"]
    leader_rotations: Float[Tensor, "*batch T 55 3 3"]
    follower_joints: Float[Tensor, "*batch T 55 3"]
    follower_rotations: Float[Tensor, "*batch T 55 3 3"]
    music: Float[Tensor, "*batch T 54"]


class DuolandoLoss(nn.Module):
    """A `DuolandoGPT` whose call gives its loss on windows of motion."""

    def __init__(self, gpt: DuolandoGPT, codec: DuetCodec) -> None:
        super().__init__()
        self.gpt = gpt
        # Finished, so neither trained nor part of the training's state: hidden from torch.
        self._codec = (codec.eval(),)

    def forward(
        self, leader: MotionBatch, follower: MotionBatch, music: Float[Tensor, "B T 54"]
    ) -> tuple[Tensor, Metrics]:
        """Return the sum over streams of the mean negative log-likelihood, in nats.

        Token i + 1 is predicted from tokens up to i, the leader's up to i + look_forward and the
        music one token farther (Duolando 5.4).
        """
        codec, config = self._codec[0].to(music.device), self.gpt.config
        with torch.autocast(music.device.type, enabled=False):
            tokens, led = codec.encode(leader, follower), codec.leader_tokens(leader)
        seen = config.block + config.look_forward
        rate = config.frames_per_token
        logits = self.gpt.predict(
            tokens[:, : config.block], music[:, rate : rate * (seen + 1)], led[:, :seen]
        )
        return stream_losses(logits, tokens[:, 1 : config.block + 1], codec.spec.names)


class DuolandoStage(FollowerStage):
    """Windows of couples and music for the GPT, of `block + look_forward + 1` tokens."""

    def __init__(self, store: DuetStore, config: FollowerConfig, codec_folder: Path) -> None:
        super().__init__(store, config, codec_folder)
        assert isinstance(config.gpt, DuolandoGPTConfig)
        classes = self.codec.spec.classes
        if len(classes) != FOLLOWER_STREAMS:
            raise InputError(
                f"{codec_folder} writes {len(classes)} streams; a Duolando GPT has "
                f"{FOLLOWER_STREAMS}: train a codec with codec.placement.vqvae.levels=1"
            )
        frames = (config.gpt.block + config.gpt.look_forward + 1) * FRAMES_PER_TOKEN
        clips = store.clips("train")
        self.train = Windows([_rows(clip) for clip in clips], frames, config.stride)
        self.val = windows_if_any([_rows(clip) for clip in store.clips("val")], frames)
        start = config.gpt.start_tokens or _usual_start(self.codec, clips)
        known = {"classes": classes, "start_tokens": start}
        gpt = DuolandoGPT(config.gpt.model_copy(update=known))
        self._module = DuolandoLoss(gpt, self.codec)

    @property
    def module(self) -> DuolandoLoss:
        """The GPT with its loss."""
        return self._module

    @property
    def gpt(self) -> DuolandoGPT:
        """The GPT that is trained."""
        return self._module.gpt

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return leaders, followers and music."""
        return _split(self.draw(step, rank, world))

    def held_out(self) -> tuple[Any, ...] | None:
        """Return leaders, followers and music of held-out clips."""
        if self.val is None:
            return None
        return _split(self.val.covering(self.config.validation_windows))


def _rows(clip: DuetClip) -> MotionRows:
    leader, follower = clip.duet.leader, clip.duet.follower
    return MotionRows(
        leader.joints, leader.rotations, follower.joints, follower.rotations, clip.music
    )


def _split(rows: MotionRows) -> tuple[MotionBatch, MotionBatch, Tensor]:
    return MotionBatch(*rows[:2]), MotionBatch(*rows[2:4]), rows.music


def _usual_start(codec: DuetCodec, clips: Sequence[DuetClip]) -> tuple[int, ...]:
    """Return the token of each stream that most clips begin with."""
    firsts: list[Tensor] = []
    for clip in clips:
        leader, follower, _ = _split(_rows(clip))
        couple = [MotionBatch(x.joints[None], x.rotations[None]) for x in (leader, follower)]
        firsts.append(codec.first_tokens(*couple)[0, 0])
    return tuple(torch.stack(firsts).mode(dim=0).values.tolist())
