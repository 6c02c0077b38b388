"""How much of what texts say is true of motions."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class FactShare(NamedTuple):
    """How many facts were said, and how many of them are true; NaN for none."""

    said: int
    true: int

    @property
    def share(self) -> float:
        """True facts of all that were said."""
        return self.true / self.said if self.said else float("nan")


def fact_accuracy(
    texts: Sequence[str],
    joints: Sequence[Float[Tensor, "_ _ 3"]],
    partners: Sequence[Float[Tensor, "_ _ 3"]] | None = None,
) -> dict[str, FactShare]:
    """Return for each kind of fact, and for `all`, how many of those in the texts are true."""
    raise NotImplementedError
