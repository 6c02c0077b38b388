"""Two roads from tokens to frames: what never looks ahead, and what decodes a window again."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import slerp
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.holding import begin_unbent
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_FORGET = 0.85  # share of the seam between two windows that is left a frame later


class Decoded(NamedTuple):
    """Frames of a follower, none or more."""

    joints: Float[Tensor, "T 55 3"]  # m
    rotations: Float[Tensor, "T 55 3 3"]  # local


def nothing(like: Tensor) -> Decoded:
    """Return no frames."""
    return Decoded(like.new_zeros(0, 55, 3), like.new_zeros(0, 55, 3, 3))


def leader_batch(joints: Float[Tensor, "T 55 3"]) -> MotionBatch:
    """Return the leader as the codec takes him; it looks at his joints alone."""
    rotations = torch.eye(3, device=joints.device).expand(1, *joints.shape[:2], 3, 3)
    return MotionBatch(joints[None], rotations)


class Road(ABC):
    """A leader in, token by token; the follower of its tokens out, `delay` tokens later."""

    delay: int
    codec: DuetCodec

    def hold(self, firmness: float) -> None:
        """Hold hands so firmly from the next token on; see `DuetCodec.holding`.

        Raises:
            InputError: a codec that bends no arms.
        """
        self.codec = self.codec.holding(firmness)

    @abstractmethod
    def features(self, leader: Float[Tensor, "4 55 3"]) -> Float[Tensor, "1 4 C"]:
        """Return what the follower sees of the leader's next token."""

    @abstractmethod
    def decode(self, tokens: Int[Tensor, "1 1 S"], leader: Float[Tensor, "4 55 3"]) -> Decoded:
        """Return the frames that the next token of the follower brings."""

    @abstractmethod
    def finish(self) -> Decoded:
        """Return the frames that were still waiting for later tokens."""


class CausalRoad(Road):
    """A codec that never looks ahead, with its caches: what the whole clip would have given."""

    def __init__(self, codec: DuetCodec) -> None:
        assert codec.config.frame.causal
        self.delay = 0
        self.codec = codec
        self._seen: StreamCache = {}
        self._danced: StreamCache = {}

    def features(self, leader: Float[Tensor, "4 55 3"]) -> Float[Tensor, "1 4 C"]:
        return self.codec.leader_features(leader_batch(leader), self._seen)

    def decode(self, tokens: Int[Tensor, "1 1 S"], leader: Float[Tensor, "4 55 3"]) -> Decoded:
        danced = self.codec.decode(tokens, leader_batch(leader), None, self._danced)
        return Decoded(danced.joints[0], danced.rotations[0])

    def hold(self, firmness: float) -> None:
        super().hold(firmness)
        begin_unbent(self._danced, self.codec.offsets)

    def finish(self) -> Decoded:
        return nothing(self.codec.offsets)


class WindowRoad(Road):
    """A codec that looks ahead: the last tokens are decoded anew each time, `delay` of them late.

    What it shows last is thus what it knows best without waiting longer. Two windows tell a frame
    a little differently; the seam fades.
    """

    def __init__(self, codec: DuetCodec, delay: int, window: int) -> None:
        assert delay < window
        self.codec, self.delay = codec, delay
        self._frames = window * FRAMES_PER_TOKEN
        self._window = window
        self._seen: Tensor | None = None  # (T, 55, 3), the leader's last frames
        self._led: Tensor | None = None  # (T, 55, 3), those of the tokens
        self._tokens: Tensor | None = None  # (1, n, S)
        self._shown = 0  # tokens shown
        self._begun = 0  # tokens danced
        self._last: Decoded | None = None  # the frame shown last, alone

    def features(self, leader: Float[Tensor, "4 55 3"]) -> Float[Tensor, "1 4 C"]:
        self._seen = _joined(self._seen, leader, self._frames, 0)
        return self.codec.leader_features(leader_batch(self._seen))[:, -FRAMES_PER_TOKEN:]

    def decode(self, tokens: Int[Tensor, "1 1 S"], leader: Float[Tensor, "4 55 3"]) -> Decoded:
        self._tokens = _joined(self._tokens, tokens, self._window, 1)
        self._led = _joined(self._led, leader, self._frames, 0)
        self._begun += 1
        return self._up_to(self._begun - self.delay)

    def finish(self) -> Decoded:
        return self._up_to(self._begun)

    def _up_to(self, tokens: int) -> Decoded:
        """Return the frames from the last that was shown up to a number of tokens."""
        fresh = tokens - self._shown
        if fresh <= 0 or self._tokens is None or self._led is None:
            return nothing(self.codec.offsets)
        danced = self.codec.decode(self._tokens, leader_batch(self._led))
        stop = danced.joints.shape[1] - (self._begun - tokens) * FRAMES_PER_TOKEN
        start = stop - fresh * FRAMES_PER_TOKEN
        self._shown = tokens
        cut = slice(start, stop)
        shown = Decoded(danced.joints[0, cut], danced.rotations[0, cut])
        if self._last is not None and start > 0:
            seam = slice(start - 1, start)
            before = Decoded(danced.joints[0, seam], danced.rotations[0, seam])
            shown = _mended(self._last, before, shown, self.codec.offsets)
        self._last = Decoded(shown.joints[-1:].clone(), shown.rotations[-1:].clone())
        return shown


def _joined(old: Tensor | None, new: Tensor, most: int, dim: int) -> Tensor:
    """Return `new` behind the last of `old`, at most so many."""
    joined = new if old is None else torch.cat([old, new], dim=dim)
    return joined.narrow(dim, max(joined.shape[dim] - most, 0), min(joined.shape[dim], most))


def _mended(
    shown: Decoded, before: Decoded, fresh: Decoded, offsets: Float[Tensor, "55 3"]
) -> Decoded:
    """Return fresh frames that begin where the last ended, although its window put it elsewhere.

    Args:
        shown: the last frame, as it was shown.
        before: the same frame in the new window.
        fresh: the frames after it in the new window.
        offsets: the bones.
    """
    left = _FORGET ** torch.arange(1, len(fresh.joints) + 1).to(fresh.joints)
    root = fresh.joints[:, 0] + left[:, None] * (shown.joints[:, 0] - before.joints[:, 0])
    turn = shown.rotations @ before.rotations.mT  # from the window's frame to that shown
    still = torch.eye(3).to(turn).expand_as(fresh.rotations)
    eased = slerp(still, turn.expand_as(fresh.rotations), left[:, None])
    rotations = eased @ fresh.rotations
    return Decoded(forward_kinematics(rotations, root, offsets).joints, rotations)
