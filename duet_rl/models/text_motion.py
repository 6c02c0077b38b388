"""The evaluator of text and motion: two networks that put both into one space.

Guo et al., Generating Diverse and Natural 3D Human Motions from Text (CVPR 2022): motion goes
through two strided convolutions, text and motion each through a bidirectional GRU.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.config import Config

UNIT = 4  # frames that the convolutions make one step of
_SLOPE = 0.2  # of the leaky rectifiers below zero
_KERNEL, _STRIDE, _PAD = 4, 2, 1


class TextMotionConfig(Config):
    """Sizes of the evaluator; the defaults are those of the published one for HumanML3D."""

    movement_hidden: int = Field(512, ge=1)
    movement: int = Field(512, ge=1)  # channels of a step of the movement
    motion_hidden: int = Field(1024, ge=1)  # of the motion's GRU, each way
    text_hidden: int = Field(512, ge=1)  # of the text's GRU, each way
    width: int = Field(512, ge=1)  # of the common space
    dropout: float = Field(0.2, ge=0, lt=1)  # between the convolutions


class MovementEncoder(nn.Module):
    """Motion features, four frames a step.

    Args:
        channels: of the features.
        hidden: channels between the two convolutions.
        width: channels of a step.
        dropout: after each convolution, in training.
    """

    def __init__(self, channels: int, hidden: int, width: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.down = nn.Conv1d(channels, hidden, _KERNEL, _STRIDE, _PAD)
        self.down_again = nn.Conv1d(hidden, width, _KERNEL, _STRIDE, _PAD)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, width)

    def forward(
        self, features: Float[Tensor, "B T C"], frames: Int[Tensor, "B"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return `N = T // 4` steps.

        Args:
            features: of motions, zeros after the end of the shorter ones.
            frames: of each motion, so that its last step does not depend on the longest of the
                batch; None: as published, where it does.
        """
        steps = features.mT
        for convolution in (self.down, self.down_again):
            steps = F.leaky_relu(self.dropout(convolution(steps)), _SLOPE)
            if frames is not None:
                frames = frames // _STRIDE
                places = torch.arange(steps.shape[-1], device=steps.device)
                steps = steps * (places < frames[:, None])[:, None]
        return self.out(steps.mT)


class SequenceEncoder(nn.Module):
    """A bidirectional GRU that makes one vector of a sequence.

    Args:
        channels: of the sequence.
        hidden: of the GRU, each way.
        mixed: channels of what the two ways together become first.
        width: of the vector.
    """

    def __init__(self, channels: int, hidden: int, mixed: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(channels, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.start = nn.Parameter(torch.randn(2, 1, hidden))
        self.out = nn.Sequential(
            nn.Linear(2 * hidden, mixed),
            nn.LayerNorm(mixed),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(mixed, width),
        )

    def forward(
        self, sequence: Float[Tensor, "B N C"], lengths: Int[Tensor, "B"]
    ) -> Float[Tensor, "B D"]:
        """Return a vector of the first `lengths` steps of each sequence, one at least."""
        packed = nn.utils.rnn.pack_padded_sequence(
            self.into(sequence), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        start = self.start.expand(-1, len(sequence), -1).contiguous()
        _, last = self.gru(packed, start)
        return self.out(torch.cat([last[0], last[1]], dim=-1))


class Embedded(NamedTuple):
    """Texts and motions in the common space."""

    texts: Float[Tensor, "B D"]
    motions: Float[Tensor, "B D"]


class MotionReader(nn.Module):
    """Motion features into the common space.

    Args:
        channels: of the features.
        config: sizes.
    """

    def __init__(self, channels: int, config: TextMotionConfig) -> None:
        super().__init__()
        self.movement = MovementEncoder(
            channels, config.movement_hidden, config.movement, config.dropout
        )
        hidden = config.motion_hidden
        self.sequence = SequenceEncoder(config.movement, hidden, hidden, config.width)

    def forward(
        self, features: Float[Tensor, "B T C"], frames: Int[Tensor, "B"], apart: bool = False
    ) -> Float[Tensor, "B D"]:
        """Return a vector of the first `frames` frames of each motion, four at least.

        Args:
            features: zeros after the last frame of each.
            frames: of each motion.
            apart: no motion depends on how long others of the batch are; as published one does.
        """
        steps = self.movement(features, frames if apart else None)
        return self.sequence(steps, frames // UNIT)


class TextMotionEvaluator(nn.Module):
    """The published evaluator: word vectors with tags of their kind, and motion features.

    Args:
        motion_channels: of the motion features that are read.
        word_channels: of a word's vector.
        tags: kinds of words.
        config: sizes.
    """

    def __init__(
        self,
        motion_channels: int,
        word_channels: int,
        tags: int,
        config: TextMotionConfig = TextMotionConfig(),
    ) -> None:
        super().__init__()
        self.config = config
        self.motion = MotionReader(motion_channels, config)
        self.embed_tag = nn.Linear(tags, word_channels)
        hidden = config.text_hidden
        self.text = SequenceEncoder(word_channels, hidden, config.width, config.width)

    def embed_motion(
        self, features: Float[Tensor, "B T C"], frames: Int[Tensor, "B"]
    ) -> Float[Tensor, "B D"]:
        """Return motions in the common space.

        Args:
            features: normalised; more channels than are read may come after them (contacts).
            frames: of each motion; those after them are not looked at but by the convolutions.
        """
        return self.motion(features[..., : self.motion.movement.down.in_channels], frames)

    def embed_text(
        self,
        words: Float[Tensor, "B L W"],
        tags: Float[Tensor, "B L G"],
        lengths: Int[Tensor, "B"],
    ) -> Float[Tensor, "B D"]:
        """Return texts in the common space.

        Args:
            words: vectors of the words, begin and end among them.
            tags: one-hot, what kind of word each is.
            lengths: words of each text.
        """
        return self.text(words + self.embed_tag(tags), lengths)
