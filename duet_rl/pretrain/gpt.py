"""The follower stage: the GPT learns to continue the true follower's tokens."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.windows import Windows, windows_if_any
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.pretrain.rollouts import Rollouts
from duet_rl.pretrain.stage import Metrics, Stage, StageConfig, StagePlan
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

FOLLOWER = "follower"  # name of the stage and kind of its checkpoint
FOLLOWED = "leader"  # name of the condition that tells of the partner
PARTS = (PoseTokenizer.kind, PlacementTokenizer.kind)  # the codec's sub-folders


class FollowerConfig(StageConfig):
    """How the follower is trained, and its GPT; streams and conditions come with the data."""

    steps: int = Field(400, ge=1)
    window_tokens: int = Field(48, ge=2)
    gpt: MultiStreamGPTConfig = MultiStreamGPTConfig()
    look_ahead: int = Field(29, ge=0, le=29)  # tokens; the farthest future it is trained with
    look_back: int = Field(8, ge=0)  # tokens of music and leader before the present
    rollouts: int = Field(8, ge=0)  # held-out clips that are danced, at most, at a validation
    rollout_tokens: int = Field(64, ge=2)  # token steps, at most, that each is danced for


class TokenRows(NamedTuple):
    """A couple token step by token step."""

    tokens: Int[Tensor, "*batch N S"]
    music: Float[Tensor, "*batch N 4 54"]
    leader: Float[Tensor, "*batch N 4 C"]


@dataclass(frozen=True)
class FollowerPlan(StagePlan):
    """Train the follower on the tokens of a finished codec, `codec` or else the run's own."""

    name: ClassVar[str] = FOLLOWER
    config: FollowerConfig
    codec: Path | None = None

    @property
    def codec_folder(self) -> Path:
        """Where the codec's two parts are."""
        return self.codec or self.out

    def open(self) -> "FollowerStage":
        """Read the data, encode them and build the GPT."""
        return FollowerStage(DuetStore.open(self.data), self.config, self.codec_folder)

    def settings(self) -> Mapping[str, Any]:
        """Return what the result depends on."""
        missing = [p for p in PARTS if not checkpoint.is_checkpoint(self.codec_folder / p, p)]
        if missing:
            raise InputError(
                f"{self.codec_folder} has no finished {' and '.join(missing)} tokenizer; run "
                f"`duet-rl pretrain {missing[0]}` first"
            )
        return {part: sha256_of(self.codec_folder / part / checkpoint.WEIGHTS) for part in PARTS}


class FollowerLoss(nn.Module):
    """A GPT whose call gives its loss; the value head is left to RL."""

    def __init__(self, gpt: MultiStreamGPT, names: Sequence[str]) -> None:
        super().__init__()
        self.gpt, self.names = gpt, tuple(names)
        gpt.value.requires_grad_(False)

    def forward(
        self,
        tokens: Int[Tensor, "B N S"],
        music: Float[Tensor, "B T 54"],
        leader: Float[Tensor, "B T C"],
    ) -> tuple[Tensor, Metrics]:
        """Return the sum over streams of the mean negative log-likelihood, in nats."""
        logits = self.gpt(tokens, {"music": music, FOLLOWED: leader}).logits
        losses = [
            nn.functional.cross_entropy(stream.flatten(0, 1).float(), tokens[..., i].flatten())
            for i, stream in enumerate(logits)
        ]
        named = zip(self.names, losses, strict=True)
        return torch.stack(losses).sum(), {f"nll/{name}": x.detach() for name, x in named}


class FollowerStage(Stage):
    """Windows of tokens with music and leader for the GPT."""

    def __init__(self, store: DuetStore, config: FollowerConfig, codec_folder: Path) -> None:
        super().__init__(store)
        self.config, self.codec_folder = config, codec_folder
        codec = DuetCodec.load(codec_folder)
        rows = [row for clip in store.clips("train") for row in _encode(codec, clip)]
        kept = store.clips("val")
        window = config.window_tokens
        self.train = Windows(rows, window)
        self.val = windows_if_any([_encode(codec, clip)[0] for clip in kept], window)
        self.rollouts = Rollouts(codec, kept, config.rollouts, config.rollout_tokens)
        conditions = (
            self._condition("music", MUSIC_DIMS),
            self._condition(FOLLOWED, codec.leader_channels),
        )
        known = {"classes": codec.spec.classes, "conditions": conditions}
        self.gpt = MultiStreamGPT(config.gpt.model_copy(update=known))
        for name, column in (("music", 1), (FOLLOWED, 2)):
            frames = torch.cat([row[column].flatten(0, 1) for row in rows])
            self.gpt.conditions[name].set_normalisation(frames.mean(0), frames.std(0))
        self._module = FollowerLoss(self.gpt, codec.spec.names)

    @property
    def module(self) -> FollowerLoss:
        """The GPT with its loss."""
        return self._module

    def batch(self, step: int, rank: int, world: int) -> tuple[Any, ...]:
        """Return tokens, music and leaders."""
        config = self.config
        return _flat(self.train.batch(step, config.batch_size, config.seed, rank, world))

    def held_out(self) -> tuple[Any, ...] | None:
        """Return tokens, music and leaders of held-out clips."""
        if self.val is None:
            return None
        return _flat(self.val.covering(self.config.validation_windows))

    def danced(self) -> dict[str, float]:
        """Return how the follower dances with held-out leaders."""
        return self.rollouts.score(self.gpt)

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the GPT with its codec beside it, so that the folder dances by itself."""
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            for part in PARTS:
                shutil.copytree(self.codec_folder / part, temporary / part)
            checkpoint.write_files(
                temporary,
                kind=FOLLOWER,
                tensors=self.gpt.state_dict(),
                config=self.gpt.config,
                meta=meta,
            )

    def _condition(self, name: str, channels: int) -> ConditionConfig:
        return ConditionConfig(
            name=name,
            channels=channels,
            look_ahead=self.config.look_ahead,
            look_back=self.config.look_back,
            frames_per_token=FRAMES_PER_TOKEN,
        )


def _encode(codec: DuetCodec, clip: DuetClip) -> list[TokenRows]:
    """Return a clip as tokens, once for every frame that its first token may begin at."""
    leader, follower = (
        MotionBatch(motion.joints[None], motion.rotations[None])
        for motion in (clip.duet.leader, clip.duet.follower)
    )
    features = codec.leader_features(leader)[0]
    rows = []
    for start in range(FRAMES_PER_TOKEN):
        count = (clip.frames - start) // FRAMES_PER_TOKEN
        cut = slice(start, start + count * FRAMES_PER_TOKEN)
        tokens = codec.encode(
            MotionBatch(leader.joints[:, cut], leader.rotations[:, cut]),
            MotionBatch(follower.joints[:, cut], follower.rotations[:, cut]),
        )[0]
        steps = (count, FRAMES_PER_TOKEN)
        rows.append(
            TokenRows(
                tokens, clip.music[cut].unflatten(0, steps), features[cut].unflatten(0, steps)
            )
        )
    return rows


def _flat(rows: TokenRows) -> tuple[Tensor, Tensor, Tensor]:
    """Return conditions frame by frame, as the GPT takes them."""
    return rows.tokens, rows.music.flatten(1, 2), rows.leader.flatten(1, 2)
