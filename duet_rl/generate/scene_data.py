"""A dance as the page's script reads it: plain values, positions packed small."""

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.body.contact import PALM_KNUCKLES, hold_distances, planted_feet
from duet_rl.body.skeleton import JOINT, PARENTS, WRISTS
from duet_rl.drawing.figure import LIMBS, POINT_NAMES, POINT_WEIGHTS
from duet_rl.errors import InputError
from duet_rl.generate.media import mp3_of, sound_of
from duet_rl.generate.scene import DanceScene
from duet_rl.generate.scores import beat_flags, beats_heard, frame_scores

MILLIMETRES = 1000  # per metre; positions travel as whole millimetres
FARTHEST = 32.0  # m that whole millimetres of 16 bits reach to every side
PALM_REACH = 0.30  # m between palms at which the mark of touching hands begins to show
BODY_REACH = 0.08  # m between a palm and the partner's body, likewise
MARK_STRENGTH = 1.6  # the mark is full before the distance is zero
_FULL = np.iinfo(np.uint8).max  # a byte that means 1
_DIFFERENCES = 2  # times that positions are taken as steps from frame to frame
_ZLIB_LEVEL = 9

Joints = Float[Tensor, "T 55 3"]


def figure_data() -> dict[str, Any]:
    """Return what the page must know of bodies: points, limbs, palms and toes, by joint weights."""
    return {
        "parents": list(PARENTS),
        "points": [
            [[JOINT[joint], round(weight, 4)] for joint, weight in POINT_WEIGHTS[name].items()]
            for name in POINT_NAMES
        ],
        "limbs": [
            [
                POINT_NAMES.index(limb.start),
                POINT_NAMES.index(limb.end),
                limb.start_radius,
                limb.end_radius,
                limb.tint,
            ]
            for limb in LIMBS
        ],
        "palms": [
            [[wrist, 0.5], [knuckle, 0.5]]
            for wrist, knuckle in zip(WRISTS, PALM_KNUCKLES, strict=True)
        ],
        "feet": [
            [[JOINT[f"{side}_ankle"], 0.4], [JOINT[f"{side}_foot"], 0.6]]
            for side in ("left", "right")
        ],
    }


def scene_data(scene: DanceScene) -> dict[str, Any]:
    """Return a dance as values that JSON knows; what is long is bytes in base64.

    Positions are whole millimetres, packed by `pack_positions`; a dance far from the origin is
    moved over the floor to it. Marks are four bytes a frame: planted left and right foot, touching
    left and right palm. Scores are one byte a frame.

    Raises:
        InputError: the dancers are too far from each other, or the music cannot be read.
    """
    first = scene.first
    start = scene.audio_start
    sound = None if scene.audio is None else sound_of(scene.audio, first.seconds, start)
    beats = scene.beats
    if beats is None:
        heard = [] if scene.audio is None else beats_heard(scene.audio, start + first.seconds)
        beats = [beat - start for beat in heard if beat >= start]
    flags = beat_flags(beats, first.frames, first.fps)
    leader = None if scene.leader is None else _joints(scene.leader.joints)
    followers = {name: _joints(motion.joints) for name, motion in scene.followers.items()}
    middle = _far_middle([*followers.values(), *([] if leader is None else [leader])])
    leader = None if leader is None else leader - middle
    followers = {name: joints - middle for name, joints in followers.items()}
    on_floor = [*followers.values(), *([] if leader is None else [leader])]
    return {
        "name": scene.name,
        "note": scene.note,
        "fps": first.fps,
        "together": scene.together,
        "beats": [round(float(beat), 3) for beat in beats if beat < first.seconds],
        "audio": None if sound is None else _base64(mp3_of(sound)),
        "audio_type": "audio/mpeg",
        "leader": None
        if leader is None
        else {
            **_dancer(scene.leader_name, leader, on_floor if scene.together else []),
            "scores": {} if followers else _scores(leader, None, flags, first.fps, None),
        },
        "followers": [
            {
                **_dancer(name, joints, _others(scene, leader, on_floor)),
                "leader_marks": None if leader is None else _marks(leader, [joints]),
                "scores": _scores(joints, leader, flags, first.fps, scene.hold),
            }
            for name, joints in followers.items()
        ],
    }


def pack_positions(joints: Joints, name: str) -> str:
    """Return joints as whole millimetres, small: 160 kB a minute of salsa and not 600.

    Each joint is taken from its parent, then twice as the step from frame to frame (a joint that
    moves on evenly gives zeros), little-endian 16 bits that may wrap, joint by joint with time
    last, deflated. Nothing but the rounding is lost.

    Raises:
        InputError: a joint is farther from the origin than 16 bits reach.
    """
    if joints.abs().max() > FARTHEST:
        raise InputError(
            f"{name} is {joints.abs().max():.0f} m from the middle of the dance; the page reaches "
            f"{FARTHEST:g} m: check the file's scale, or cut it"
        )
    steps = (joints * MILLIMETRES).round().numpy().astype("<i2")
    steps[:, 1:] = steps[:, 1:] - steps[:, list(PARENTS)[1:]]
    for _ in range(_DIFFERENCES):
        steps = np.diff(steps, axis=0, prepend=np.zeros_like(steps[:1]))
    content = np.ascontiguousarray(steps.reshape(len(steps), -1).T)
    return _base64(zlib.compress(content.tobytes(), _ZLIB_LEVEL))


def _joints(joints: Tensor) -> Tensor:
    return joints.detach().cpu().float()


def _far_middle(on_floor: Sequence[Joints]) -> Float[Tensor, "3"]:
    """Return the middle, on the floor, of a dance that the page could not show where it is."""
    low = torch.stack([joints.amin((0, 1)) for joints in on_floor]).amin(0)
    high = torch.stack([joints.amax((0, 1)) for joints in on_floor]).amax(0)
    if max(-low.min(), high.max()) <= FARTHEST:
        return torch.zeros(3)
    return (low + high) / 2 * torch.tensor([1.0, 0.0, 1.0])


def _others(
    scene: DanceScene, leader: Joints | None, on_floor: Sequence[Joints]
) -> Sequence[Joints]:
    """Return whom a follower may touch."""
    if scene.together:
        return on_floor
    return [] if leader is None else [leader]


def _dancer(name: str, joints: Joints, others: Sequence[Joints]) -> dict[str, Any]:
    return {
        "name": name,
        "positions": pack_positions(joints, name),
        "marks": _marks(joints, others),
    }


def _touch(joints: Joints, partner: Joints) -> Float[Tensor, "T 2"]:
    """Return how much each palm touches the partner, 0 to 1."""
    distances = hold_distances(joints, partner)  # (T, 2, 4): two palms, shoulder, waist
    limits = distances.new_tensor([PALM_REACH, PALM_REACH, BODY_REACH, BODY_REACH])
    return ((1 - distances / limits).amax(dim=-1) * MARK_STRENGTH).clamp(0, 1)


def _marks(joints: Joints, others: Sequence[Joints]) -> str:
    touch = torch.zeros(len(joints), 2)
    for other in others:
        if other is not joints:
            touch = torch.maximum(touch, _touch(joints, other))
    return _share_bytes(torch.cat([planted_feet(joints).to(touch), touch], dim=-1))


def _scores(
    joints: Joints,
    leader: Joints | None,
    beats: Bool[Tensor, "T"],
    fps: float,
    hold: Bool[Tensor, "T 2 4"] | None,
) -> dict[str, str]:
    scores = frame_scores(joints, leader, beats, fps, hold)
    return {name: _share_bytes(score) for name, score in scores.items()}


def _share_bytes(shares: Float[Tensor, "*shape"]) -> str:
    """Return numbers from 0 to 1 as a byte each."""
    return _base64((shares * _FULL).round().to(torch.uint8).numpy().tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
