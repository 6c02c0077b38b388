"""Typed edits of a motion: which limbs may move, what they shall show, when, and how."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from duet_rl.config import Config
from duet_rl.posecodes.catalogue import BODY_CODES

EditPart = Literal["left_arm", "right_arm", "left_leg", "right_leg", "trunk"]
Mode = Literal["hold", "ramp"]
EDIT_PARTS: tuple[EditPart, ...] = get_args(EditPart)
GROUP_OF: dict[str, int] = {row.name: group for group, row in enumerate(BODY_CODES.rows)}


class Edit(Config):
    """One change of a motion, as a coherent statement in pose codes (`BODY_CODES`).

    An edit wants categories (`wanted`), or steps away from what there is (`delta`), not both.
    """

    part: tuple[EditPart, ...]  # which limbs may move
    what: str  # the edit in words, such as `raise the left arm`
    wanted: dict[str, tuple[int, ...]] = Field(
        default_factory=dict
    )  # name of a group -> acceptable categories
    delta: dict[str, int] | None = None  # name of a group -> how many classes up, or down (< 0)
    start: int  # first frame, 30 fps
    stop: int  # the frame after the last
    mode: Mode = "hold"  # in full from the first frame on, or growing until the last

    @model_validator(mode="after")
    def _means_something(self) -> "Edit":
        if not self.part:
            raise ValueError(f"no part may move; name one or more of {', '.join(EDIT_PARTS)}")
        if bool(self.wanted) == bool(self.delta):
            raise ValueError("give wanted categories or a delta of classes, one of the two")
        if not 0 <= self.start < self.stop:
            raise ValueError(f"frames {self.start} to {self.stop}; wanted 0 <= start < stop")
        for group in (*self.wanted, *(self.delta or {})):
            if group not in GROUP_OF:
                raise ValueError(f"unknown group {group!r}; see the names of BODY_CODES.rows")
        for group, categories in self.wanted.items():
            classes = BODY_CODES.classes[GROUP_OF[group]]
            if not categories or not all(0 <= category < classes for category in categories):
                raise ValueError(f"{group} as {categories}; wanted categories 0 to {classes - 1}")
        if self.delta and not all(self.delta.values()):
            raise ValueError("a delta of 0 classes changes nothing; leave the group out")
        return self

    @property
    def categories(self) -> dict[int, tuple[int, ...]]:
        """The wanted categories by the number of the group."""
        return {GROUP_OF[group]: categories for group, categories in self.wanted.items()}

    @property
    def steps(self) -> dict[int, int]:
        """The classes to go up or down by the number of the group; empty without a delta."""
        return {GROUP_OF[group]: steps for group, steps in (self.delta or {}).items()}


class SaidEdit(Config):
    """Edits in words, for all of the motion or for frames of it: `edit_language.read_edits`."""

    say: str  # such as `raise the left arm`
    start: int | None = None  # first frame, 30 fps; None: as the words say, or the first
    stop: int | None = None  # the frame after the last; None: as the words say, or the end
    mode: Mode | None = None  # None: as the words say

    @model_validator(mode="after")
    def _means_something(self) -> "SaidEdit":
        if (self.start is None) != (self.stop is None):
            raise ValueError("give start and stop, both or none of them")
        if self.start is not None and self.stop is not None and not 0 <= self.start < self.stop:
            raise ValueError(f"frames {self.start} to {self.stop}; wanted 0 <= start < stop")
        return self


def _form(planned: Any) -> str:
    """Return which of the two forms of an edit is given."""
    said = "say" in planned if isinstance(planned, dict) else isinstance(planned, SaidEdit)
    return "said" if said else "codes"


class EditPlan(Config):
    """Edits in the order in which they are made: what any other program may write as JSON."""

    edits: tuple[
        Annotated[
            Annotated[Edit, Tag("codes")] | Annotated[SaidEdit, Tag("said")], Discriminator(_form)
        ],
        ...,
    ]

    @model_validator(mode="after")
    def _means_something(self) -> "EditPlan":
        if not self.edits:
            raise ValueError("a plan without edits; give one or more")
        return self
