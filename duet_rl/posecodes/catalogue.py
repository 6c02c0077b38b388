"""A catalogue of pose codes: motion to codes, and codes to words, from one table of rows."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.posecodes.body_table import BODY_ROWS, PUBLISHED_ROWS
from duet_rl.posecodes.duet_table import DUET_ROWS
from duet_rl.posecodes.mirror import Mirror, mirror_of
from duet_rl.posecodes.operators import OPERATORS
from duet_rl.posecodes.points import (
    CORRECTED,
    IN_METRES,
    LIMB_POINTS,
    PUBLISHED,
    UNFLIPPED,
    Rules,
    body_points,
    couple_points,
)
from duet_rl.posecodes.table import FULL_TURN, Row, Scale, check_names

_NEAR_NAMES = 3  # that an unknown name is answered with


class Code(NamedTuple):
    """One class of one group."""

    group: int
    category: int


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Groups of codes, of each of which one class holds in every frame.

    Args:
        name: what to call it in files and messages.
        rows: one a group, in the order of the last axis of a tensor of codes.
        rules: frame and units in which the rows are measured.

    Raises:
        InputError: no rows, two groups of one name, or two codes of the same words.
    """

    name: str
    rows: tuple[Row, ...]
    rules: Rules = CORRECTED

    def __post_init__(self) -> None:
        if not self.rows:
            raise InputError(f"catalogue {self.name} has no rows; give it one or more")
        check_names(f"catalogue {self.name}: groups", [row.name for row in self.rows])
        check_names(f"catalogue {self.name}: codes", self.names)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """How many classes each group has."""
        return tuple(row.scale.classes for row in self.rows)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The number of each group's first code, among all codes."""
        return tuple(accumulate(self.classes, initial=0))[:-1]

    @property
    def size(self) -> int:
        """How many codes there are in all groups together."""
        return sum(self.classes)

    @property
    def of_couple(self) -> bool:
        """Whether codes tell of two dancers."""
        return any(row.of_couple for row in self.rows)

    def values(
        self,
        joints: Float[Tensor, "*batch T J 3"],
        partner: Float[Tensor, "*batch T J 3"] | None = None,
    ) -> Float[Tensor, "*batch T G"]:
        """Return what each group measures: degrees, and metres as the rules want them.

        Args:
            joints: 22 joints of SMPL or 55 of SMPL-X, metres, Y-up.
            partner: joints of the other dancer, in the same axes; for codes of a couple.

        Raises:
            InputError: another number of joints, joints that are not finite, or no partner where
                one is wanted.
        """
        if not self.of_couple:
            points = body_points(joints, self.rules)
        elif partner is None:
            raise InputError(f"codes of the catalogue {self.name} are of two: give the partner too")
        else:
            points = couple_points(joints, partner, self.rules)
        values = points.new_empty((*points.shape[:-2], len(self)))
        for operator, groups in self._by_operator.items():
            named = [self.rows[group].points for group in groups]
            values[..., groups] = OPERATORS[operator].measure(points, named, self.rules.clamped)
        return values

    def classify(self, values: Float[Tensor, "*batch T G"]) -> Int[Tensor, "*batch T G"]:
        """Return the class of each value; one on a threshold belongs below it."""
        codes = torch.empty_like(values, dtype=torch.long)
        for scale, groups in self._by_scale.items():
            of_scale = values[..., groups]
            if scale.cyclic:
                of_scale = (of_scale + FULL_TURN / 2).remainder(FULL_TURN) - FULL_TURN / 2
            ends = values.new_tensor(scale.thresholds)
            codes[..., groups] = torch.bucketize(of_scale, ends) % scale.classes
        return codes

    def codes(
        self,
        joints: Float[Tensor, "*batch T J 3"],
        partner: Float[Tensor, "*batch T J 3"] | None = None,
        jitter: Float[Tensor, "*#batch #T G"] | None = None,
    ) -> Int[Tensor, "*batch T G"]:
        """Return the class of each group in each frame, which depends on that frame alone.

        Args:
            joints: 22 joints of SMPL or 55 of SMPL-X, metres, Y-up.
            partner: joints of the other dancer, in the same axes; for codes of a couple.
            jitter: added to the values, such as `draw_jitter` gives.

        Raises:
            InputError: as `values`.
        """
        values = self.values(joints, partner)
        return self.classify(values if jitter is None else values + jitter)

    def draw_jitter(self, clips: int, generator: torch.Generator) -> Float[Tensor, "clips 1 G"]:
        """Return offsets that blur the codes of training clips: one for all frames of a clip."""
        width = torch.tensor([row.scale.jitter for row in self.rows])
        return (2 * torch.rand(clips, 1, len(self), generator=generator) - 1) * width

    def k_hot(self, codes: Int[Tensor, "*batch G"]) -> Bool[Tensor, "*batch C"]:
        """Return codes as one bit for each code of the catalogue, as many ones as groups."""
        bits = torch.zeros(*codes.shape[:-1], self.size, dtype=torch.bool, device=codes.device)
        return bits.scatter(-1, codes + codes.new_tensor(self.offsets), True)

    def from_k_hot(self, bits: Bool[Tensor, "*batch C"]) -> Int[Tensor, "*batch G"]:
        """Return the codes that bits stand for.

        Raises:
            InputError: another number of bits, or a group with none or several of them set.
        """
        if bits.shape[-1] != self.size:
            raise InputError(
                f"{bits.shape[-1]} bits, wanted the {self.size} of the catalogue {self.name}"
            )
        groups = bits.split(self.classes, dim=-1)
        for row, group in zip(self.rows, groups, strict=True):
            if not (group.sum(-1) == 1).all():
                raise InputError(f"group {row.name} wants one bit in every frame; repair the codes")
        return torch.stack([group.int().argmax(-1) for group in groups], dim=-1)

    def mirrored(self, codes: Int[Tensor, "*batch G"]) -> Int[Tensor, "*batch G"]:
        """Return the codes of the same motion seen in a mirror.

        Raises:
            InputError: the table has no row for the other side of one of its rows.
        """
        there = codes[..., list(self._mirror.groups)]
        flipped = there.new_tensor(self._mirror.last) - there
        flipped = flipped % there.new_tensor(self.classes)
        return torch.where(there.new_tensor(self._mirror.negated) > 0, flipped, there)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The words of each code, such as `left hand above head`; no two are the same."""
        return self._told("{subject} {word} {object}", plain=False)

    @cached_property
    def plain_names(self) -> tuple[str, ...]:
        """The coarser words of each code, which neighbouring classes may share."""
        return self._told("{subject} {word} {object}", plain=True)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """Each code as a sentence, such as `the left hand is above the head`."""
        return self._told("the {subject} is {word} the {object}", plain=False)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All words of all sentences, sorted."""
        told = (*self.sentences, *self.plain_names)
        return tuple(sorted({word for sentence in told for word in sentence.split()}))

    def prompt(self, groups: Sequence[int] | None = None) -> str:
        """Return a menu: one line a group, with the words of its classes and their numbers.

        Args:
            groups: which; all if left out.
        """
        lines = []
        for group in range(len(self)) if groups is None else groups:
            subject, other = self.rows[group].said_of()
            words = self._words(self.rows[group], plain=False)
            menu = "; ".join(f"{number} {word}" for number, word in enumerate(words))
            lines.append(f"{group}. {subject}{f' to {other}' if other else ''}: {menu}")
        return "\n".join(lines)

    def read(self, codes: Int[Tensor, "G"]) -> tuple[str, ...]:
        """Return the words of one frame's codes."""
        pairs = zip(self.offsets, codes.tolist(), strict=True)
        return tuple(self.names[offset + category] for offset, category in pairs)

    def code(self, name: str) -> Code:
        """Return the code of these words.

        Raises:
            InputError: no code is called so.
        """
        if name not in self.names:
            near = difflib.get_close_matches(name, self.names, _NEAR_NAMES)
            hint = f"near to it: {'; '.join(near)}" if near else "see `Catalogue.names`"
            raise InputError(f"no code of the catalogue {self.name} is called {name!r}; {hint}")
        number = self.names.index(name)
        group = max(g for g, offset in enumerate(self.offsets) if offset <= number)
        return Code(group, number - self.offsets[group])

    def groups_moved_by(self, limb: str) -> tuple[int, ...]:
        """Return the groups that an arm or a leg changes, as numbers.

        Args:
            limb: a key of `LIMB_POINTS`, such as `left_arm`.
        """
        if limb not in LIMB_POINTS:
            raise InputError(f"unknown limb {limb!r}; the limbs are {', '.join(LIMB_POINTS)}")
        moving = set(LIMB_POINTS[limb])
        return tuple(g for g, row in enumerate(self.rows) if moving & set(row.points))

    @cached_property
    def _by_operator(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for group, row in enumerate(self.rows):
            found.setdefault(row.operator, []).append(group)
        return found

    @cached_property
    def _by_scale(self) -> dict[Scale, list[int]]:
        found: dict[Scale, list[int]] = {}
        for group, row in enumerate(self.rows):
            found.setdefault(row.scale, []).append(group)
        return found

    @cached_property
    def _mirror(self) -> Mirror:
        return mirror_of(self.rows)

    def _told(self, sentence: str, plain: bool) -> tuple[str, ...]:
        told = []
        for row in self.rows:
            subject, other = row.said_of()
            pattern = sentence if other else sentence.partition("{word}")[0] + "{word}"
            told += [
                pattern.format(subject=subject, word=word, object=other)
                for word in self._words(row, plain)
            ]
        return tuple(told)

    def _words(self, row: Row, plain: bool) -> tuple[str, ...]:
        """Return the words of a row's classes, which tell the truth of a flipped world, too."""
        words = (row.scale.plain or row.scale.words) if plain else row.scale.words
        turned = self.rules.flipped and row.operator in ("left", "forward")
        return words[::-1] if turned else words


PGR2M392 = Catalogue("pgr2m392", PUBLISHED_ROWS, PUBLISHED)
PGR2M392_UNFLIPPED = Catalogue("pgr2m392_unflipped", PUBLISHED_ROWS, UNFLIPPED)
BODY_CODES = Catalogue("body", BODY_ROWS, CORRECTED)
DUET_CODES = Catalogue("duet", DUET_ROWS, IN_METRES)
CATALOGUES: dict[str, Catalogue] = {
    catalogue.name: catalogue
    for catalogue in (BODY_CODES, DUET_CODES, PGR2M392, PGR2M392_UNFLIPPED)
}
