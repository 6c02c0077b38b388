"""What a motion token is: a row of categorical streams, one row for every four frames."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.streams import DROPPED as DROPPED  # token of a residual level left out

FRAMES_PER_TOKEN = 4

# Kinds of streams, by what their classes are:
CODE = "code"  # the codes of a learned codebook
POSE_CODE = "pose"  # the classes of a group of readable pose codes
RESIDUAL = "residual"  # the codes of a level that adds to what other streams tell


@dataclass(frozen=True)
class Stream:
    """One row of tokens.

    Args:
        name: unique within its spec, e.g. `placement_fine`.
        classes: how many values a token of this stream can take.
        part: what the stream moves: a body part or `placement`.
        kind: what its classes are: `CODE`, `POSE_CODE` or `RESIDUAL`.
        level: 0, or the depth of a residual level.
    """

    name: str
    classes: int
    part: str
    kind: str = CODE
    level: int = 0


@dataclass(frozen=True)
class TokenSpec:
    """The streams of a motion token, in the order of the last axis of a token tensor."""

    streams: tuple[Stream, ...]

    def __post_init__(self) -> None:
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated or not self.streams:
            raise InputError(f"a TokenSpec wants streams of distinct names, found {self.names}")

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each stream."""
        return tuple(stream.name for stream in self.streams)

    @property
    def classes(self) -> tuple[int, ...]:
        """The number of classes of each stream."""
        return tuple(stream.classes for stream in self.streams)

    @property
    def parts(self) -> tuple[str, ...]:
        """What each stream moves."""
        return tuple(stream.part for stream in self.streams)

    def validate(self, tokens: Int[Tensor, "B N S"]) -> None:
        """Refuse tokens that this spec cannot mean; a residual level may be `DROPPED`.

        Raises:
            InputError: another number of streams, or a token outside the classes of its stream.
        """
        if tokens.shape[-1] != len(self):
            raise InputError(
                f"the tokens have {tokens.shape[-1]} streams, wanted {len(self)} "
                f"({', '.join(self.names)}); encode them with the codec that decodes them"
            )
        for index, stream in enumerate(self.streams):
            row = tokens[..., index]
            least = DROPPED if stream.kind == RESIDUAL else 0
            if row.numel() and not least <= int(row.min()) <= int(row.max()) < stream.classes:
                raise InputError(
                    f"stream {stream.name} holds tokens from {int(row.min())} to {int(row.max())}, "
                    f"wanted {least} to {stream.classes - 1}; use the codec that made them"
                )


def check_frames(frames: int, frames_per_token: int = FRAMES_PER_TOKEN) -> None:
    """Refuse a clip that does not divide into tokens.

    Raises:
        InputError: `frames` is no multiple of `frames_per_token`, or zero.
    """
    if frames == 0 or frames % frames_per_token:
        raise InputError(
            f"{frames} frames do not divide into tokens of {frames_per_token} frames; "
            "trim or pad the clip"
        )
