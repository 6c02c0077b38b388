"""The rewards of Bailando, a token: the dance's beats against the music's, and one-way halves."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from duet_rl.audio.beat_matching import nearest_beat
from duet_rl.audio.beats import motion_beats, published_motion_beats
from duet_rl.body.skeleton import JOINT, SMPL_JOINTS, UP
from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.rewards.duolando import TURN_SCALE, half_agreement

BAILANDO_CREDITS = ("upper", "lower", "left_hand", "right_hand", "placement")

BailandoForm = Literal["released", "paper", "corrected"]
"""Whose reward it is: that of the published program, that of the paper, or the paper's mended.

- `released`: a token earns 5 if music and dance both have a beat in it, and loses 5 otherwise, so
  that every token without a beat of the music costs, whatever is danced in it.
- `paper`: a token without a beat of the music earns 5; one with a beat earns 5 if the dance has
  one too, and loses 5 if not. The published program of Bailando++ has it.
- `corrected`: the paper's, but for what a dancer shows: the beats are those of the whole body on
  the floor (as the metric counts them, root and all) and no ripples; a beat that comes 0.05 s
  beside the music's keeps 0.61 of the way from -5 to 5, wherever tokens begin.
"""

FPS = 60.0  # of the published forms
FRAMES_PER_TOKEN = 8
REWARD = 5.0  # earned or lost

_SMOOTHING = 5 / FPS  # s; of the published forms' Gaussian over a body's speed
_BESIDE = 3 / FPS  # s beside the music's beat at which 0.61 is left, as in the metric (spec 6)
_TINY = 1e-8  # m^2; normals no longer than this say nothing of where a half faces


class BailandoConfig(Config):
    """Whose beat reward it is, and what halves that face opposite ways add to it."""

    form: BailandoForm = "paper"
    half_rate: float = Field(0.0, ge=0)  # times the agreement of the halves, in [-1, 1]; theirs: 0


class DanceAndBeats(NamedTuple):
    """A dance as the published reward looks at it: 60 fps, whole tokens of 8 frames."""

    pose: Float[Tensor, "B T 24 3"]  # m from the root; the root itself: m to the next frame
    beats: Bool[Tensor, "B T"]  # of the music


_DEFAULTS = BailandoConfig()


def bailando_reward(
    joints: Float[Tensor, "B T 55 3"],
    beats: Bool[Tensor, "B T"],
    fps: float,
    config: BailandoConfig = _DEFAULTS,
) -> Float[Tensor, "B T"]:
    """Score a dance, the same for all frames of a token: -5 to 5, and the halves' agreement.

    The published forms look at 60 frames a second, and frames in between are interpolated: of the
    4,828 tokens of 20 captured salsa dances, 97.3 % have or lack a dance beat as they do at 60 fps,
    and 99.2 % earn the same where the music beats every 0.45 s.

    Args:
        joints: the dancer, metres, Y-up.
        beats: of the music.
        fps: frames per second, 60 or 30: a token has 8 frames or 4.
        config: which form.

    Returns:
        `(B, T)`; never NaN.
    """
    times = _frames_at_60(fps)
    each = FRAMES_PER_TOKEN // times
    if config.form == "corrected":
        tokens = _beats_met(joints, beats, fps, each)
        if config.half_rate:
            agreement = half_agreement(joints).clamp_min(-TURN_SCALE)
            levels = torch.where(agreement < 0, agreement / TURN_SCALE, agreement)
            tokens = tokens + config.half_rate * _of_tokens(levels, each).amin(-1)
    else:
        shown = as_published(joints, beats, times)
        tokens = token_reward(shown.pose, shown.beats, config.form, config.half_rate)
    return tokens.repeat_interleave(each, dim=1)[:, : joints.shape[1]]


def token_reward(
    pose: Float[Tensor, "B T 24 3"],
    beats: Bool[Tensor, "B T"],
    form: Literal["released", "paper"],
    half_rate: float = 0.0,
) -> Float[Tensor, "B N"]:
    """Return the published reward of each token of 8 frames at 60 fps (spec section 5).

    Args:
        pose: joints from the root, metres; the root's own channel is its step to the next frame.
        beats: of the music.
        form: `released` or `paper`.
        half_rate: how much the agreement of the halves counts.
    """
    dance = _of_tokens(published_motion_beats(pose), FRAMES_PER_TOKEN).any(-1)
    music = _of_tokens(beats, FRAMES_PER_TOKEN).any(-1)
    earned = music & dance if form == "released" else ~music | dance
    reward = torch.where(earned, REWARD, -REWARD)
    if half_rate:
        reward = reward + half_rate * halves_agree(pose, "as_was" if form == "released" else "xyz")
    return reward


def halves_agree(
    pose: Float[Tensor, "B T 24 3"], axis: Literal["as_was", "xyz"] = "xyz"
) -> Float[Tensor, "B N"]:
    """Return whether chest and hips face one way in each token: 1, or down to -1 if opposite.

    The halves' directions are normals of planes through the root and both collar bones, or both
    knees, of which the level part counts; a token has its worst frame. The published program turns
    both by the sign of the upper one, which changes nothing, and so does this.

    Args:
        pose: joints from the root, metres.
        axis: of the cross product. `as_was` takes the first one of size 3 in (clips, tokens,
            frames, 3), which is not xyz where there are three clips or three tokens.
    """
    frames = _of_tokens(pose, FRAMES_PER_TOKEN)  # (B, N, 24, 3, 8)
    frames = frames.movedim(-1, 2)  # (B, N, 8, 24, 3)
    halves = []
    for first, second in (("right_collar", "left_collar"), ("left_knee", "right_knee")):
        a, b = frames[..., JOINT[first], :], frames[..., JOINT[second], :]
        dim = a.shape.index(3) if axis == "as_was" else -1
        normal = torch.linalg.cross(a, b, dim=dim)
        length = normal.norm(dim=-1, keepdim=True)
        halves.append(torch.where(length > _TINY, normal / length.clamp_min(_TINY), 0.0))
    level = pose.new_ones(3)
    level[UP] = 0
    agreement = (halves[0] * halves[1] * level).sum(-1).amin(-1)
    return torch.where(agreement >= 0, 1.0, agreement)


def as_published(
    joints: Float[Tensor, "B T 55 3"], beats: Bool[Tensor, "B T"], times: int
) -> DanceAndBeats:
    """Return a dance in the world as the published reward looks at it.

    Args:
        joints: metres, Y-up.
        beats: of the music.
        times: how many frames of 60 fps one frame makes; those in between are interpolated, and
            the last ones go on as the dance does.
    """
    body = joints[:, :, SMPL_JOINTS, :]
    ahead = torch.cat([body, 2 * body[:, -1:] - body[:, -2:][:, :1]], dim=1)
    steps = torch.diff(ahead, dim=1) / times  # (B, T, 24, 3)
    shares = torch.arange(times, device=joints.device).to(joints)[:, None, None]
    fine = (body[:, :, None] + steps[:, :, None] * shares).flatten(1, 2)
    root = steps[:, :, :1].repeat_interleave(times, dim=1)
    pose = torch.cat([root, fine[:, :, 1:] - fine[:, :, :1]], dim=2)
    told = beats.new_zeros(len(beats), beats.shape[1] * times)
    told[:, ::times] = beats
    return DanceAndBeats(pose, told)


def _beats_met(joints: Tensor, beats: Tensor, fps: float, each: int) -> Float[Tensor, "B N"]:
    """Return the mended reward: how near the dance's beats come to those of the music."""
    dance = motion_beats(joints[:, :, SMPL_JOINTS, :], fps, _SMOOTHING)
    beside = nearest_beat(dance, fps).distance / _BESIDE  # infinite without
    near = torch.exp(-0.5 * beside.square())
    best = _of_tokens(torch.where(beats, near, 0.0), each).amax(-1)
    music = _of_tokens(beats, each).any(-1)
    return torch.where(music, 2 * REWARD * best - REWARD, REWARD)


def _frames_at_60(fps: float) -> int:
    """Return how many frames of 60 fps one frame makes."""
    times = FPS / fps
    if times not in (1, 2, 4):
        raise InputError(
            f"the bailando reward looks at 60 frames a second and {fps:g} do not divide it; give "
            "60, 30 or 15, or set rewards.weights.bailando=0"
        )
    return int(times)


def _of_tokens(values: Tensor, each: int) -> Tensor:
    """Return the frames of each token, `(B, N, ..., each)`; the last may repeat its last one."""
    short = -values.shape[1] % each
    if short:
        values = torch.cat([values, values[:, -1:].expand(-1, short, *values.shape[2:])], dim=1)
    return values.unfold(1, each, each)
