"""Edits in words: `raise your left arm in the second half`, `bend the knees more deeply`.

The words are those of the captions. What a caption says that a dancer does, or shows, an edit asks
for; with *more*, *less*, *closer* and such it asks for steps away from what the motion shows.
"""

import difflib
import re
from collections.abc import Mapping
from typing import NamedTuple

from duet_rl.captions.edit_times import Span, cut_spans
from duet_rl.captions.edit_wishes import MOST_STEPS, WISHES, Wish
from duet_rl.captions.edits import Edit, EditPlan, Mode, SaidEdit
from duet_rl.captions.facts import Fact
from duet_rl.captions.lexicon import MEANING_OF, NOT, near_words, plain_text, tokens_of
from duet_rl.captions.parse import Piece, understood_among
from duet_rl.captions.poses import Wanted
from duet_rl.captions.sayings import SAYINGS
from duet_rl.errors import InputError

_RAMPS = r"gradually|slowly|progressively|little by little|bit by bit|more and more|step by step"
_MUCH = r"(?:very )?much|far(?= more| less| wider| closer| higher)|a lot"
_LITTLE = r"slightly|somewhat|a (?:little )?bit|a little"
_MORE = r"more deeply|more strongly|more|further|farther|deeper|deeply|as far as possible"
_LESS = r"less deeply|less strongly|less"
_COMPARED = {"closer": "closer", "nearer": "closer", "wider": "wide", "higher": "raise"}
_WHOLE = ("dancer", "trunk")
_WAYS = ("raises", "lowers")  # of an arm, to where it shall be
_JOINT = re.compile(r",? and then |, then | then |,? and |,? while |,|;")
_SENTENCE = re.compile(r"[.!?\n]+(?!\d)")


class _Degree(NamedTuple):
    """How an edit is asked for: in full (`sign` 0), or more (1) or less (-1) than now."""

    sign: int
    size: str  # a key of `Wish.steps`


def read_edits(text: str, frames: int) -> tuple[Edit, ...]:
    """Return the edits that a text asks of a motion, in its order.

    Args:
        text: one or more commands, joined by `and`, `then`, commas or full stops. A time holds for
            the commands that are joined to it and name none; without one it is all of the motion.
        frames: length of the motion, 30 fps.

    Raises:
        InputError: a word or a wish that is not understood, with near ones; a wish that a pose
            cannot fulfil (steps, turns); poses that exclude each other; a time outside.
    """
    edits = []
    for sentence in _SENTENCE.split(text):
        cut, spans = cut_spans(plain_text(sentence).replace("@", " "), frames)
        commands = [part.strip() for part in _JOINT.split(_keep_ramps(cut)) if part.strip()]
        commands = _joined(commands)
        times = _times([[int(i) for i in re.findall(r"@(\d+)", c)] for c in commands])
        said = [" ".join(re.sub(r"@\d+", " ", command).split()) for command in commands]
        for index, time in enumerate(times):
            span = Span(0, frames) if time is None else spans[time]
            edits.append(_edit(said, index, span))
    if not edits:
        raise InputError(f"no edit in {text!r}; say what to change, such as {_examples()}")
    for index, edit in enumerate(edits):
        for other in edits[:index]:
            _check_together(edit, other)
    return tuple(edits)


def edits_of_plan(plan: EditPlan, frames: int) -> tuple[Edit, ...]:
    """Return the edits of a plan, those that are said in words read as `read_edits` does.

    Raises:
        InputError: as `read_edits`, or frames that the motion does not have.
    """
    edits: list[Edit] = []
    for planned in plan.edits:
        if isinstance(planned, Edit):
            edits.append(planned)
            continue
        for edit in read_edits(planned.say, frames):
            edits.append(edit.model_copy(update=_given(planned)))
    for edit in edits:
        if edit.stop > frames:
            raise InputError(
                f"{edit.what!r} ends at frame {edit.stop}, and the motion has {frames}; "
                "name frames within it"
            )
    return tuple(edits)


def _given(planned: SaidEdit) -> dict[str, int | Mode]:
    given = {"start": planned.start, "stop": planned.stop, "mode": planned.mode}
    return {name: value for name, value in given.items() if value is not None}


def _edit(said: list[str], index: int, span: Span) -> Edit:
    """Return the edit that the command of this number asks for."""
    command = said[index]
    mode: Mode = "ramp" if re.search(rf"\b(?:{_RAMPS})\b", command) else "hold"
    degree = _degree(command)
    facts = _facts(said, index)
    wishes = []
    for fact in facts:
        wish = WISHES.get(fact)
        if wish is None:
            raise InputError(
                f"{command!r} asks for more than a pose of the body can show ({fact.what}); "
                f"an edit is such as {_examples()}"
            )
        wishes.append(wish)
    if not degree.sign:
        wishes = _without_ways(facts, wishes)
    part = tuple(dict.fromkeys(limb for wish in wishes for limb in wish.part))
    wanted: Wanted = {}
    delta: dict[str, int] | None = None
    if degree.sign:
        delta = {}
        for wish in wishes:
            delta.update(_steps(wish, degree))
        if not delta:
            raise InputError(f"{command!r}: there is no more or less of it; ask for it in full")
    else:
        for wish in wishes:
            _merge(wanted, wish.wanted, command)
    return Edit(
        part=part,
        what=_named(command, facts),
        wanted=wanted,
        delta=delta,
        start=span.start,
        stop=span.stop,
        mode=mode,
    )


def _without_ways(facts: list[Fact], wishes: list[Wish]) -> list[Wish]:
    """Return wishes without those to raise or lower an arm to a pose that it is to have instead.

    To raise a hand to shoulder height is to have it there, and not above.
    """

    def leads_elsewhere(fact: Fact, way: Wish) -> bool:
        poses = [w for f, w in zip(facts, wishes, strict=True) if f.what not in _WAYS]
        return fact.what in _WAYS and any(
            not set(codes).intersection(way.wanted.get(group, codes))
            for pose in poses
            for group, codes in pose.wanted.items()
        )

    pairs = zip(facts, wishes, strict=True)
    return [wish for fact, wish in pairs if not leads_elsewhere(fact, wish)]


def _named(command: str, facts: list[Fact]) -> str:
    """Return a command with the limb that it speaks of, where only its neighbours name that."""
    if any(token.is_part for token in tokens_of(command)) or facts[0].subject in _WHOLE:
        return command
    return f"{command} ({', '.join(dict.fromkeys(fact.subject for fact in facts))})"


def _facts(said: list[str], index: int) -> list[Fact]:
    """Return the facts that a command wants to be true; refuses words that are left over."""
    first: list[str] = []
    for compared, to in ((True, "to"), (False, "to"), (True, "on")):
        plain = [re.sub(r"\bto\b", to, _bare(command, compared)) for command in said]
        pieces = [Piece(frozenset(), tokens_of(command)) for command in plain]
        facts, left = understood_among(pieces, index)
        if facts and all(MEANING_OF.get(word) == "move" for word in left):
            return facts  # a hand is brought to where it shall be
        first = first or left
    command = said[index]
    if any(token.meaning == NOT for token in tokens_of(command)):
        raise InputError(
            f"{command!r} says what shall not be, and is not understood; say what shall be instead"
        )
    for word in first:
        near = near_words(word)
        if near:
            raise InputError(f"{word!r} in {command!r} is not understood; near to it: {near}")
    raise InputError(f"{command!r} is not understood; {_near(command)}")


def _bare(command: str, compared: bool) -> str:
    """Return a command without words of degree and way; those that compare as their meaning."""
    plain = re.sub(r"\bhigher than\b", "above", command)
    plain = re.sub(rf"\b(?:{_RAMPS}|{_LITTLE}|{_MUCH}|{_MORE}|{_LESS})\b", " ", plain)
    for word, meaning in _COMPARED.items():
        plain = re.sub(rf"\b{word}\b", meaning if compared else " ", plain)
    return plain


def _degree(command: str) -> _Degree:
    plain = re.sub(rf"\b(?:{_RAMPS}|higher than)\b", " ", command)
    little, much, more, less = (
        re.search(rf"\b(?:{words})\b", plain) is not None
        for words in (_LITTLE, _MUCH, "|".join([_MORE, *_COMPARED]), _LESS)
    )
    size = "small" if little else "large" if much else "usual"
    return _Degree(-1 if less else int(more or little or much), size)


def _check_together(edit: Edit, other: Edit) -> None:
    """Refuse two edits that want classes of one group, at one time, that exclude each other."""
    at_once = edit.start < other.stop and other.start < edit.stop
    shared = set(edit.wanted).intersection(other.wanted)
    if at_once and any(not set(edit.wanted[g]).intersection(other.wanted[g]) for g in shared):
        raise InputError(
            f"{other.what!r} and {edit.what!r} at one time exclude each other; name a time for "
            "each, such as `in the first half`"
        )


def _steps(wish: Wish, degree: _Degree) -> dict[str, int]:
    steps = {}
    for group, direction in wish.directions.items():
        most = MOST_STEPS[group.split("-")[0]][degree.size]
        steps[group] = degree.sign * direction * most
    return steps


def _merge(wanted: Wanted, more: Mapping[str, tuple[int, ...]], command: str) -> None:
    """Add to wanted categories those of another pose that is to be shown at once."""
    for group, categories in more.items():
        shared = tuple(c for c in categories if c in wanted.get(group, categories))
        if not shared:
            raise InputError(f"{command!r} asks for two poses that exclude each other; ask for one")
        wanted[group] = shared


def _times(named: list[list[int]]) -> list[int | None]:
    """Return the time of each command: its own, else the next that is named, else the one before.

    Raises:
        InputError: one command names two times.
    """
    if any(len(times) > 1 for times in named):
        raise InputError("two times for one command; say the command again for each time")
    own = [times[0] if times else None for times in named]
    found: list[int | None] = []
    for index, time in enumerate(own):
        later = [t for t in own[index + 1 :] if t is not None]
        earlier = [t for t in own[:index][::-1] if t is not None]
        found.append(time if time is not None else next(iter(later + earlier), None))
    return found


def _joined(commands: list[str]) -> list[str]:
    """Return commands, of which those that are only a time belong to the one after or before."""
    found: list[str] = []
    waiting = ""
    for command in commands:
        if re.fullmatch(r"(?:@\d+\s*)+", command):
            if found and not waiting:
                found[-1] += f" {command}"
            else:
                waiting += f"{command} "
        else:
            found.append(waiting + command)
            waiting = ""
    return found


def _keep_ramps(text: str) -> str:
    return text.replace("more and more", "gradually")


def _near(command: str) -> str:
    known = [way.format(p="the") for fact in WISHES for way in SAYINGS.get(fact, ())]
    near = difflib.get_close_matches(command, known, 3, 0.5)
    return f"near to it: {near}" if near else f"an edit is such as {_examples()}"


def _examples() -> str:
    return "`raise the left arm`, `bend the knees more deeply` or `put both hands together`"
