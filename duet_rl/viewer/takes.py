"""A take: one dance to look at, of a store or of files, with its music, beats and holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.features import BEAT, music_features_of
from duet_rl.body.contact import foot_slide, hold_due, planted_feet
from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.errors import InputError
from duet_rl.generate.media import SAMPLE_RATE, sound_of
from duet_rl.metrics.duet import HOLD_WITHIN
from duet_rl.rewards.foot import FootConfig
from duet_rl.viewer.tokens import TokenRows

TRUTH, TRUE_DANCER = "true partner", "true dancer"  # of couples; of who dances alone
_SLIDES = FootConfig().free_speed  # m/s; a planted foot that is faster slides


@dataclass(frozen=True, eq=False)
class Take:
    """What was danced, before any run dances it.

    Args:
        name: of the clip or the files.
        leader: None where the others dance alone.
        followers: by name; of a stored clip the true partner or dancer.
        beats: of the music, a row a frame.
        due: holds that are due; None if nobody said.
        audio: the sound, if there is any ...
        audio_start: ... and the second of it at which the dance begins.
        facts: one line about it.
        clip: as stored, for runs to dance with; None for files.
    """

    name: str
    leader: Motion | None
    followers: Mapping[str, Motion]
    beats: Bool[Tensor, "T"]
    due: Bool[Tensor, "T 2 4"] | None = None
    audio: Path | None = None
    audio_start: float = 0.0
    facts: str = ""
    clip: DuetClip | None = field(default=None, repr=False)

    @property
    def frames(self) -> int:
        return len(self.beats)

    def sound(self) -> Float[np.ndarray, "samples"] | None:
        """Return its music from the first frame on, mono, or None if it has none."""
        if self.audio is None:
            return None
        sound = sound_of(self.audio, self.audio_start + self.frames / FPS)
        return sound[round(self.audio_start * SAMPLE_RATE) :]


@dataclass(frozen=True, eq=False)
class Couple:
    """A follower beside the leader, and what is seen of them, frame by frame.

    Args:
        name: of the follower.
        leader: None if the follower dances alone.
        follower: None where there is a leader only.
        due: whether a hand (left, right) of the follower has something to hold.
        held: whether it holds something.
        planted: whether a foot (leader's left and right, follower's) is on the floor.
        slides: whether it slides there.
        tokens: of the follower.
    """

    name: str
    leader: Motion | None
    follower: Motion | None
    due: Bool[Tensor, "T 2"]
    held: Bool[Tensor, "T 2"]
    planted: Bool[Tensor, "T 4"]
    slides: Bool[Tensor, "T 4"]
    tokens: TokenRows | None = None

    @property
    def dancers(self) -> dict[str, Motion]:
        """Who dances: `leader` and `follower`, as far as they are there."""
        both = {"leader": self.leader, "follower": self.follower}
        return {role: motion for role, motion in both.items() if motion is not None}


def couple_of(
    take: Take, name: str, follower: Motion | None, tokens: TokenRows | None = None
) -> Couple:
    """Return what is seen of a follower who dances a take."""
    due = held = torch.zeros(take.frames, 2, dtype=torch.bool)
    if take.leader is not None and follower is not None:
        held = hold_due(take.leader.joints, follower.joints, FPS, threshold=HOLD_WITHIN).any(-1)
        due = held if take.due is None else take.due.any(-1)
    feet = [_feet(motion, take.frames) for motion in (take.leader, follower)]
    planted, slides = (torch.cat(parts, dim=-1) for parts in zip(*feet, strict=True))
    return Couple(name, take.leader, follower, due, held, planted, slides, tokens)


def take_of_clip(clip: DuetClip) -> Take:
    """Return a stored clip as a take."""
    music = "music recorded" if clip.music_source == "recorded" else "music made for it"
    facts = f"{clip.style}, {clip.tempo:.0f} beats a minute, {clip.seconds:.1f} s; {music}"
    return Take(
        clip.name,
        None if clip.solo else clip.duet.leader,
        {TRUE_DANCER if clip.solo else TRUTH: clip.duet.follower},
        clip.beats,
        None if clip.solo else clip.hold,
        clip.audio,
        clip.audio_start / FPS,
        f"{facts}; from {clip.source}",
        clip,
    )


def take_of_files(motions: Mapping[str, Motion], audio: Path | None = None) -> Take:
    """Return motions as one take: the first one leads, the others follow.

    Args:
        motions: by name, of any frame rate; cut to the shortest of them.
        audio: sound from the first frame on.

    Raises:
        InputError: no motion.
    """
    if not motions:
        raise InputError("no motion to show; give a file")
    timed = {name: motion.resample(FPS) for name, motion in motions.items()}
    frames = min(motion.frames for motion in timed.values())
    cut = {name: motion.slice(0, frames) for name, motion in timed.items()}
    leader, *others = cut
    facts = f"{frames / FPS:.1f} s"
    if others:
        facts = f"{leader} leads; {facts}"
    if len({motion.frames for motion in timed.values()}) > 1:
        facts += ", the length of the shortest"
    return Take(
        " + ".join(cut),
        cut[leader],
        {name: cut[name] for name in others},
        _beats(audio, frames),
        audio=audio,
        facts=facts,
    )


def _beats(audio: Path | None, frames: int) -> Bool[Tensor, "T"]:
    """Return the beats of a sound; none where it is over."""
    beats = torch.zeros(frames, dtype=torch.bool)
    if audio is not None:
        heard = torch.from_numpy(music_features_of(audio)[:frames, BEAT] > 0)
        beats[: len(heard)] = heard
    return beats


def _feet(motion: Motion | None, frames: int) -> tuple[Tensor, Tensor]:
    if motion is None:
        nothing = torch.zeros(frames, 2, dtype=torch.bool)
        return nothing, nothing
    planted = planted_feet(motion.joints)
    return planted, planted & (foot_slide(motion.joints, motion.fps) > _SLIDES)
