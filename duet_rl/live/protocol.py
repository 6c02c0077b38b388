"""What client and server say to each other; docs/live.md tells it to people."""

import json
import struct
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.skeleton import JOINT_NAMES, NUM_JOINTS, default_skeleton
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.live.ear import RATES
from duet_rl.live.intake import LeaderFrame
from duet_rl.live.settings import DialConfig
from duet_rl.live.skeleton import (
    HEAD,
    PLACED,
    TURNED,
    SkeletonHello,
    TheirFrame,
    matrices,
    placed_message,
    their_frame,
    their_values,
)
from duet_rl.mocap.stream import StreamSkeleton

VERSION = 1
SOUND, FOLLOWER, COUPLE = 2, 3, 4  # first byte of binary messages that are no poses
_NUMBERS = 3 * NUM_JOINTS
_SOUND = struct.Struct("<B3x")  # kind; then int16 samples, mono
_SHOWN = struct.Struct("<B3xId")  # kind, number of the frame, time in s; then float32, metres


class Hello(DialConfig):
    """The first message of a client; a dial that it leaves out is the server's."""

    type: Literal["hello"]
    version: Literal[1] = 1
    role: Literal["dancer", "watcher"] = "dancer"
    joints: int = NUM_JOINTS
    skeleton: SkeletonHello | None = None  # None: our 55 joints come, in metres
    sound: float | None = Field(None, ge=RATES[0], le=RATES[1])  # Hz; None: no sound comes
    answer: Literal["binary", "json"] = "binary"
    seed: int = Field(0, ge=0, lt=2**31)
    couple: int | None = None  # a watcher's; None: the newest


class Dials(DialConfig):
    """What is changed in the midst of a dance."""

    type: Literal["dials"]


class Bye(NamedTuple):
    """The leader dances no more; what waits for a future comes now."""


class Sound(NamedTuple):
    """The next samples of the music."""

    samples: Float[np.ndarray, "samples"]  # -1 to 1


class Shown(NamedTuple):
    """A frame to be sent."""

    number: int
    time: float  # s, by the leader's clock
    follower: Float[Tensor, "55 3"]  # m
    leader: Float[Tensor, "55 3"]  # m


Message = Hello | Dials | Bye | Sound | LeaderFrame | TheirFrame


def read(message: str | bytes, skeleton: StreamSkeleton | None = None) -> Message:
    """Return what a client says.

    Args:
        message: text or bytes.
        skeleton: whose poses come; None: of our 55 joints.

    Raises:
        InputError: it is no message of this protocol; the connection may go on.
    """
    if isinstance(message, bytes):
        return _read_binary(message, skeleton)
    return _read_json(message, skeleton)


def say(kind: str, **facts: Any) -> str:
    """Return a JSON message."""
    return json.dumps({"type": kind, **facts})


def answer(shown: Shown, how: Literal["binary", "json"]) -> str | bytes:
    """Return a frame of the follower as its dancer gets it."""
    if how == "json":
        joints = [[round(x, 4) for x in joint] for joint in shown.follower.tolist()]
        return say("follower", frame=shown.number, time=shown.time, joints=joints)
    head = _SHOWN.pack(FOLLOWER, shown.number, shown.time)
    return head + shown.follower.numpy().astype("<f4").tobytes()


def couple_frame(shown: Shown) -> bytes:
    """Return a frame of both as watchers get it: the leader's 165 numbers, then the follower's."""
    both = torch.stack([shown.leader, shown.follower]).numpy().astype("<f4")
    return _SHOWN.pack(COUPLE, shown.number, shown.time) + both.tobytes()


def pose_message(time: float, joints: Float[Tensor, "55 3"]) -> bytes:
    """Return a pose of our joints, metres, as clients send it."""
    return placed_message(time, joints)


def sound_message(samples: Float[np.ndarray, "samples"]) -> bytes:
    """Return sound as clients send it."""
    return _SOUND.pack(SOUND) + (samples.clip(-1, 1) * 32767).astype("<i2").tobytes()


def shown_of(message: bytes) -> Shown:
    """Return the frame in a binary answer; a dancer's own leader is not in it and NaN."""
    kind, number, time = _SHOWN.unpack_from(message)
    numbers = torch.from_numpy(np.frombuffer(message, "<f4", offset=_SHOWN.size).copy())
    bodies = numbers.reshape(-1, NUM_JOINTS, 3)
    leader = bodies[0] if kind == COUPLE else torch.full_like(bodies[0], float("nan"))
    return Shown(number, time, bodies[-1], leader)


def _read_binary(message: bytes, skeleton: StreamSkeleton | None) -> Message:
    kind = message[0] if message else None
    if kind == SOUND and len(message) % 2 == 0 and len(message) >= _SOUND.size:
        samples = np.frombuffer(message, "<i2", offset=_SOUND.size)
        return Sound(samples.astype(np.float32) / 32768)
    if skeleton is not None and kind in (PLACED, TURNED):
        return their_frame(message, skeleton)
    if kind == PLACED and len(message) == HEAD.size + 4 * _NUMBERS:
        time = HEAD.unpack_from(message)[1]
        numbers = np.frombuffer(message, "<f4", offset=HEAD.size).astype(np.float32)
        return LeaderFrame(time, torch.from_numpy(numbers).reshape(NUM_JOINTS, 3))
    raise InputError(
        f"a binary message of {len(message)} bytes and kind {kind}; wanted kind {PLACED} with "
        f"{HEAD.size + 4 * _NUMBERS} bytes (a pose) or kind {SOUND} with int16 samples; for other "
        "joints say the skeleton in hello"
    )


def _read_json(message: str, skeleton: StreamSkeleton | None) -> Message:
    try:
        values = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a message that is no JSON: {str(error)[:80]}") from None
    kind = values.get("type") if isinstance(values, dict) else None
    if kind == "hello":
        hello = validate(Hello, values, "hello")
        if hello.joints != NUM_JOINTS:
            raise InputError(
                f"a leader of {hello.joints} joints; wanted the {NUM_JOINTS} of SMPL-X in the "
                "order of joint_names, or root and rotations; for another skeleton say it: "
                '"skeleton": {"names": ..., "parents": ..., "offsets": ...}, see docs/live.md'
            )
        return hello
    if kind == "dials":
        return validate(Dials, values, "dials")
    if kind == "bye":
        return Bye()
    if kind == "pose":
        return _read_pose(values) if skeleton is None else their_values(values, skeleton)
    raise InputError(
        f"a message of type {str(kind)[:40]!r}; wanted hello, pose, dials or bye, or binary"
    )


def _read_pose(values: dict[str, Any]) -> LeaderFrame:
    try:
        time = float(values["time"])
        if "joints" in values:
            joints = np.asarray(values["joints"], dtype=np.float32).reshape(NUM_JOINTS, 3)
            return LeaderFrame(time, torch.from_numpy(joints))
        root = np.asarray(values["root"], dtype=np.float32).reshape(3)
        turns = np.asarray(values["rotations"], dtype=np.float32).reshape(NUM_JOINTS, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"a pose with {str(error)[:60]}; wanted time and joints (55 x 3, metres), or time, "
            "root (3, metres) and rotations (55 x 4, w x y z, each joint from its parent)"
        ) from None
    rotations = matrices(torch.from_numpy(turns))
    offsets = default_skeleton().offsets
    posed = forward_kinematics(rotations[None], torch.from_numpy(root)[None], offsets)
    return LeaderFrame(time, posed.joints[0])


WELCOME_FACTS: dict[str, Any] = {"version": VERSION, "fps": 30, "joint_names": list(JOINT_NAMES)}
