"""The stage of a `MultiStreamGPT`: whole clips become rows of tokens, windows of them batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.models.streams import GOES_ON, STOP_CLASSES, STOPS
from duet_rl.pretrain.follower_stage import FollowerConfig, FollowerStage
from duet_rl.pretrain.multistream_loss import STOP, FollowerLoss, entropy_weights
from duet_rl.pretrain.own_captions import starts_of, steps_of
from duet_rl.pretrain.text_windows import (
    VALIDATION,
    WindowCaptions,
    captioner_of,
    dancers_to_tell,
    generators_of,
)
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
_CAPTION, _LENGTH, _OWN = 0, 1, 2  # purposes of draws


class TokenRows(NamedTuple):
    """A couple token step by token step; what the follower is not told of has no channels."""

    tokens: Int[Tensor, "*batch N S"]
    music: Float[Tensor, "*batch N 4 M"]
    leader: Float[Tensor, "*batch N 4 C"]
    leader_tokens: Int[Tensor, "*batch N K"]
    clip: Int[Tensor, "*batch N"]  # number of the clip
    frame: Int[Tensor, "*batch N"]  # of the clip, at which the step begins
    left: Int[Tensor, "*batch N"]  # steps until the clip ends, this one too; 0 beyond its end


class MultiStreamStage(FollowerStage):
    """Windows of tokens with music, leader and words for the GPT."""

    def __init__(self, store: DuetStore, config: FollowerConfig, codec_folder: Path) -> None:
        super().__init__(store, config, codec_folder)
        assert isinstance(config.gpt, MultiStreamGPTConfig)
        self.told = ((MUSIC,) if config.music else ()) + _TOLD[config.leader]
        clips, held_out = self.clips("train"), self.clips("val")
        self.ends = config.gpt.stop
        rows = [row for number, clip in enumerate(clips) for row in self._encode(clip, number)]
        window = config.window_tokens
        self.train = Windows(self._long_enough(rows, clips), window, config.stride)
        last = len(clips)
        val = [self._encode(clip, last + i)[0] for i, clip in enumerate(held_out)]
        self.val = windows_if_any(self._long_enough(val, [*clips, *held_out]), window)
        gpt = MultiStreamGPT(self._gpt_config(config.gpt))
        for name, column in ((MUSIC, 1), (LEADER, 2)):
            if name in gpt.conditions.names:
                frames = torch.cat([row[column].flatten(0, 1) for row in rows])
                gpt.conditions[name].set_normalisation(frames.mean(0), frames.std(0))
        self.captions: WindowCaptions | None = None
        if config.text is not None:
            dancers = dancers_to_tell([*clips, *held_out])
            captioner = captioner_of(dancers[:last])
            told = (config.captions, config.own_share)
            self.captions = WindowCaptions(dancers, captioner, *told)
            self.rollouts.tell()
        names = self.codec.spec.names + ((STOP,) if self.ends else ())
        self._module = FollowerLoss(gpt, names, self._weights([row.tokens for row in rows]))

    @property
    def module(self) -> FollowerLoss:
        """The GPT with its loss."""
        return self._module

    @property
    def gpt(self) -> MultiStreamGPT:
        """The GPT that is trained."""
        return self._module.gpt

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return tokens, conditions and what is told in words."""
        rows = self.draw(step, rank, world)
        return self._flat(rows, step, rank * len(rows.clip))

    def held_out(self) -> tuple[Any, ...] | None:
        """Return tokens, conditions and captions of held-out clips."""
        if self.val is None:
            return None
        return self._flat(self.val.covering(self.config.validation_windows), VALIDATION, 0)

    def _gpt_config(self, gpt: MultiStreamGPTConfig) -> MultiStreamGPTConfig:
        """Return the settings of the GPT with what the data and this stage know."""
        known = {
            "classes": self.codec.spec.classes + ((STOP_CLASSES,) if gpt.stop else ()),
            "conditions": self._conditions(),
            "text": self.config.text,
        }
        return MultiStreamGPTConfig.model_validate(gpt.model_copy(update=known).model_dump())

    def _weights(self, rows: Sequence[Int[Tensor, "_ S"]]) -> Float[Tensor, "W"]:
        """Return how much each stream weighs in the loss; the one that stops weighs 1."""
        spec = self.codec.spec
        even = self.config.stream_weights == "even"
        weights = torch.ones(len(spec)) if even else entropy_weights(rows, spec)
        return F.pad(weights, (0, int(self.ends)), value=1.0)

    def _conditions(self) -> tuple[ConditionConfig, ...]:
        reach = {
            "look_ahead": self.config.look_ahead,
            "look_back": self.config.look_back,
            "dropout": self.config.told_dropout,
        }
        features = {MUSIC: MUSIC_DIMS, LEADER: self.codec.leader_channels}
        conditions = [
            ConditionConfig(
                name=name, channels=features[name], frames_per_token=FRAMES_PER_TOKEN, **reach
            )
            for name in self.told
            if name in features
        ]
        if LEADER_TOKENS in self.told:
            classes = self.codec.leader_classes
            conditions.append(
                ConditionConfig(name=LEADER_TOKENS, kind="tokens", classes=classes, **reach)
            )
        return tuple(conditions)

    def _encode(self, clip: DuetClip, number: int) -> list[TokenRows]:
        """Return a clip as tokens, once for every frame that its first token may begin at."""
        codec = self.codec
        leader, follower = (
            MotionBatch(motion.joints[None], motion.rotations[None])
            for motion in (clip.duet.leader, clip.duet.follower)
        )
        features = codec.leader_features(leader)[0] if LEADER in self.told else None
        music = clip.music if MUSIC in self.told else clip.music[:, :0]
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
                    music[cut].unflatten(0, steps),
                    torch.empty(*steps, 0)
                    if features is None
                    else features[cut].unflatten(0, steps),
                    self._leader_tokens(led, count),
                    torch.full((count,), number),
                    start + FRAMES_PER_TOKEN * torch.arange(count),
                    count - torch.arange(count),
                )
            )
        return rows

    def _long_enough(self, rows: Sequence[TokenRows], clips: Sequence[DuetClip]) -> list[TokenRows]:
        """Return clips as token rows that windows can be cut from.

        Where dances end by themselves, a clip may be shorter than a window, which is then held
        until it is full; and a window begins where a caption of a part of a clip does.

        Args:
            rows: of clips, each perhaps more than once.
            clips: by the numbers in their rows.
        """
        if not self.ends:
            return list(rows)
        window, found = self.config.window_tokens, list(rows)
        for one in rows:
            for start in starts_of(clips[int(one.clip[0])].captions):
                first = max(0, start - int(one.frame[0])) // FRAMES_PER_TOKEN
                found.append(TokenRows(*(column[first : first + window] for column in one)))
        shortest = min(self.config.shortest_tokens, window)
        return [_held(one, window) for one in found if len(one.clip) >= shortest]

    def _leader_tokens(self, leader: MotionBatch, count: int) -> Int[Tensor, "N K"]:
        if LEADER_TOKENS in self.told:
            return self.codec.leader_tokens(leader)[0]
        return torch.empty(count, 0, dtype=torch.int64)

    def _flat(self, rows: TokenRows, step: int, first: int) -> tuple[Any, ...]:
        """Return the tokens, conditions as the GPT takes them, and what is told in words.

        Args:
            rows: windows.
            step: of the training.
            first: number of the first of these windows among those of the step.
        """
        known = {
            MUSIC: rows.music.flatten(1, 2),
            LEADER: rows.leader.flatten(1, 2),
            LEADER_TOKENS: rows.leader_tokens,
        }
        conditions = {name: known[name] for name in self.told}
        count, steps, _ = rows.tokens.shape
        tokens, lengths = rows.tokens, torch.full((count,), steps)
        if self.ends:
            lengths = torch.minimum(self._lengths(count, step, first), rows.left[:, 0])
        if self.captions is None or self.config.text is None:
            return (_with_stops(tokens, lengths) if self.ends else tokens), conditions
        seeds = (self.config.seed, step, first, count)
        clip, frame = rows.clip[:, 0], rows.frame[:, 0]
        room = rows.left[:, 0].clamp_max(steps - int(self.ends))  # a step is left for the stop
        own = self.captions.own(clip, frame, room, generators_of(*seeds, _OWN), self.ends)
        if self.ends:  # what is written of a dance tells when it is over
            lasts = zip(own, frame.tolist(), room.tolist(), lengths.tolist(), strict=True)
            found = [drawn if one is None else steps_of(one, f, r) for one, f, r, drawn in lasts]
            lengths = torch.tensor(found)
            tokens = _with_stops(tokens, lengths)
        each = generators_of(*seeds, _CAPTION)
        told = self.captions.read(clip, frame, lengths, each, self.config.text, own)
        return tokens, conditions, told

    def _lengths(self, count: int, step: int, first: int) -> Int[Tensor, "B"]:
        """Return how many steps each window of a step lasts; one more is left for the stop."""
        longest = self.config.window_tokens - 1
        shortest = min(self.config.shortest_tokens, longest)
        each = generators_of(self.config.seed, step, first, count, _LENGTH)
        return torch.cat([torch.randint(shortest, longest + 1, (1,), generator=g) for g in each])


def _held(rows: TokenRows, window: int) -> TokenRows:
    """Return rows that fill a window at least; behind the end the last one goes on."""
    if len(rows.clip) >= window:
        return rows
    index = torch.arange(window).clamp_max(len(rows.clip) - 1)
    held = TokenRows(*(column[index] for column in rows))
    held.left[len(rows.clip) :] = 0
    return held


def _with_stops(tokens: Int[Tensor, "B N S"], lengths: Int[Tensor, "B"]) -> Int[Tensor, "B N R"]:
    """Return tokens with the stream that says at which step a dance is over."""
    over = torch.arange(tokens.shape[1]) >= lengths[:, None]
    stops = torch.where(over, STOPS, GOES_ON)[..., None]
    return torch.cat([tokens, stops], dim=-1)
