"""The stage of GPTs of windows: each window of motion is encoded by itself, as it is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.hearing import HEARING_CHANNELS, hear
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.errors import InputError
from duet_rl.models.bailando import BailandoGPT
from duet_rl.models.duolando import FOLLOWER_STREAMS, LEADER, DuolandoGPTConfig
from duet_rl.models.follower import AnyGPTConfig, build_gpt, hearing_of
from duet_rl.models.window_gpt import WindowGPT, WindowGPTConfig
from duet_rl.pretrain.follower_stage import FollowerConfig, FollowerStage
from duet_rl.pretrain.multistream_loss import stream_losses
from duet_rl.pretrain.stage import Metrics
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN


class MotionRows(NamedTuple):
    """A couple, or a soloist on the stage, and their music frame by frame."""

    leader_joints: Float[Tensor, "*batch T 55 3"]
    leader_rotations: Float[Tensor, "*batch T 55 3 3"]
    follower_joints: Float[Tensor, "*batch T 55 3"]
    follower_rotations: Float[Tensor, "*batch T 55 3 3"]
    music: Float[Tensor, "*batch T C"]


class WindowLoss(nn.Module):
    """A `WindowGPT` whose call gives its loss on windows of motion; a critic is left to RL."""

    def __init__(self, gpt: WindowGPT, codec: AnyCodec) -> None:
        super().__init__()
        self.gpt = gpt
        if isinstance(gpt, BailandoGPT) and gpt.critic is not None:
            gpt.critic.requires_grad_(False)
        # Finished, so neither trained nor part of the training's state: hidden from torch.
        self._codec = (codec.eval(),)

    def forward(
        self, leader: MotionBatch, follower: MotionBatch, music: Float[Tensor, "B T C"]
    ) -> tuple[Tensor, Metrics]:
        """Return the sum over streams of the mean negative log-likelihood, in nats.

        Token i + 1 is predicted from tokens up to i, a leader's up to i + look_forward and the
        music one token farther (Duolando 5.4, Bailando 4).

        Args:
            leader: as many frames of a leader who is looked ahead at; of others `block + 1` tokens.
            follower: frames of the same moments.
            music: the same moments, and what is told before and beyond them.
        """
        codec, config = self._codec[0].to(music.device), self.gpt.config
        seen = config.tokens_before + config.block + config.tokens_ahead
        rate = config.frames_per_token
        told = [music[:, rate : rate * (seen + 1)]]
        with torch.autocast(music.device.type, enabled=False):
            tokens = codec.encode(leader, follower)
            if LEADER in config.condition_names:
                told.append(codec.leader_tokens(leader)[:, :seen])
        logits = self.gpt.predict(tokens[:, : config.block], *told)
        return stream_losses(logits, tokens[:, 1 : config.block + 1], codec.spec.names)


class WindowStage(FollowerStage):
    """Windows of dancers and music for a GPT, of the tokens that it is told of and one more."""

    def __init__(self, store: DuetStore, config: FollowerConfig, codec_folder: Path) -> None:
        super().__init__(store, config, codec_folder)
        gpt = config.gpt
        assert isinstance(gpt, WindowGPTConfig)
        _require_streams(gpt, self.codec, codec_folder)
        clips = store.clips("train")
        rows = [_rows(clip, gpt) for clip in clips]
        music = torch.cat([row.music for row in rows])
        self._sizes = gpt
        frames = (gpt.tokens_before + gpt.block + 1 + gpt.tokens_ahead) * FRAMES_PER_TOKEN
        self.train = Windows([_framed(row, gpt) for row in rows], frames, config.stride)
        held_out = [_framed(_rows(clip, gpt), gpt) for clip in store.clips("val")]
        self.val = windows_if_any(held_out, frames)
        known = {
            "classes": self.codec.spec.classes,
            "start_tokens": gpt.start_tokens or _usual_start(self.codec, rows),
            "music_channels": HEARING_CHANNELS[hearing_of(gpt)],
        }
        model = build_gpt(gpt.model_copy(update=known))
        assert isinstance(model, WindowGPT)
        if isinstance(model, BailandoGPT) and model.config.normalise:
            model.set_normalisation(music.mean(0), music.std(0))
        self._module = WindowLoss(model, self.codec)

    @property
    def module(self) -> WindowLoss:
        """The GPT with its loss."""
        return self._module

    @property
    def gpt(self) -> WindowGPT:
        """The GPT that is trained."""
        return self._module.gpt

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return leaders, followers and music."""
        return self._cut(self.draw(step, rank, world))

    def held_out(self) -> tuple[Any, ...] | None:
        """Return leaders, followers and music of held-out clips."""
        if self.val is None:
            return None
        return self._cut(self.val.covering(self.config.validation_windows))

    def _cut(self, rows: MotionRows) -> tuple[MotionBatch, MotionBatch, Tensor]:
        """Return the motion that is encoded, and all of the music."""
        gpt = self._sizes
        tokens = gpt.block + 1 + (gpt.tokens_ahead if LEADER in gpt.condition_names else 0)
        start = gpt.tokens_before * FRAMES_PER_TOKEN
        frames = slice(start, start + tokens * FRAMES_PER_TOKEN)
        motion = [part[:, frames] for part in rows[:4]]
        return MotionBatch(*motion[:2]), MotionBatch(*motion[2:]), rows.music


def _rows(clip: DuetClip, gpt: AnyGPTConfig) -> MotionRows:
    leader, follower = clip.duet.leader, clip.duet.follower
    music = hear(clip, hearing_of(gpt))
    return MotionRows(leader.joints, leader.rotations, follower.joints, follower.rotations, music)


def _framed(rows: MotionRows, gpt: WindowGPTConfig) -> MotionRows:
    """Return a clip with as much around it as windows of music reach beyond the dance.

    That is silence (zeros), and dancers who keep still; these are never encoded.
    """
    if not gpt.tokens_before:
        return rows
    before, after = (n * FRAMES_PER_TOKEN for n in (gpt.tokens_before, gpt.tokens_ahead))
    parts = [
        torch.cat(
            [
                part[:1].expand(before, *part.shape[1:]),
                part,
                part[-1:].expand(after, *part.shape[1:]),
            ]
        )
        for part in rows[:4]
    ]
    music = F.pad(rows.music, (0, 0, before, after))
    return MotionRows(parts[0], parts[1], parts[2], parts[3], music)


def _require_streams(gpt: AnyGPTConfig, codec: AnyCodec, folder: Path) -> None:
    found = len(codec.spec.classes)
    if isinstance(gpt, DuolandoGPTConfig) and found != FOLLOWER_STREAMS:
        raise InputError(
            f"{folder} writes {found} streams; a Duolando GPT has {FOLLOWER_STREAMS}: train a "
            "codec with codec.placement.vqvae.levels=1"
        )


def _usual_start(codec: AnyCodec, clips: Sequence[MotionRows]) -> tuple[int, ...]:
    """Return the token of each stream that most clips begin with."""
    firsts: list[Int[Tensor, S]] = []
    for rows in clips:
        one = [part[None] for part in rows[:4]]
        firsts.append(codec.first_tokens(MotionBatch(*one[:2]), MotionBatch(*one[2:]))[0, 0])
    return tuple(torch.stack(firsts).mode(dim=0).values.tolist())
