"""What the stages of both kinds of follower share: settings, codec, dances, the finished folder."""

import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from duet_rl import checkpoint
from duet_rl.audio.provenance import META_KEY
from duet_rl.datasets.clip import DuetClip, mirrored
from duet_rl.datasets.roles import part_facts
from duet_rl.datasets.solo import soloists_of
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from duet_rl.files import atomic_path
from duet_rl.models.follower import FollowerGPT, FollowerGPTConfig
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.models.text import TextConfig
from duet_rl.pretrain.own_captions import CaptionSource
from duet_rl.pretrain.rollouts import Rollouts
from duet_rl.pretrain.stage import Stage, StageConfig
from duet_rl.pretrain.text_windows import OWN_SHARE
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.part import REFINE
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

FOLLOWER = "follower"  # name of the stage and kind of its checkpoint
PARTS = (PoseTokenizer.kind, PlacementTokenizer.kind)  # the codec's sub-folders


class FollowerConfig(StageConfig):
    """How the follower is trained, and its GPT; streams and conditions come with the data."""

    steps: int = Field(400, ge=1)
    window_tokens: int = Field(48, ge=2)  # a GPT of windows has its own
    gpt: FollowerGPTConfig = MultiStreamGPTConfig()
    rollouts: int = Field(8, ge=0)  # held-out clips that are danced, at most, at a validation
    rollout_tokens: int = Field(64, ge=2)  # token steps, at most, that each is danced for

    # Of a multi-stream GPT alone
    # How it is told of the leader; `none` is for soloists.
    leader: Literal["features", "tokens", "both", "none"] = "features"
    look_ahead: int = Field(29, ge=0, le=29)  # tokens; the farthest future it is trained with
    look_back: int = Field(8, ge=0)  # tokens of music and leader before the present
    music: bool = True  # whether it hears the music
    # Share of windows that are not told of the music, and as many not of the leader. Above 0, it
    # dances without either too, if there are words.
    told_dropout: float = Field(0.0, ge=0, lt=1)
    # even: every stream weighs 1 | entropy: by the share of its entropy that it leaves open
    stream_weights: Literal["even", "entropy"] = "even"
    text: TextConfig | None = None  # how it reads captions of what it dances; None: it reads none
    # What it reads in training: what people wrote of clips | what windows show | both.
    captions: CaptionSource = "both"
    own_share: float = Field(OWN_SHARE, ge=0, le=1)  # with both: of windows that people wrote about
    alone: bool = False  # each dancer of a couple learns by himself, as a soloist; leader: none
    mirror: bool = False  # learn from the mirror image of every dance too
    # With `gpt.stop`: windows last from here to `window_tokens`, and end with a stop.
    shortest_tokens: int = Field(16, ge=1)


class FollowerStage(Stage):
    """Base of the follower stages: a codec to learn in, a GPT to train."""

    kind: ClassVar[str] = FOLLOWER
    config: FollowerConfig

    def __init__(self, store: DuetStore, config: FollowerConfig, codec_folder: Path) -> None:
        super().__init__(store)
        self.config, self.codec_folder = config, codec_folder
        self.codec = load_codec(codec_folder)
        held_out, tokens = self.clips("val"), config.rollout_tokens
        if config.text is not None:  # short pieces, of which a caption says most
            held_out = _pieces(held_out, tokens * FRAMES_PER_TOKEN)
        self.rollouts = Rollouts(self.codec, held_out, config.rollouts, tokens)

    def clips(self, split: Split) -> list[DuetClip]:
        """Return the clips of a split, as the settings want them.

        Those of couples are cut in two if each dances alone; training may have mirror images.
        """
        clips = self.store.clips(split)
        clips = soloists_of(clips) if self.config.alone else clips
        if split == "train" and self.config.mirror:
            return [*clips, *(mirrored(clip) for clip in clips)]
        return clips

    @property
    @abstractmethod
    def gpt(self) -> FollowerGPT:
        """The GPT that is trained."""

    def danced(self) -> dict[str, float]:
        """Return how the follower dances with held-out leaders."""
        return self.rollouts.score(self.gpt)

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the GPT with its codec beside it, so that the folder dances by itself."""
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            for part in (*PARTS, REFINE):
                if part in PARTS or (self.codec_folder / part).is_dir():
                    shutil.copytree(self.codec_folder / part, temporary / part)
            checkpoint.write_files(
                temporary,
                kind=self.kind,
                tensors=self.gpt.state_dict(),
                config=self.gpt.config,
                meta={**meta, META_KEY: dict(self.store.music), **part_facts(self.store)},
            )


def _pieces(clips: Sequence[DuetClip], frames: int) -> list[DuetClip]:
    """Return clips cut into pieces of so many frames; shorter ones stay as they are."""
    return [
        clip.slice(start, min(start + frames, clip.frames))
        for clip in clips
        for start in range(0, max(1, clip.frames - frames + 1), frames)
    ]
