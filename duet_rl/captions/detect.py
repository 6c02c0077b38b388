"""Which facts hold of a motion, and when."""

from jaxtyping import Float
from torch import Tensor

from duet_rl.captions.facts import Fact, Stated


def facts_of(
    joints: Float[Tensor, "T J 3"], partner: Float[Tensor, "T J 3"] | None = None
) -> list[Stated]:
    """Return all facts of one dancer, in the order in which they begin.

    Args:
        joints: metres, Y-up, 30 fps.
        partner: joints of the other dancer, for facts of the couple.
    """
    raise NotImplementedError


def holds(
    fact: Fact, joints: Float[Tensor, "T J 3"], partner: Float[Tensor, "T J 3"] | None = None
) -> bool:
    """Return whether a fact is true of a motion."""
    raise NotImplementedError
