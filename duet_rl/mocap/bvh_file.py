"""The text of a BVH file: who is in it, joint by joint, and the numbers of every frame."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NoReturn, TextIO

import numpy as np
from jaxtyping import Float

from duet_rl.errors import InputError
from duet_rl.files import require_file

_FILM = (12, 15, 23.976, 24, 25, 29.97, 30, 47.952, 48, 50, 59.94, 60, 72, 75)
_CAPTURE = (90, 100, 119.88, 120, 144, 150, 180, 200, 239.76, 240, 250, 300, 480, 500, 1000)
_RATES = (*_FILM, *_CAPTURE)  # fps that files mean
_RATE_SLACK = 1e-4  # share by which a frame time that is written in full may miss its rate
_CUT_SLACKS = (0.5, 1.0)  # of the last digit: a frame time that was rounded, or cut off
_ROUGHEST = 0.03  # share of a frame time that its digits must tell, to be taken for a rate
_BLOCK = 1 << 20  # characters read at a time
_MOTION = re.compile(r"(?:^|(?<=[\s}]))MOTION(?=\s)")  # ends the hierarchy
_KEYWORDS = frozenset(("ROOT", "JOINT", "End", "OFFSET", "CHANNELS", "}"))
_HEAD_WORDS = 5  # Frames: <count> Frame Time: <seconds>
_SHORTEST = 2  # bytes of a number and what parts it from the next


@dataclass(frozen=True)
class BvhJoint:
    """One joint of a hierarchy.

    Args:
        parent: index among the joints of the same person, -1 for the root.
        offset: from the parent at rest, file units.
        channels: their names, in the order of the file.
        column: where they begin in a frame.
        end_site: where the joint's end site is, seen from the joint; None if it has none.
    """

    name: str
    parent: int
    offset: tuple[float, ...]
    channels: tuple[str, ...]
    column: int
    end_site: tuple[float, ...] | None


@dataclass(frozen=True, eq=False)
class BvhFile:
    """A BVH file as it is written: no unit, no axis, no matrix yet.

    Args:
        persons: a hierarchy each; the root is the first joint, and parents come first.
        values: one row of channels a frame, degrees and file units.
        fps: what the header says.
    """

    path: Path
    persons: tuple[tuple[BvhJoint, ...], ...]
    values: Float[np.ndarray, "T channels"]
    fps: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the persons: those of their roots."""
        return tuple(joints[0].name for joints in self.persons)

    def person(self, which: int | str | None = None) -> tuple[BvhJoint, ...]:
        """Return the joints of one person: by number from 1, by the root's name, or the first.

        Raises:
            InputError: there is no such person.
        """
        names = [str(number) for number in range(1, len(self.persons) + 1)]
        wanted = "1" if which is None else str(which)
        for known in (names, list(self.names)):
            if wanted in known:
                return self.persons[known.index(wanted)]
        raise InputError(
            f"{self.path}: no person {which!r}; it has {len(self.persons)}: "
            f"{', '.join(self.names)} (give the number, from 1, or the name)"
        )


def open_bvh(path: Path | str) -> BvhFile:
    """Return what a BVH file says. It is read block by block, so a long one takes no more memory
    than its numbers.

    Raises:
        InputError: no such file, a damaged or truncated one, or NaN.
    """
    path = require_file(path, "a BVH motion")
    with path.open(encoding="utf-8", errors="replace") as file:
        head, blocks = _split_at_motion(path, file)
        persons = _read_hierarchy(path, head)
        channels = sum(len(joint.channels) for joints in persons for joint in joints)
        values, fps = _read_frames(path, blocks, channels)
    return BvhFile(path, persons, values, fps)


def _split_at_motion(path: Path, file: TextIO) -> tuple[str, Iterator[str]]:
    """Return the hierarchy, and the text after it in blocks."""
    head = ""
    for block in iter(lambda: file.read(_BLOCK), ""):
        head += block
        if not head.lstrip("\ufeff \t\r\n").startswith("HIERARCHY"):
            break
        if mark := _MOTION.search(head):
            return head[: mark.start()], _blocks(head[mark.end() :], file)
    if not head.lstrip("\ufeff \t\r\n").startswith("HIERARCHY"):
        raise InputError(f"{path}: does not begin with HIERARCHY; wanted a BVH text file")
    raise InputError(f"{path}: has no MOTION section; the file is truncated, fetch it again")


def _blocks(first: str, file: TextIO) -> Iterator[str]:
    """Yield the text in blocks that end between words."""
    rest = first
    for block in iter(lambda: file.read(_BLOCK), ""):
        text = rest + block
        cut = max(text.rfind(space) for space in " \n\t\r") + 1
        yield text[:cut]
        rest = text[cut:]
    yield rest


@dataclass(eq=False)
class _Node:
    name: str
    parent: "_Node | None"
    is_end: bool = False
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    channels: tuple[str, ...] = ()


def _read_hierarchy(path: Path, text: str) -> tuple[tuple[BvhJoint, ...], ...]:
    words = iter(text.lstrip("\ufeff").split()[1:])
    persons: list[list[_Node]] = []
    open_nodes: list[_Node] = []
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            node = _read_node(path, word, open_nodes, words)
            if node.parent is None:
                persons.append([])
            persons[-1].append(node)
            open_nodes.append(node)
        elif not open_nodes:
            _damaged(path, f"{word!r} in the hierarchy")
        elif word == "}":
            open_nodes.pop()
        else:
            _read_property(path, open_nodes[-1], word, words)
    if open_nodes or not persons:
        _damaged(path, "a hierarchy whose braces do not close")
    column, found = 0, []
    for nodes in persons:
        found.append(_joints(path, nodes, column))
        column += sum(len(node.channels) for node in nodes)
    return tuple(found)


def _read_node(path: Path, word: str, open_nodes: list[_Node], words: Iterator[str]) -> _Node:
    """Return the node that a keyword begins, as far as its brace."""
    if (word == "ROOT") == bool(open_nodes):
        _damaged(path, f"{word} out of place (one ROOT a person, all else in its braces)")
    parent = open_nodes[-1] if open_nodes else None
    if parent is not None and parent.is_end:
        _damaged(path, f"{word} inside an end site")
    name: list[str] = []
    while (part := _next(path, words)) != "{":
        if part in _KEYWORDS:
            _damaged(path, f"no brace after {' '.join([word, *name])}")
        name.append(part)
    return _Node(" ".join(name), parent, is_end=word == "End")


def _joints(path: Path, nodes: list[_Node], column: int) -> tuple[BvhJoint, ...]:
    joints = [node for node in nodes if not node.is_end]
    names = [node.name for node in joints]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: the joint name {twice[0]} appears twice; rename one of them")
    index = {id(node): number for number, node in enumerate(joints)}
    ends = {id(node.parent): node.offset for node in nodes if node.is_end}
    found = []
    for node in joints:
        _require_channels(path, node)
        parent = -1 if node.parent is None else index[id(node.parent)]
        end = ends.get(id(node))
        found.append(BvhJoint(node.name, parent, node.offset, node.channels, column, end))
        column += len(node.channels)
    return tuple(found)


def _require_channels(path: Path, node: _Node) -> None:
    """Refuse channels that are no rotation about an axis and no place along one, or come twice."""
    known = {f"{axis}{kind}" for axis in "XYZ" for kind in ("rotation", "position")}
    places = [name for name in node.channels if name.endswith("position")]
    if (
        not set(node.channels) <= known
        or len(set(node.channels)) != len(node.channels)
        or len(places) not in (0, 3)
    ):
        raise InputError(
            f"{path}: {node.name} has the channels {' '.join(node.channels) or 'none'}; wanted "
            "X, Y and Z rotation, with or without X, Y and Z position"
        )


def _read_property(path: Path, node: _Node, word: str, words: Iterator[str]) -> None:
    if word == "OFFSET":
        node.offset = tuple(_number(path, _next(path, words)) for _ in range(3))
    elif word == "CHANNELS":
        count = int(_number(path, _next(path, words)))
        # Files write Xrotation, some XRotation.
        node.channels = tuple(_next(path, words).capitalize() for _ in range(count))
    else:
        _damaged(path, f"{word!r} in the hierarchy")


def _read_frames(path: Path, blocks: Iterator[str], channels: int) -> tuple[np.ndarray, float]:
    head: list[str] = []
    for block in blocks:
        head += block.split()
        if len(head) >= _HEAD_WORDS:
            break
    if len(head) < 2 or head[0] != "Frames:" or not head[1].isdecimal():
        _damaged(path, "no line 'Frames: <count>' after MOTION")
    frames, timed = int(head[1]), head[2:4] == ["Frame", "Time:"] and len(head) > 4
    frame_time = _number(path, head[4]) if timed else 0.0
    if frame_time <= 0:
        _damaged(path, f"a frame time of {frame_time} s")
    fps = _rate(head[4])
    # A header may promise anything: no more is kept than so many bytes can say.
    most = min(frames * channels, path.stat().st_size // _SHORTEST + 1)
    values = np.empty(most, dtype=np.float64)
    found = 0
    for words in _words(head[_HEAD_WORDS:], blocks):
        try:
            numbers = np.array(words, dtype=np.float64)
        except ValueError:
            _damaged(path, f"{next(w for w in words if not _is_number(w))!r} among the numbers")
        fit = numbers[: max(most - found, 0)]
        values[found : found + len(fit)] = fit
        found += len(numbers)
    if frames == 0 or found != frames * channels:
        raise InputError(
            f"{path}: the header promises {frames} frames of {channels} numbers, found "
            f"{found / max(channels, 1):.1f} frames; the file is damaged or truncated, "
            "fetch it again"
        )
    if not np.isfinite(values).all():
        frame = int(np.flatnonzero(~np.isfinite(values))[0]) // channels
        raise InputError(f"{path}: NaN or infinity in frame {frame}; repair or cut the take")
    return values.reshape(frames, channels), fps


def _words(first: list[str], blocks: Iterator[str]) -> Iterator[list[str]]:
    if first:
        yield first
    for block in blocks:
        if words := block.split():
            yield words


def _rate(time: str) -> float:
    """Return frames per second, by a frame time as it is written.

    Few digits may mean several rates: then that of film and capture which they are a rounding of.
    119.88 is not 120: in ten minutes they are 0.6 s apart, and music would be as late.
    """
    seconds = float(time)
    digit = float(Decimal(1).scaleb(int(Decimal(time).as_tuple().exponent)))
    slacks = [_RATE_SLACK * seconds]
    if digit / 2 < _ROUGHEST * seconds:
        slacks += [share * digit for share in _CUT_SLACKS]
    for slack in slacks:
        fitting = [rate for rate in _RATES if abs(1 / rate - seconds) <= slack]
        if fitting:  # whole rates are the likelier, then the nearest
            return float(min(fitting, key=lambda r: (r != int(r), abs(1 / r - seconds))))
    return 1 / seconds


def _next(path: Path, words: Iterator[str]) -> str:
    word = next(words, None)
    if word is None:
        _damaged(path, "a hierarchy that breaks off")
    return word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _number(path: Path, word: str) -> float:
    if not _is_number(word) or not np.isfinite(float(word)):
        _damaged(path, f"{word!r} where a number was due")
    return float(word)


def _damaged(path: Path, found: str) -> NoReturn:
    raise InputError(f"{path}: found {found}; wanted a whole BVH file, fetch or export it again")
