"""What env runners send home and the memory keeps: packed rollouts, without torch or Ray."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int16

ARRAYS = ("tokens", "log_probs", "rewards")
NUMBERS = ("clip", "frame", "version")


@dataclass(frozen=True, eq=False)
class RolloutGroup:
    """`R` rollouts that follow one leader window, as small as they travel.

    Music and leader are not here: `clip` and `frame` name them, and the learner looks them up.
    `len()` is the number of token steps, which is what RLlib counts.
    """

    clip: int  # index of the clip in its split
    frame: int  # the first of the window within its clip
    version: int  # of the weights that sampled the tokens
    tokens: Int16[np.ndarray, "R N S"]
    log_probs: Float32[np.ndarray, "R N S"]  # of the behaviour policy
    rewards: Float32[np.ndarray, "R N S"]  # each stream its own
    means: dict[str, float] = field(default_factory=dict)  # of each reward term, for the log
    watched: dict[str, float] = field(default_factory=dict)  # likewise, what is not rewarded

    def __len__(self) -> int:
        return self.tokens.shape[0] * self.tokens.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(getattr(self, name).nbytes for name in ARRAYS)

    def to_keep(self) -> "RolloutGroup":
        """Return what is learned from, in memory of its own.

        What comes from Ray, or out of a checkpoint, is a view that would keep all of it there.
        """
        arrays = {name: getattr(self, name).copy() for name in ARRAYS}
        return RolloutGroup(**{name: getattr(self, name) for name in NUMBERS}, **arrays)
