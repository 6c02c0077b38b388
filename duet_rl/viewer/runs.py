"""What a run shows of a clip: its follower's dance, or what its codec keeps of the true one."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.followers import Recorded, entrant_of, follower_in
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.files import require_folder
from duet_rl.generate.follower import KIND, Follower, load_follower
from duet_rl.generate.prompts import decoded, words_for
from duet_rl.tokenizers.codec import AnyCodec, load_codec
from duet_rl.tokenizers.duet import DecodedFollower
from duet_rl.tokenizers.part import POSE
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from duet_rl.viewer.tokens import TokenRows, batch_of, encoded, rows_of

BEFORE_AND_AFTER = {"pretrained": "follower", "RL": "rl"}  # of a whole run: name -> sub-folder


class Danced(NamedTuple):
    """A dance and, if it was written as tokens, these."""

    motion: Motion
    tokens: TokenRows | None


@runtime_checkable
class Run(Protocol):
    """What dances clips of a store."""

    name: str

    @property
    def codec(self) -> AnyCodec | None:
        """What made its tokens; None if it has none."""
        ...

    def dance(self, clip: DuetClip, seed: int) -> Danced | None:
        """Return its dance of a clip, or None if it has none."""
        ...


@dataclass(eq=False)
class FollowerRun:
    """A trained follower."""

    name: str
    follower: Follower

    @property
    def codec(self) -> AnyCodec:
        return self.follower.codec

    @torch.no_grad()
    def dance(self, clip: DuetClip, seed: int) -> Danced:
        """Return the dance that `generate.follower.dance_clip` gives, with the tokens it is of."""
        follower, codec = self.follower, self.codec
        leader, partner = (
            batch_of(motion, codec) for motion in (clip.duet.leader, clip.duet.follower)
        )
        conditions = follower.conditions(leader, follower.music_of(clip)[None])
        steps = None if conditions else clip.frames // FRAMES_PER_TOKEN
        prompt = codec.first_tokens(leader, partner) if follower.model.prompt_steps else None
        text = [""] if follower.hears_words else None
        words = words_for(follower.model, text, 1)
        sampled = follower.sample(
            conditions, steps, seed, follower.usual_sampling, prompt=prompt, words=words
        )
        tokens = sampled.tokens[..., : len(codec.spec)]
        motion = _motion(decoded(codec, tokens, leader, text), codec)
        return Danced(motion, rows_of(codec, tokens[0]))


@dataclass(eq=False)
class CodecRun:
    """A codec: the true partner as its tokens tell."""

    name: str
    codec: AnyCodec

    @torch.no_grad()
    def dance(self, clip: DuetClip, seed: int) -> Danced | None:
        """Return the true partner written as tokens and read back; no seed changes it."""
        rows = encoded(self.codec, clip.duet.leader, clip.duet.follower)
        if rows is None:
            return None
        leader = batch_of(clip.duet.leader, self.codec)
        tokens = rows.tokens[None].to(leader.joints.device)
        return Danced(_motion(self.codec.decode(tokens, leader), self.codec), rows)


@dataclass(eq=False)
class RecordedRun:
    """Dances that are files already, `CLIP.npz` or `CLIP.bvh`."""

    name: str
    dances: Recorded
    store: DuetStore

    @property
    def codec(self) -> None:
        return None

    def dance(self, clip: DuetClip, seed: int) -> Danced | None:
        """Return the dance in the clip's file; None if there is no such file."""
        try:
            self.dances.require_whole([clip.name])
        except InputError:
            return None
        motion = self.dances.open(self.store, EvaluateConfig())([clip], seed)[0]
        return None if motion is None else Danced(motion, None)


def runs_in(folder: Path, store: DuetStore, name: str, alone: bool) -> list[Run]:
    """Return what a folder shows: followers, a codec's reading, or recorded dances.

    Args:
        folder: of a follower, of a whole run, of a codec, or of dances.
        store: whose clips it is to dance.
        name: of the folder.
        alone: whether it is the only folder: then a whole run shows its follower before and after
            RL, and else the better one.

    Raises:
        InputError: there is nothing of this in the folder, or it does not fit the store.
    """
    require_folder(folder, f"the run {name!r}")
    parts = {
        called: folder / part
        for called, part in BEFORE_AND_AFTER.items()
        if checkpoint.is_checkpoint(folder / part, KIND)
    }
    if alone and len(parts) > 1 and not checkpoint.is_checkpoint(folder, KIND):
        return [_follower(called, place, store) for called, place in parts.items()]
    place = follower_in(folder)
    if place is not None:
        return [_follower(name, place, store)]
    if checkpoint.is_checkpoint(folder / POSE):
        return [CodecRun(name, load_codec(folder).eval())]
    entrant = entrant_of(name, folder)
    assert isinstance(entrant, Recorded), "followers were looked for before"
    return [RecordedRun(name, entrant, store)]


def _follower(name: str, place: Path, store: DuetStore) -> FollowerRun:
    follower = load_follower(place)
    follower.require_fits(store, name)
    return FollowerRun(name, follower)


def _motion(danced: DecodedFollower, codec: AnyCodec) -> Motion:
    skeleton = Skeleton(codec.offsets.cpu(), KIND)
    return Motion(danced.joints[0].cpu(), danced.rotations[0].cpu(), skeleton, FPS)
