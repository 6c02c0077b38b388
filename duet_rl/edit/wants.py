"""What edits want of each frame: classes of pose codes, and how far a value is from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.body.heading import low_pass
from duet_rl.captions.edits import Edit
from duet_rl.edit.limbs import groups_of
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import BODY_CODES, Catalogue
from duet_rl.posecodes.table import Row
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

FPS = 30.0  # of every edit
# How far inside a wanted class a value shall lie, and what counts as one unit of being outside.
MARGIN = {"m": 0.02, "deg": 3.0}
UNIT = {"m": 0.1, "deg": 10.0}
_MOST_OF_CLASS = 0.25  # of a class's width that the margin may take
EVEN = ("angle", "distance")  # operators whose classes are all of one width
_STEADY = 4.0  # frames; low-pass of the values from which an edit takes steps
_MOST_CLASSES = max(BODY_CODES.classes)


@dataclass(frozen=True, eq=False)
class Want:
    """What one edit wants: of each frame, which classes of some groups would do.

    Args:
        name: the edit, as a person would say it.
        parts: what it may move: keys of `limbs.PART_JOINTS`.
        groups: of `BODY_CODES`.
        frames: where it is wanted in full.
        growth: how much of the way to it is wanted in each frame, 0 to 1; 1 where it is in full.
        weight: how far the take has gone over to the edit in each frame, 0 to 1.
        classes: which classes would do; those that a group does not have are never among them.
        steps: of each group, by how many classes it shall go up, or down (< 0), from the take's
            own; empty where the classes are the same for every take.
    """

    name: str
    parts: tuple[str, ...]
    groups: tuple[int, ...]
    frames: Bool[Tensor, "T"]
    growth: Float[Tensor, "T"]
    weight: Float[Tensor, "T"]
    classes: Bool[Tensor, "T G C"]
    steps: tuple[int, ...] = ()

    def cut(self, frames: slice) -> "Want":
        """Return what is wanted of some of the frames."""
        return replace(
            self,
            frames=self.frames[frames],
            growth=self.growth[frames],
            weight=self.weight[frames],
            classes=self.classes[frames],
        )

    def met(self, codes: Int[Tensor, "T S"]) -> Bool[Tensor, "T G"]:
        """Return which of the wanted groups each frame meets.

        Args:
            codes: of all groups of `BODY_CODES`.
        """
        own = codes[:, list(self.groups), None]
        return self.classes.gather(-1, own)[..., 0]

    def shown(self, codes: Int[Tensor, "T S"]) -> Bool[Tensor, "T"]:
        """Return whether each frame shows all that is wanted."""
        return self.met(codes).all(-1)

    def tokens(self, count: int, reach: int) -> Int[Tensor, "N"]:
        """Return the tokens of `count` in which the edit can be seen, and `reach` beyond them."""
        seen = self.weight.nonzero()[:, 0] // FRAMES_PER_TOKEN
        first, last = max(int(seen[0]) - reach, 0), min(int(seen[-1]) + reach, count - 1)
        return torch.arange(first, last + 1)

    def classes_at(self, frames: Int[Tensor, "N"]) -> Bool[Tensor, "N G C"]:
        """Return the classes of these frames; of those before or after the edit, its ends'."""
        wanted = self.frames.nonzero()[:, 0]
        return self.classes[frames.clamp(int(wanted[0]), int(wanted[-1]))]


def in_words(group: int, categories: Sequence[int]) -> str:
    """Return some classes of a group in words, such as `left hand below or level with left hip`.

    Args:
        group: of `BODY_CODES`.
        categories: ascending; of angles and distances those between first and last are meant, too.
    """
    row = BODY_CODES.rows[group]
    subject, other = row.said_of()
    if row.operator not in EVEN or len(categories) == 1:
        said = " or ".join(row.scale.words[category] for category in categories)
        return f"{subject} {said}{other and ' '}{other}"
    ends = (None, *row.scale.thresholds, None)
    low, high = ends[categories[0]], ends[categories[-1] + 1]
    if low is not None and high is not None:
        said = f"at {low:g} to {high:g}"
    else:
        said = f"at over {low:g}" if high is None else f"at up to {high:g}"
    return f"{subject} {said} {row.measures.unit}{other and ' from '}{other}"


def wants_of(edits: Sequence[Edit], joints: Float[Tensor, "T 55 3"], ease: int) -> tuple[Want, ...]:
    """Return what edits want of a take.

    Args:
        edits: in frames of 30 fps.
        joints: of the take, metres, at 30 fps.
        ease: frames in which the body goes over to an edit that holds, and back. They lie outside
            its span, so that all of the span shows it; where two edits that exclude each other
            follow more closely, each gives up half of what is lacking.

    Raises:
        InputError: a span that ends after the take, a group that the parts cannot change, or two
            edits that want different classes of one group at one time.
    """
    if not edits:
        raise InputError("no edit; say what shall change, e.g. 'raise the left arm'")
    values = low_pass(BODY_CODES.values(joints), _STEADY)
    codes = BODY_CODES.classify(values)
    wants = tuple(_want(edit, codes, ease) for edit in edits)
    for number, want in enumerate(wants):
        for other in wants[:number]:
            _refuse_contradiction(other, want)
    wants = tuple(_want(edit, codes, ease) for edit in _with_room(edits, wants, ease))
    return tuple(_after_others(want, wants) for want in wants)


def _after_others(want: Want, wants: Sequence[Want]) -> Want:
    """Return a want that grows only where a body has come back from edits that it excludes."""
    growth = want.growth
    for theirs in excluded_by(want, wants):
        growth = growth.masked_fill(theirs.weight > want.weight, 0.0)
    return replace(want, growth=growth)


def excluded_by(want: Want, wants: Sequence[Want]) -> list[Want]:
    """Return the edits of other frames that want what one excludes."""
    apart = [other for other in wants if not (want.frames & other.frames).any()]
    return [other for other in apart if exclude_each_other(want, other)]


def exclude_each_other(one: Want, other: Want) -> bool:
    """Return whether one edit ends in, or begins with, what is not that of the next one.

    Args:
        one: an edit.
        other: one of other frames.
    """
    first, then = sorted((one, other), key=lambda want: int(want.frames.nonzero()[0]))
    last, next_ = int(first.frames.nonzero()[-1]), int(then.frames.nonzero()[0])
    return any(
        not (
            first.classes[last, first.groups.index(group)]
            & then.classes[next_, then.groups.index(group)]
        ).any()
        for group in set(one.groups) & set(other.groups)
    )


def _with_room(edits: Sequence[Edit], wants: Sequence[Want], ease: int) -> list[Edit]:
    """Return edits between which a body has time to go from one to the other.

    None gives up more than a quarter of its frames at either end.
    """
    starts, stops = [edit.start for edit in edits], [edit.stop for edit in edits]
    for before, one in enumerate(edits):
        for after, other in enumerate(edits):
            lacking = ease - (other.start - one.stop)
            apart = one.stop <= other.start and lacking > 0
            if not apart or not exclude_each_other(wants[before], wants[after]):
                continue
            if other.mode == "ramp":  # it has all of its frames to come from there
                continue
            given = min(lacking // 2, (one.stop - one.start) // 4)
            stops[before] = min(stops[before], one.stop - given)
            given = min(lacking - lacking // 2, (other.stop - other.start) // 4)
            starts[after] = max(starts[after], other.start + given)
    spans = zip(edits, starts, stops, strict=True)
    return [edit.model_copy(update={"start": a, "stop": b}) for edit, a, b in spans]


def _want(edit: Edit, codes: Tensor, ease: int) -> Want:
    frames = len(codes)
    if edit.stop > frames:
        raise InputError(
            f"{edit.what!r} is asked until frame {edit.stop} ({edit.stop / FPS:.1f} s), and the "
            f"take has {frames} ({frames / FPS:.1f} s, at {FPS:g} a second); ask for "
            "a time within it"
        )
    found = edit.categories or edit.steps
    for group in sorted(set(found) - set(groups_of(edit.part))):
        raise InputError(
            f"{edit.what!r} wants {BODY_CODES.rows[group].name}, which {' and '.join(edit.part)} "
            "cannot change; name the part that can"
        )
    time = torch.arange(frames)
    inside = (time >= edit.start) & (time < edit.stop)
    ramps = edit.mode == "ramp"
    growing = (
        (time - edit.start + 1) / (edit.stop - edit.start)
        if ramps
        else (time - edit.start + ease + 1) / (ease + 1)
    )
    leaving = (edit.stop + ease - time) / (ease + 1)
    weight = torch.minimum(growing, leaving).clamp(0, 1)
    weight = weight.square() * (3 - 2 * weight)  # smooth at both ends
    growth = weight * inside
    if ramps:  # asked in full of the last token: until there the body is on its way
        inside &= time >= edit.stop - FRAMES_PER_TOKEN
    classes = torch.zeros(frames, len(found), _MOST_CLASSES, dtype=torch.bool)
    for place, group in enumerate(found):
        if edit.categories:
            classes[:, place, list(edit.categories[group])] = True
        else:
            classes[:, place] = _beyond(codes[:, group], edit.steps[group], group)
    steps = tuple(edit.steps.values())
    return Want(edit.what, edit.part, tuple(found), inside, growth, weight, classes, steps)


def _beyond(codes: Int[Tensor, "T"], steps: int, group: int) -> Bool[Tensor, "T C"]:
    """Return the classes that lie at least so many steps from the take's own, to one side."""
    last = BODY_CODES.classes[group] - 1
    first = (codes + steps).clamp(0, last)[:, None]
    category = torch.arange(_MOST_CLASSES)
    return (category >= first if steps > 0 else category <= first) & (category <= last)


def _refuse_contradiction(one: Want, other: Want) -> None:
    both = one.frames & other.frames
    for group in set(one.groups) & set(other.groups):
        shared = (
            one.classes[:, one.groups.index(group)] & other.classes[:, other.groups.index(group)]
        )
        if (both & ~shared.any(-1)).any():
            raise InputError(
                f"{one.name!r} and {other.name!r} contradict each other: they want different "
                f"classes of {BODY_CODES.rows[group].name} at one time; ask for one after the other"
            )


class Measure:
    """How far joints are from what is wanted, as numbers that have a gradient."""

    def __init__(self, wants: Sequence[Want], source: Float[Tensor, "T 55 3"]) -> None:
        """Prepare edits of a take.

        Args:
            wants: what they want.
            source: joints of the take; on the way to an edit a body may still be as far from it
                as the take is, less the share of the way that is wanted.
        """
        wanted = [(want, place) for want in wants for place in range(len(want.groups))]
        groups = [want.groups[place] for want, place in wanted]
        distinct = sorted(set(groups))
        rows = [BODY_CODES.rows[group] for group in groups]
        self._catalogue = Catalogue("wanted", tuple(BODY_CODES.rows[g] for g in distinct))
        self._columns = [distinct.index(group) for group in groups]
        ends = [
            runs(row, want.classes[:, place])
            for row, (want, place) in zip(rows, wanted, strict=True)
        ]
        self._low, self._high = (torch.stack(side, dim=1) for side in zip(*ends, strict=True))
        self._units = torch.tensor([UNIT[row.measures.unit] for row in rows])
        growth = torch.stack([want.growth for want, _ in wanted], dim=1)
        self._asked = growth > 0
        self._allowed = (1 - growth) * self.outside(source)

    def __call__(self, joints: Float[Tensor, "T 55 3"]) -> Float[Tensor, "T G"]:
        """Return how much farther outside than they may be the wanted values are; 0 elsewhere."""
        return (self.outside(joints) - self._allowed).clamp_min(0) * self._asked

    def outside(self, joints: Float[Tensor, "T 55 3"]) -> Float[Tensor, "T G"]:
        """Return how far outside of what would do each wanted value is, in units of `UNIT`."""
        values = self._catalogue.values(joints)[:, self._columns, None]
        below, above = (self._low - values).clamp_min(0), (values - self._high).clamp_min(0)
        return (below + above).amin(-1) / self._units


def runs(
    row: Row, classes: Bool[Tensor, "T C"]
) -> tuple[Float[Tensor, "T C"], Float[Tensor, "T C"]]:
    """Return the values between which each class that would do, with its neighbours, lies.

    Neighbouring classes that both do make one run. Inside its ends there is a margin, so that a
    value which is brought there stays there. A class that does not do is nowhere: from infinity to
    minus infinity.
    """
    scale = row.scale
    low = torch.full_like(classes, -torch.inf, dtype=torch.float32)
    high = -low
    last = scale.classes - 1
    for category in range(1, scale.classes):  # a run goes on from a class before that does, too
        start = low.new_tensor(scale.thresholds[category - 1])
        goes_on = classes[:, category - 1]
        low[:, category] = torch.where(goes_on, low[:, category - 1], start)
        end = low.new_tensor(scale.thresholds[last - category])
        goes_on = classes[:, last - category + 1]
        high[:, last - category] = torch.where(goes_on, high[:, last - category + 1], end)
    inset = (_MOST_OF_CLASS * (high - low)).clamp_max(MARGIN[row.measures.unit])
    low, high = low + inset, high - inset
    return low.masked_fill(~classes, torch.inf), high.masked_fill(~classes, -torch.inf)
