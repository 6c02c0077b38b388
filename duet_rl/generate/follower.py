"""A trained follower: a checkpoint folder that dances with a leader it has never seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.audio.provenance import MusicFacts, facts_in
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.hearing import hear
from duet_rl.datasets.roles import Part, part_in
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.inputs import (
    lengthened,
    prolonged,
    require_device,
    require_music_lasts,
    require_same_music,
    require_same_part,
)
from duet_rl.generate.prompts import decoded, hears_words, words_for
from duet_rl.generate.start import Start
from duet_rl.models.conditions import LookAhead
from duet_rl.models.duolando import DuolandoGPTConfig
from duet_rl.models.follower import FollowerGPT, build_gpt, hearing_of, read_gpt_config
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig
from duet_rl.models.sampling import Sampled
from duet_rl.models.sampling import generate as sample_tokens
from duet_rl.models.streams import STOP_CLASSES
from duet_rl.models.window_gpt import WindowGPT
from duet_rl.tokenizers.codec import AnyCodec, load_codec
from duet_rl.tokenizers.duet import DecodedFollower
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.holding import AS_LEARNED
from duet_rl.tokenizers.leader import LEADER, LEADER_TOKENS
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

KIND = "follower"  # of the checkpoint folder
DANCED_AT_ONCE = 16_000  # frames of all dances that are sampled as one batch, to save memory


@dataclass(frozen=True, eq=False)
class Follower:
    """The codec, the model that writes its tokens, and what its checkpoint says about itself."""

    codec: AnyCodec
    model: FollowerGPT
    meta: Mapping[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the model is; leaders and music are brought there."""
        return next(self.model.parameters()).device

    @property
    def needs_leader(self) -> bool:
        """Whether it wants to be told of a leader."""
        return bool({LEADER, LEADER_TOKENS} & set(self.model.config.condition_names))

    @property
    def requires(self) -> tuple[str, ...]:
        """What it has to be told of, beside words."""
        config = self.model.config
        if isinstance(config, MultiStreamGPTConfig):
            return tuple(each.name for each in config.conditions if not each.optional)
        return config.condition_names

    @property
    def goes_its_own_way(self) -> bool:
        """Whether its tokens say how it moves on, and not where it is beside somebody."""
        codec = self.codec
        return isinstance(codec, SoloCodec) or codec.config.placement.relative_to == "start"

    @property
    def hears_words(self) -> bool:
        """Whether a text tells it what to dance."""
        return hears_words(self.model)

    @property
    def ends(self) -> bool:
        """Whether it says when its dance is over."""
        config = self.model.config
        return isinstance(config, MultiStreamGPTConfig) and config.stop

    @property
    def part(self) -> Part:
        """Whose part it has learned: it leads, or it follows."""
        return part_in(self.meta)

    def holding(self, firmness: float) -> "Follower":
        """Return this dancer, holding hands so firmly: 1 as it learned, 0 not at all.

        Raises:
            InputError: it dances alone, or its arms cannot be bent; see `DuetCodec.holding`.
        """
        if firmness == AS_LEARNED:
            return self
        if self.goes_its_own_way or isinstance(self.codec, SoloCodec) or not self.needs_leader:
            raise InputError("this checkpoint dances alone and holds nobody; leave hold out")
        return replace(self, codec=self.codec.holding(firmness))

    @property
    def music(self) -> MusicFacts:
        """Which extractor made the music features that it learned from."""
        return facts_in(self.meta)

    def require_fits(self, store: DuetStore, name: str, alone: bool = False) -> None:
        """Make sure that the follower can hear and see what `store` holds.

        A soloist of Bailando is of one frame of reference with every store.

        Args:
            store: of clips.
            name: of the follower, for messages.
            alone: whether one of each couple may dance alone.

        Raises:
            InputError: it learned from other music features or the other part, it follows and the
                store holds soloists, its tokens have no place beside the leaders of the store, or
                it was converted for another axis that points up than in the files of the store.
        """
        if self.needs_leader and store.solo:
            raise InputError(
                f"{name} follows a leader, and {store.path} holds soloists; give a store of "
                "couples, or the checkpoint of a soloist (preset solo)"
            )
        if self.goes_its_own_way and not (store.solo or alone):
            raise InputError(
                f"{name} dances alone, its tokens have no place beside a leader, and {store.path} "
                "holds couples; make soloists of them (`duet-rl prepare solo`)"
            )
        if not (store.solo or self.goes_its_own_way):
            require_same_part(name, self.part, store)
        if hearing_of(self.model.config) == "duolando":
            require_same_music(name, self.music, store)
        if isinstance(self.codec, SoloCodec):
            return
        stated = store.index.made_with.get("dd100", {}).get("up")
        own = self.codec.config.frame.up
        if "converted_from" in self.meta and stated not in {None, own}:
            raise InputError(
                f"{name} was converted for data whose {own} axis points up, and {store.path} was "
                f"made from files in which {stated} does (dd100.up); convert the checkpoints again "
                f"with --up {stated}"
            )

    @property
    def usual_sampling(self) -> SamplingConfig:
        """How to sample dances to look at: a GPT of windows takes the likeliest tokens."""
        if isinstance(self.model, WindowGPT):
            return SamplingConfig(temperature=0)
        return DEFAULT_SAMPLING

    def music_of(self, clip: DuetClip) -> Float[Tensor, "T C"]:
        """Return what the model hears of a clip, frame by frame; `dance` takes it.

        Raises:
            InputError: the model hears the clip's sound, and there is none.
        """
        return hear(clip, hearing_of(self.model.config))

    @torch.no_grad()
    def dance(
        self,
        leaders: Sequence[Motion],
        music: Float[Tensor, "B T C"] | None,
        seed: int = 0,
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        look_ahead: LookAhead = None,
        true_followers: Sequence[Motion] | None = None,
        original_length: bool = False,
        text: Sequence[str] | None = None,
        first: Int[Tensor, "B 1 S"] | None = None,
    ) -> DecodedFollower:
        """Return one follower for each of `B` leaders, sampled as one batch.

        Args:
            leaders: of equal length, whole tokens, 30 fps; the stage of a soloist.
            music: features of the same frames, see `music_of`; None: it hears none.
            seed: of the sampling; one seed gives one dance.
            sampling: temperature and cut-offs.
            look_ahead: tokens of future that the follower may know; None is all it was made for.
            true_followers: where a model has to be given its first tokens, they are these dancers'.
            original_length: a Duolando GPT stops as early as the original, which dances no token
                whose future it does not know.
            text: what each of them is told in words; an empty one says nothing.
            first: tokens to begin with.

        Returns:
            The followers, on the model's device, as long as the leaders.

        Raises:
            InputError: leaders, music and text that do not fit each other or the model.
        """
        leader = self._stacked(leaders)
        frames = leader.joints.shape[1]
        heard = leader.joints.shape[:2] if music is None else music.shape[:2]
        if heard != leader.joints.shape[:2] or frames % FRAMES_PER_TOKEN:
            raise InputError(
                f"{len(leaders)} leaders of {frames} frames and music of {tuple(heard)} "
                f"(clips, frames); both must have one number of frames, a multiple of "
                f"{FRAMES_PER_TOKEN}"
            )
        if first is None and true_followers is not None and self.model.prompt_steps:
            first = self.codec.first_tokens(leader, self._stacked(true_followers))
        conditions = self.conditions(leader, music)
        steps = None if conditions else frames // FRAMES_PER_TOKEN
        if text is None and self.hears_words:
            text = [""] * len(leaders)
        words = words_for(self.model, text, len(leaders))
        sampled = self.sample(conditions, steps, seed, sampling, look_ahead, first, words)
        tokens = sampled.tokens[..., : len(self.codec.spec)]  # of one who ends: all but the stop
        config = self.model.config
        if original_length and isinstance(config, DuolandoGPTConfig):
            known = max(tokens.shape[1] - config.look_forward, 1)
            tokens, leader = tokens[:, :known], leader.cut(0, known * FRAMES_PER_TOKEN)
        return decoded(self.codec, tokens, leader, text)

    def sample(
        self,
        conditions: Mapping[str, Tensor],
        steps: int | None,
        seed: int = 0,
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        look_ahead: LookAhead = None,
        prompt: Tensor | None = None,
        words: Tensor | None = None,
        ends: bool = False,
        rows: Tensor | None = None,
    ) -> Sampled:
        """Return the tokens of a batch of dances, and how long each lasts.

        Args:
            conditions: from `conditions`.
            steps: how many; None is as many as the conditions last.
            seed: of the sampling.
            sampling: temperature and cut-offs.
            look_ahead: tokens of future that the follower may know.
            prompt: known first tokens.
            words: of each dance, from `generate.prompts.words_for`.
            ends: whether one who `ends` does so; else all dances last all steps.
            rows: poses that are known, of which each step takes one; see `models.sampling`.
        """
        return sample_tokens(
            self.model,
            conditions,
            steps=steps,
            sampling=sampling,
            generator=torch.Generator().manual_seed(seed),
            look_ahead=look_ahead,
            prompt=prompt,
            text=words,
            ends=ends,
            rows=rows,
        )

    def _stacked(self, motions: Sequence[Motion]) -> MotionBatch:
        return MotionBatch(
            torch.stack([motion.joints for motion in motions]).to(self.device),
            torch.stack([motion.rotations for motion in motions]).to(self.device),
        )

    def conditions(self, leader: MotionBatch | None, music: Tensor | None) -> dict[str, Tensor]:
        """Return what the model asks for and is told, by name.

        Args:
            leader: None: it is told of none.
            music: `(B, T, C)`; None: it hears none.

        Raises:
            InputError: something that it cannot do without is not told.
        """
        wanted = self.model.config.condition_names
        known = {} if leader is None else self.codec.describe_leader(leader, wanted)
        if music is not None:
            known["music"] = music.to(self.device)
        if unknown := sorted(set(self.requires) - set(known)):
            raise InputError(
                f"the follower wants the conditions {unknown}; a leader and music give "
                f"{sorted(known)}: use a checkpoint trained on these"
            )
        return {name: known[name] for name in wanted if name in known}


def load_follower(folder: Path | str, device: torch.device | str = "cpu") -> Follower:
    """Return the follower in a folder written by `duet-rl pretrain follower` or `duet-rl rl`.

    Raises:
        InputError: no such folder, another kind of checkpoint, parts that do not fit together, or
            no such device.
    """
    folder, device = Path(folder), require_device(device)
    saved = checkpoint.load(folder, KIND)
    codec = load_codec(folder)
    config = read_gpt_config(saved.config, str(folder / checkpoint.CONFIG))
    stops = isinstance(config, MultiStreamGPTConfig) and config.stop
    if config.classes != codec.spec.classes + ((STOP_CLASSES,) if stops else ()):
        raise InputError(
            f"{folder}: the model writes streams of {config.classes} classes, its codec reads "
            f"{codec.spec.classes}; train the follower on this codec"
        )
    model = build_gpt(config)
    checkpoint.load_module(model, saved.tensors, folder)
    return Follower(codec.to(device).eval(), model.to(device).eval(), saved.meta)


def generate(
    follower: Follower,
    leader: Motion,
    music: Float[Tensor, "T C"],
    seed: int = 0,
    sampling: SamplingConfig = DEFAULT_SAMPLING,
    samples: int = 1,
    look_ahead: LookAhead = None,
    start: Start | None = None,
) -> list[Motion]:
    """Return followers as long as the leader, 30 fps, on the CPU.

    Args:
        follower: from `load_follower`.
        leader: a motion of any length; another frame rate is resampled to 30 fps.
        music: features from the leader's first frame on, as the follower hears them (see
            `Follower.music_of`); what is longer is left out.
        seed: of the sampling.
        sampling: temperature and cut-offs.
        samples: how many different followers.
        look_ahead: tokens of future that the follower may know; None is all it was made for.
        start: the pose of their first frame; None: they begin as they have learned to.

    Raises:
        InputError: the music ends before the leader, the model takes no clip of this length, or
            a start for one who dances alone.
    """
    leader = leader.resample(FPS)
    frames = leader.frames
    require_music_lasts(music, frames)
    whole = -(-frames // FRAMES_PER_TOKEN) * FRAMES_PER_TOKEN
    padded = prolonged(leader, whole)
    heard, first = lengthened(music, whole), None
    if start is not None:
        first = start.tokens(follower.codec, padded)
    skeleton = Skeleton(follower.codec.offsets.cpu(), KIND)
    at_once, dances = max(1, DANCED_AT_ONCE // whole), []
    for done in range(0, samples, at_once):
        count = min(at_once, samples - done)
        danced = follower.dance(
            [padded] * count,
            heard.expand(count, -1, -1),
            seed + done,
            sampling,
            look_ahead,
            first=None if first is None else first.expand(count, -1, -1),
        )
        dances += [
            Motion(joints[:frames].cpu(), rotations[:frames].cpu(), skeleton, FPS)
            for joints, rotations in zip(danced.joints, danced.rotations, strict=True)
        ]
    return dances if start is None else start.led_into_all(dances, follower.codec)


def dance_clip(
    follower: Follower,
    clip: DuetClip,
    seed: int = 0,
    sampling: SamplingConfig = DEFAULT_SAMPLING,
    original_length: bool = False,
) -> Motion:
    """Return the follower of a stored clip, on the CPU.

    A model that has to be given its first tokens gets those of the true follower.

    Args:
        follower: from `load_follower`.
        clip: whose leader it follows, and to whose music.
        seed: of the sampling.
        sampling: temperature and cut-offs.
        original_length: a Duolando GPT stops as early as the original.
    """
    decoded = follower.dance(
        [clip.duet.leader],
        follower.music_of(clip)[None],
        seed,
        sampling,
        true_followers=[clip.duet.follower],
        original_length=original_length,
    )
    skeleton = Skeleton(follower.codec.offsets.cpu(), KIND)
    return Motion(decoded.joints[0].cpu(), decoded.rotations[0].cpu(), skeleton, FPS)
