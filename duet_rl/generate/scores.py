"""How good each frame of a dance is, as the rewards see it: curves to be read beside the dance."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.audio.features import BEAT, music_features_of
from duet_rl.body.contact import hold_due
from duet_rl.datasets.clip import FPS
from duet_rl.rewards.beat import beat_reward
from duet_rl.rewards.contact import contact_reward
from duet_rl.rewards.foot import foot_reward


def frame_scores(
    joints: Float[Tensor, "T 55 3"],
    leader: Float[Tensor, "T 55 3"] | None,
    beats: Bool[Tensor, "T"],
    fps: float,
    hold: Bool[Tensor, "T 2 4"] | None = None,
) -> dict[str, Float[Tensor, "T"]]:
    """Return the rewards of every frame, 0 to 1: `contact`, `foot` and `beat`, as far as they mean
    anything.

    Contact needs a leader, beat needs music that has beats. The settings are the rewards' own.

    Args:
        joints: of the dancer, metres.
        leader: joints of the partner; None for a dancer alone.
        beats: music beats.
        fps: frames per second.
        hold: the holds that are due; None takes those that the dancer keeps, so that contact tells
            how well he keeps them.
    """
    heard = beats[None] if bool(beats.any()) else None
    scores = {}
    if leader is not None:
        due = hold_due(leader, joints, fps) if hold is None else hold
        scores["contact"] = contact_reward(joints[None], leader[None], due[None], fps)[0]
    beside = None if leader is None else leader[None]
    scores["foot"] = foot_reward(joints[None], fps, leader=beside, beats=heard)[0]
    if heard is not None:
        scores["beat"] = beat_reward(joints[None], heard, fps)[0]
    return scores


def beat_flags(beats: Sequence[float], frames: int, fps: float) -> Bool[Tensor, "T"]:
    """Return which frames are nearest to a beat; `beats` in seconds."""
    flags = torch.zeros(frames, dtype=torch.bool)
    nearest = [round(beat * fps) for beat in beats]
    flags[[frame for frame in nearest if 0 <= frame < frames]] = True
    return flags


def beats_heard(audio: Path | str, seconds: float) -> list[float]:
    """Return when the first `seconds` of a sound file have beats, in seconds; none in silence."""
    flags = music_features_of(audio)[:, BEAT]
    return [frame / FPS for frame in flags.nonzero()[0].tolist() if frame / FPS < seconds]
