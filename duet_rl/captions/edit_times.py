"""When an edit is asked for: `in the second half`, `from 2 to 4 seconds`, `for the last second`."""

import re
from collections.abc import Callable
from typing import NamedTuple

from duet_rl.captions.signals import FPS
from duet_rl.errors import InputError

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER = rf"(?:\d+(?:\.\d+)?|{'|'.join(_WORDS)}|half a|a)"
_UNIT = r"(?:seconds?|secs?|s|frames?)"
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "middle": 1, "last": -1}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5}
_TO = r"(?: (?:to|until|till|and) | ?[-\u2013] ?)"
_BEGINNING, _ENDING = r"the (?:beginning|start)", r"the (?:very )?end"
_UNTIL = r"(?:to|until|till|up to)"
_IN = r"(?:in|during|for|over|throughout|within)"
_AROUND = 0.5  # s before and after a moment


class Span(NamedTuple):
    """Frames from `start` to before `stop`."""

    start: int
    stop: int


def cut_spans(text: str, frames: int) -> tuple[str, list[Span]]:
    """Return a text with `@0`, `@1` ... in the place of the times that it names, and the times.

    Args:
        text: in lower case.
        frames: length of the motion, 30 fps.

    Raises:
        InputError: a time that the motion does not have.
    """
    spans: list[Span] = []

    def cut(match: re.Match[str]) -> str:
        kind = next(i for i in range(len(_TIMES)) if match.group(f"t{i}") is not None)
        start, stop = _TIMES[kind][1](match.group(f"t{kind}"), frames)
        if start >= stop:
            raise InputError(
                f"{match.group(0).strip()!r} lasts no time or ends before it begins; say first "
                "when it begins"
            )
        if not 0 <= start < stop <= frames:
            raise InputError(
                f"{match.group(0).strip()!r} is {start / FPS:g} to {stop / FPS:g} s, and the "
                f"motion ends at {frames / FPS:g} s; name a time within it"
            )
        spans.append(Span(start, stop))
        return f" @{len(spans) - 1} "

    return _TIME.sub(cut, text), spans


def _fraction(said: str, frames: int) -> tuple[int, int]:
    ordinal, part = re.findall(rf"({'|'.join(_ORDINALS)}) ({'|'.join(_PARTS)})", said)[0]
    count = _PARTS[part]
    index = _ORDINALS[ordinal] % count
    if _ORDINALS[ordinal] >= count:
        raise InputError(f"{said.strip()!r}: there is no {ordinal} {part}")
    return round(index * frames / count), round((index + 1) * frames / count)


def _end_stretch(said: str, frames: int) -> tuple[int, int]:
    one = 1 if "frame" in said else round(FPS)
    length = next(iter(_numbers(said)), one)
    return (0, length) if "first" in said.split() else (frames - length, frames)


def _between(said: str, frames: int) -> tuple[int, int]:
    start, stop = _numbers(said)
    return start, stop


def _after(said: str, frames: int) -> tuple[int, int]:
    return _numbers(said)[0], frames


def _until(said: str, frames: int) -> tuple[int, int]:
    return 0, _numbers(said)[0]


def _at(said: str, frames: int) -> tuple[int, int]:
    moment, around = _numbers(said)[0], round(_AROUND * FPS)
    if moment >= frames:
        return moment, moment + 1
    return max(0, moment - around), min(frames, moment + around)


def _third(index: int) -> Callable[[str, int], tuple[int, int]]:
    return lambda said, frames: (round(index * frames / 3), round((index + 1) * frames / 3))


def _whole(said: str, frames: int) -> tuple[int, int]:
    return 0, frames


def _no_start(said: str, frames: int) -> tuple[int, int]:
    raise InputError(f"{said.strip()!r}: from when? such as `for the first 2 seconds`")


def _numbers(said: str) -> list[int]:
    """Return the numbers of a time as frames; without a unit they are seconds."""
    found = re.findall(
        rf"(?<![a-z\d.])({_NUMBER})(?![a-z\d.])", re.sub(r"(\d)(?=[a-z])", r"\1 ", said)
    )
    in_frames = re.search(r"\bframes?\b", said) is not None
    values = [_value(word) for word in found]
    return [round(value if in_frames else value * FPS) for value in values]


def _value(word: str) -> float:
    if word in ("a", "half a"):
        return 1.0 if word == "a" else 0.5
    return float(_WORDS.index(word)) if word in _WORDS else float(word)


_TIMES: tuple[tuple[str, Callable[[str, int], tuple[int, int]]], ...] = (
    (rf"(?:{_IN} )?the ({'|'.join(_ORDINALS)}) ({'|'.join(_PARTS)})", _fraction),
    (rf"(?:{_IN} )?the (?:first|last) (?:{_NUMBER} ?)?{_UNIT}", _end_stretch),
    (
        rf"(?:from|between)(?: frames?| seconds?)? {_NUMBER} ?{_UNIT}?{_TO}"
        rf"(?:(?:frame|second) )?{_NUMBER} ?{_UNIT}?",
        _between,
    ),
    (rf"(?:{_IN} )?frames? {_NUMBER}{_TO}{_NUMBER}", _between),
    (rf"from {_BEGINNING} {_UNTIL} {_ENDING}", _whole),
    (rf"from {_BEGINNING} {_UNTIL}(?: frame| second)? {_NUMBER} ?{_UNIT}?", _until),
    (rf"from(?: frame| second)? {_NUMBER} ?{_UNIT}? {_UNTIL} {_ENDING}", _after),
    (rf"(?:after|from)(?: frame| second)? {_NUMBER} ?{_UNIT}?(?: on(?:wards?)?)?", _after),
    (rf"(?:until|till|before|up to)(?: frame| second)? {_NUMBER} ?{_UNIT}?", _until),
    (rf"at(?: frame| second)? {_NUMBER} ?{_UNIT}?", _at),
    (rf"for {_NUMBER} ?{_UNIT}", _no_start),
    (r"(?:at|in) the (?:beginning|start)|at first", _third(0)),
    (r"in the middle", _third(1)),
    (r"(?:at|in) the end|at last|finally", _third(2)),
    (r"all the time|the whole time|throughout|always|from beginning to end|everywhere", _whole),
)
_TIME = re.compile(
    "|".join(
        rf"(?P<t{i}>\b{_named}(?![a-z\d]))"
        for i, _named in enumerate(re.sub(r"\((?!\?)", "(?:", pattern) for pattern, _ in _TIMES)
    )
)
