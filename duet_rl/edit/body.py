"""A body as edits change it."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Body(NamedTuple):
    """Local rotations, and where the root is, metres."""

    rotations: Float[Tensor, "T 55 3 3"]
    root: Float[Tensor, "T 3"]
