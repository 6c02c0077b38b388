"""What a row of a pose-code table says: what is measured, where its classes end, their words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from duet_rl.body.skeleton import JOINT, LOWER
from duet_rl.errors import InputError
from duet_rl.posecodes.operators import OPERATORS, Operator, capsule_of
from duet_rl.posecodes.points import MARKS, PARTNER, POINT, point_words

FULL_TURN = 360.0  # deg


@dataclass(frozen=True)
class Scale:
    """Where the classes of a value end, and what each is called.

    Args:
        thresholds: ascending, degrees or metres; a value up to and with the i-th is of class i, and
            one beyond the last of the class after it.
        words: one a class, as they stand between the two things that are compared.
        plain: coarser words, one a class, which neighbours may share; `words` if left out.
        jitter: the largest offset by which training may blur a value, in its unit.
        cyclic: values are angles that come round: beyond the last threshold the first class
            begins again, so that there are as many words as thresholds.

    Raises:
        InputError: no thresholds, or such as do not ascend; words missing or told twice.
    """

    thresholds: tuple[float, ...]
    words: tuple[str, ...]
    plain: tuple[str, ...] = ()
    jitter: float = 0.0
    cyclic: bool = False

    def __post_init__(self) -> None:
        ascending = all(low < high for low, high in pairwise(self.thresholds))
        if not self.thresholds or not ascending or not all(map(math.isfinite, self.thresholds)):
            raise InputError(f"thresholds {self.thresholds}; wanted ascending numbers, one or more")
        wanted = len(self.thresholds) + (not self.cyclic)
        for words in (self.words, self.plain or self.words):
            if len(words) != wanted or not all(word.strip() for word in words):
                raise InputError(f"{words} for {wanted} classes; give each class a word")
        twice = sorted({word for word in self.words if self.words.count(word) > 1})
        if twice:
            raise InputError(f"two classes are both called {twice}; give each a word of its own")
        if not 0 <= self.jitter < math.inf:
            raise InputError(f"a jitter of {self.jitter}; wanted 0 or more")

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.words)


@dataclass(frozen=True)
class Row:
    """One group of codes: exactly one of its classes holds in every frame.

    Args:
        operator: what is measured, a key of `OPERATORS`.
        points: names of the points, `POINT`.
        scale: classes and words.
        subject: what the words are said of; the first point (of an angle, the second) if left out.
        object: what the subject is compared with; the last of two points if left out, and nothing
            where the words say it all.

    Raises:
        InputError: an unknown operator or point, or points that the operator cannot compare.
    """

    operator: str
    points: tuple[str, ...]
    scale: Scale
    subject: str | None = None
    object: str | None = None

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise InputError(
                f"unknown operator {self.operator!r}; the operators are {', '.join(OPERATORS)}"
            )
        unknown = [point for point in self.points if point not in POINT]
        if unknown:
            raise InputError(f"unknown points {unknown}; the points are {', '.join(POINT)}")
        wanted = self.measures.points
        if len(self.points) != wanted:
            raise InputError(
                f"{self.operator} of {len(self.points)} points {self.points}; wanted {wanted}"
            )
        first, *others = self.points
        if first in others and self.operator != "turn":
            raise InputError(f"{self.operator} compares {first} with itself; name two points")
        if self.operator == "gap" and capsule_of(tuple(others)) is None:
            raise InputError(f"gap to {tuple(others)}; wanted the two ends of a limb or the trunk")
        if self.scale.cyclic and (self.operator != "turn" or self.scale.thresholds[-1] > 180):
            raise InputError(
                f"a scale that comes round, to {self.scale.thresholds[-1]}, for {self.operator}; "
                "it is for turn, whose values lie between -180 and 180"
            )

    @property
    def measures(self) -> Operator:
        """The operator itself."""
        return OPERATORS[self.operator]

    @property
    def name(self) -> str:
        """The name of the group, such as `distance-left_hand-right_knee`."""
        return "-".join((self.operator, *self.points))

    @property
    def of_couple(self) -> bool:
        """Whether a point of the partner is looked at."""
        return any(point.startswith(PARTNER) for point in self.points)

    @property
    def part(self) -> str:
        """The part of the body that moves the code: `lower` where only legs do, else `upper`."""
        bare = {point.removeprefix(PARTNER) for point in self.points}.difference(MARKS)
        return "lower" if all(JOINT.get(point) in LOWER for point in bare) else "upper"

    def said_of(self) -> tuple[str, str]:
        """Return what the words stand between: subject and object."""
        three = self.operator == "angle"
        subject = point_words(self.points[1 if three else 0])
        compared = point_words(self.points[-1]) if self.measures.points == 2 else ""
        return (
            subject if self.subject is None else self.subject,
            compared if self.object is None else self.object,
        )


def steps(
    low: float, high: float, step: float, unit: str, ending: str = ""
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return even thresholds from `low` to `high`, and words that tell each class in numbers."""
    count = round((high - low) / step) + 1
    thresholds = tuple(round(low + i * step, 6) for i in range(count))
    told = [f"{value:g}" for value in thresholds]
    words = [
        f"at up to {told[0]}",
        *(f"at {one} to {other}" for one, other in pairwise(told)),
        f"at over {told[-1]}",
    ]
    return thresholds, tuple(f"{word} {unit}{ending}" for word in words)


def rows(operator: str, scale: Scale, *points: str, object: str | None = None) -> tuple[Row, ...]:
    """Return one row for each text of points, such as `left_hip left_knee = left thigh`.

    What stands after the equals sign is the subject.
    """
    return tuple(_row(operator, scale, text, object) for text in points)


def _row(operator: str, scale: Scale, text: str, object: str | None) -> Row:
    names, _, subject = text.partition("=")
    return Row(operator, tuple(names.split()), scale, subject.strip() or None, object)


def shared(*words: tuple[str, int]) -> tuple[str, ...]:
    """Return each word as often as it says: the coarse words of many classes."""
    return tuple(word for word, times in words for _ in range(times))


def check_names(what: str, names: Sequence[str]) -> None:
    """Refuse names that two things share.

    Raises:
        InputError: a name stands twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{what} told twice: {', '.join(twice)}; change the words of a row")
