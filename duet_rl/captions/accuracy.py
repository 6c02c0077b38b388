"""How much of what texts say is true of motions."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from duet_rl.captions.detect import facts_of, true_among
from duet_rl.captions.facts import KINDS
from duet_rl.captions.parse import read
from duet_rl.errors import InputError

ALL = "all"


class FactShare(NamedTuple):
    """How many facts were said, and how many of them are true."""

    said: int
    true: int

    @property
    def share(self) -> float:
        """True facts of all that were said; NaN where none was."""
        return self.true / self.said if self.said else float("nan")


def fact_accuracy(
    texts: Sequence[str],
    joints: Sequence[Float[Tensor, "_ _ 3"]],
    partners: Sequence[Float[Tensor, "_ _ 3"]] | None = None,
) -> dict[str, FactShare]:
    """Return for each kind of fact, and for all, how many of those in the texts are true.

    What of a text is not understood counts neither way.

    Args:
        texts: one a motion.
        joints: the motions, metres, 30 fps, each of its own length.
        partners: the other dancers, without whom no fact of a couple is true.

    Raises:
        InputError: not as many texts as motions, or as `facts_of`.
    """
    if len(texts) != len(joints) or (partners is not None and len(partners) != len(joints)):
        raise InputError(f"{len(texts)} texts for {len(joints)} motions; give one text a motion")
    said, true = Counter[str](), Counter[str]()
    for index, (text, motion) in enumerate(zip(texts, joints, strict=True)):
        stated = facts_of(motion, None if partners is None else partners[index])
        for fact in read(text).facts:
            for kind in (fact.kind, ALL):
                said[kind] += 1
                true[kind] += true_among(fact, stated, len(motion))
    return {kind: FactShare(said[kind], true[kind]) for kind in (*KINDS, ALL)}
