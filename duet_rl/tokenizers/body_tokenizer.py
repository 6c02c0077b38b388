"""What a codec of couples asks of the tokenizer of its poses."""

from abc import abstractmethod
from typing import ClassVar

from jaxtyping import Int
from torch import Tensor

from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.part import POSE
from duet_rl.tokenizers.pose_heads import DecodedPose
from duet_rl.tokenizers.spec import Stream
from duet_rl.tokenizers.tokenizer import Tokenizer


class BodyTokenizer(Tokenizer):
    """Bodies to tokens and back; both dancers' bodies are its training data."""

    kind: ClassVar[str] = POSE

    @property
    @abstractmethod
    def streams(self) -> tuple[Stream, ...]:
        """The streams of a pose token."""

    @abstractmethod
    def encode(
        self, motion: MotionBatch, dancer: str = "follower", cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        """Return the tokens of a dancer's poses.

        Args:
            motion: `(B, T)` frames, a multiple of four.
            dancer: whose they are; keeps two dancers in one `cache` apart.
            cache: continues the clip it was used for before (causal tokenizers only).
        """

    @abstractmethod
    def decode(self, tokens: Int[Tensor, "B N S"], cache: StreamCache | None = None) -> DecodedPose:
        """Return the poses that tokens stand for, in their frame of reference."""

    @abstractmethod
    def loss(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise and what to log; in training, also move the codebooks.

        Args:
            motion: windows of either dancer.

        Returns:
            The loss, and detached scalars by name.
        """

    def forward(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return `loss(motion)`: what a data-parallel wrapper calls."""
        return self.loss(motion)
