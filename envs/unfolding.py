"""How a follower unfolds token by token: streamed where the codec is causal, else re-decoded."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.duet import DecodedFollower, DuetCodec, MotionBatch
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, TokenSpec
from envs.scene import Scene


@runtime_checkable
class Codec(Protocol):
    """What the dance needs of a tokenizer; `DuetCodec` is one."""

    spec: TokenSpec

    def decode(self, tokens: Tensor, leader: MotionBatch) -> DecodedFollower:
        """Return the follower that dances `tokens` beside `leader`."""

    def leader_features(self, leader: MotionBatch) -> Tensor:
        """Return what a follower is told of the leader, `(B, T, C)`."""


@runtime_checkable
class TokenCodec(Codec, Protocol):
    """What the dance needs besides for followers that are told the leader's tokens."""

    def leader_token_rows(self, leader: MotionBatch) -> Tensor:
        """Return the leader's tokens for windows that begin at any frame, `(B, T, S)`."""

    def first_tokens(self, leader: MotionBatch, follower: MotionBatch) -> Tensor:
        """Return the tokens that a dance of `follower` begins with, `(B, 1, S)`."""


@runtime_checkable
class Unfolding(Protocol):
    """A follower that is decoded while it dances."""

    def newest(self, tokens: Int[Tensor, "B N S"], scene: Scene, start: int) -> DecodedFollower:
        """Return token steps `start` to the newest of the follower that dances `tokens`.

        It is called once for every token, in order, with all tokens up to then.
        """


class WindowUnfolding:
    """Decode the last tokens anew at every step; the frames before the newest may still change.

    Args:
        codec: of the tokens.
        whole: decode all tokens so far, where a dancer's place follows from all of his steps.
    """

    def __init__(self, codec: Codec, whole: bool = False) -> None:
        self.codec, self.whole = codec, whole

    def newest(self, tokens: Int[Tensor, "B N S"], scene: Scene, start: int) -> DecodedFollower:
        begin, stop = 0 if self.whole else start, tokens.shape[1]
        danced = self.codec.decode(tokens[:, begin:], scene.steps(begin, stop).leader)
        frames = (stop - start) * FRAMES_PER_TOKEN
        return DecodedFollower(*(part[:, -frames:] for part in danced))


class StreamUnfolding:
    """Decode each token once and keep what was shown; equals decoding the whole dance."""

    def __init__(self, codec: DuetCodec) -> None:
        self.codec = codec
        self._cache: StreamCache = {}
        self._shown: DecodedFollower | None = None
        self._begin = 0  # token step that `_shown` starts with

    def newest(self, tokens: Int[Tensor, "B N S"], scene: Scene, start: int) -> DecodedFollower:
        stop = tokens.shape[1]
        leader = scene.steps(stop - 1, stop).leader
        piece = self.codec.decode(tokens[:, stop - 1 :], leader, cache=self._cache)
        if self._shown is None:
            self._shown = piece
        else:
            old = (start - self._begin) * FRAMES_PER_TOKEN
            pairs = zip(self._shown, piece, strict=True)
            self._shown = DecodedFollower(*(torch.cat([x[:, old:], y], 1) for x, y in pairs))
        self._begin = start
        return self._shown


def unfold(codec: Codec) -> Unfolding:
    """Return the way in which `codec` can decode a dance that begins now."""
    if isinstance(codec, DuetCodec) and codec.config.frame.causal:
        return StreamUnfolding(codec)
    return WindowUnfolding(codec, whole=_adds_up(codec))


def _adds_up(codec: Codec) -> bool:
    """Return whether a dancer's place follows from all of his steps."""
    if isinstance(codec, DuetCodec):
        return codec.config.placement.relative_to == "start"
    return isinstance(codec, SoloCodec)
