"""What can be said of a motion and checked against it: facts, when they hold, and captions."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

Kind = Literal["state", "transition", "symmetric", "travel", "turn", "pace", "couple"]
When = Literal["", "first", "last", "then", "while"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Fact:
    """One thing that is true of a motion or not.

    Args:
        kind: what sort of thing is said; `symmetric` are states and transitions of both sides.
        subject: of whom or what, such as `left arm`, `both knees` or `dancer`.
        what: what is said of it, such as `above head`, `raises` or `left half`.
        when: nothing: at any time; `first` and `last`: it begins in the first, or ends in the last
            third; `then` and `while`: it begins later than the other fact, or at the same time
            for a while.
        other: the fact that `then` and `while` speak of.
    """

    kind: Kind
    subject: str
    what: str
    when: When = ""
    other: "Fact | None" = None

    def __post_init__(self) -> None:
        assert (self.other is not None) == (self.when in ("then", "while")), self

    @property
    def bare(self) -> "Fact":
        """The same fact at any time."""
        return replace(self, when="", other=None)

    @property
    def key(self) -> str:
        """The bare fact as one text, for tables and files, such as `state/left arm/raised`."""
        return "/".join((self.kind, self.subject, self.what))


@dataclass(frozen=True)
class Stated:
    """A fact, and the frames `start` to before `stop` in which it holds or happens."""

    fact: Fact
    start: int
    stop: int

    @property
    def frames(self) -> int:
        """For how long it lasts."""
        return self.stop - self.start


@dataclass(frozen=True)
class Caption:
    """A text of one or more sentences, the facts that it says, in their order, and where they hold.

    Args:
        text: what a person reads.
        facts: what `parse(text)` gives again.
        stated: for each fact the stretch of the motion that it was read from.
    """

    text: str
    facts: tuple[Fact, ...]
    stated: tuple[Stated, ...] = ()
