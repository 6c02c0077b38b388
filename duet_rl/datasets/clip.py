"""One dance of two people with its music, frame by frame: what every stage learns from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.features import BEAT, MUSIC_DIMS
from duet_rl.audio.provenance import MusicFacts
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import matrix_from_6d, matrix_to_6d
from duet_rl.body.skeleton import Skeleton
from duet_rl.datasets.clip_captions import (
    CAPTIONS,
    Captions,
    captions_of_arrays,
    captions_to_array,
    cut_captions,
    mirrored_captions,
    require_captions_fit,
)
from duet_rl.errors import InputError

FPS = 30.0  # frames per second of every stored clip
FRAME_MULTIPLE = 4  # a clip divides into whole tokens
DANCERS = ("leader", "follower")

MusicSource = Literal["recorded", "rendered", "none"]


@dataclass(frozen=True, eq=False)
class DuetClip:
    """A stored sequence: leader and follower in one world frame, and the music they dance to.

    Args:
        name: unique within a store; also its file name.
        choreography: what the dance is a take of; a choreography lies in one split only.
        duet: both motions, 30 fps, frames a multiple of four.
        music: raw (not normalised) features, one row a frame.
        hold: where a hand of the follower is due on the partner: hand (left, right) x target
            (left palm, right palm, shoulder, waist).
        audio: the sound itself, if there is any.
        music_source: `recorded` with the dance, `rendered` for it afterwards, or `none`: silence.
        style: e.g. `waltz`; `unknown` if nobody said.
        tempo: beats per minute.
        source: where it comes from, for credits, e.g. `synthetic` or the file names.
        music_facts: which extractor made `music`; None if nobody said.
        solo: whether the follower dances alone; the leader is then the stage (`body.stage`).
        audio_start: frame of `audio` at which the clip begins, as a cut of a longer one does.
        captions: what people wrote about the follower, or about parts of the dance.

    Raises:
        InputError: lengths or frame rates do not fit, or a value is NaN.
    """

    name: str
    choreography: str
    duet: Duet
    music: Float[Tensor, "T 54"]
    hold: Bool[Tensor, "T 2 4"]
    audio: Path | None
    music_source: MusicSource
    style: str
    tempo: float
    source: str
    music_facts: MusicFacts | None = None
    solo: bool = False
    audio_start: int = 0
    captions: Captions = ()

    def __post_init__(self) -> None:
        frames = self.duet.leader.frames
        if self.duet.leader.fps != FPS:
            raise InputError(
                f"clip {self.name} has {self.duet.leader.fps:g} fps; clips have {FPS:g}: "
                "resample the duet first"
            )
        if frames == 0 or frames % FRAME_MULTIPLE:
            raise InputError(
                f"clip {self.name} has {frames} frames, which do not divide into tokens of "
                f"{FRAME_MULTIPLE} frames; make it with `align`"
            )
        if len(self.music) != frames or len(self.hold) != frames:
            raise InputError(
                f"clip {self.name} has {frames} frames of motion, {len(self.music)} of music and "
                f"{len(self.hold)} of holds; make it with `align`"
            )
        if not torch.isfinite(self.music).all():
            raise InputError(f"the music of clip {self.name} holds NaN; compute its features again")
        require_captions_fit(self.name, self.captions, frames)

    @property
    def frames(self) -> int:
        """Number of frames, a multiple of four."""
        return self.duet.leader.frames

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / FPS

    @property
    def beats(self) -> Bool[Tensor, "T"]:
        """Return whether a beat of the music falls on each frame."""
        return self.music[:, BEAT] > 0

    def slice(self, start: int, stop: int) -> "DuetClip":
        """Return the frames from `start` up to `stop`, which must be whole tokens apart.

        The audio stays that of the whole clip.
        """
        duet = self.duet.slice(start, stop)
        return replace(
            self,
            duet=duet,
            music=self.music[start:stop],
            hold=self.hold[start:stop],
            audio_start=self.audio_start + start,
            captions=cut_captions(self.captions, start, duet.leader.frames),
        )


def align(
    duet: Duet,
    music: Float[Tensor, "T_music 54"],
    hold: Bool[Tensor, "T_hold 2 4"],
    **facts: Any,
) -> DuetClip:
    """Return a clip cut to the frames that motion, music and holds share, in whole tokens.

    Args:
        duet: 30 fps.
        music: features from the first frame of `duet` on.
        hold: holds from the first frame of `duet` on.
        facts: the other fields of `DuetClip`.

    Raises:
        InputError: less than one token is left.
    """
    shared = min(duet.leader.frames, len(music), len(hold))
    frames = shared // FRAME_MULTIPLE * FRAME_MULTIPLE
    if frames == 0:
        raise InputError(
            f"clip {facts.get('name')} has {duet.leader.frames} frames of motion and {len(music)} "
            f"of music; at least {FRAME_MULTIPLE} of each are wanted"
        )
    facts["captions"] = cut_captions(facts.get("captions", ()), 0, frames)
    return DuetClip(duet=duet.slice(0, frames), music=music[:frames], hold=hold[:frames], **facts)


def mirrored(clip: DuetClip) -> DuetClip:
    """Return the mirror image of a dance to the same music; left hands become right ones."""
    hold = clip.hold[:, [1, 0]][..., [1, 0, 2, 3]]
    return replace(
        clip,
        name=f"{clip.name}_mirrored",
        duet=clip.duet.mirrored(),
        hold=hold,
        captions=mirrored_captions(clip.captions),
    )


def to_arrays(clip: DuetClip) -> dict[str, np.ndarray]:
    """Return the tensors of a clip as plain arrays; `from_arrays` is the way back.

    Rotations are stored as 6D, which has no singular angle, unlike axis-angle.
    """
    arrays = {"music": clip.music.numpy(), "hold": clip.hold.numpy()}
    if clip.captions:
        arrays[CAPTIONS] = captions_to_array(clip.captions)
    for dancer in DANCERS:
        motion: Motion = getattr(clip.duet, dancer)
        arrays[f"{dancer}_root"] = motion.root.numpy()
        arrays[f"{dancer}_rotations"] = matrix_to_6d(motion.rotations).numpy()
        arrays[f"{dancer}_offsets"] = motion.skeleton.offsets.numpy()
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray], **facts: Any) -> DuetClip:
    """Return the clip whose tensors `to_arrays` wrote.

    Raises:
        InputError: an array is missing, has another shape, or holds NaN.
    """
    try:
        motions = [_motion_from(arrays, dancer) for dancer in DANCERS]
        music, hold = torch.from_numpy(arrays["music"]), torch.from_numpy(arrays["hold"])
    except KeyError as error:
        raise InputError(
            f"clip {facts.get('name')} has no array {error}; prepare it again"
        ) from error
    if music.ndim != 2 or music.shape[1] != MUSIC_DIMS:
        raise InputError(
            f"the music of clip {facts.get('name')} has the shape {tuple(music.shape)}; "
            f"(frames, {MUSIC_DIMS}) is wanted: prepare it again"
        )
    captions = captions_of_arrays(arrays, str(facts.get("name")))
    return DuetClip(duet=Duet(*motions), music=music, hold=hold, captions=captions, **facts)


def _motion_from(arrays: Mapping[str, np.ndarray], dancer: str) -> Motion:
    root, columns, offsets = (
        torch.from_numpy(arrays[f"{dancer}_{name}"]) for name in ("root", "rotations", "offsets")
    )
    return Motion.from_rotations(root, matrix_from_6d(columns), Skeleton(offsets, dancer), FPS)
