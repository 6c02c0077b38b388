"""What is seen of a moment, in words: time, beat, holds, feet and tokens, as HTML."""

from html import escape

import torch

from duet_rl.datasets.clip import FPS
from duet_rl.viewer.takes import Couple, Take

_SIDES = ("left", "right")
_NEAR = 2  # frames; a beat that is no farther is now
_TABLE = '<table style="font-size:12px;line-height:1.35;padding:0 12px 6px">{}</table>'
_ROW = '<tr><td style="opacity:.65;padding-right:10px">{}</td><td>{}</td></tr>'
_LINE = '<p style="font-size:12px;margin:2px 12px 6px">{}</p>'


def moment_of(take: Take, couple: Couple, frame: int) -> str:
    """Return what is seen of a couple in a frame, as a table."""
    rows = {"time": f"{frame / FPS:.2f} s", "frame": f"{frame} of {take.frames}"}
    if bool(take.beats.any()):
        rows["beat"] = _beat(take, frame)
    if couple.leader is not None and couple.follower is not None:
        rows["hands"] = ", ".join(
            f"{side} {_hold(bool(couple.due[frame, hand]), bool(couple.held[frame, hand]))}"
            for hand, side in enumerate(_SIDES)
        )
    for role, first in (("leader", 0), ("follower", 2)):
        if role in couple.dancers:
            whose = "feet" if couple.leader is None else f"{role}'s feet"
            rows[whose] = ", ".join(
                f"{side} {_foot(couple, frame, first + foot)}" for foot, side in enumerate(_SIDES)
            )
    return _table(rows)


def tokens_of(couple: Couple, frame: int) -> str:
    """Return the tokens that stand for a frame, as a table; a line where there are none."""
    if couple.tokens is None:
        return line("no tokens: show a run or give --codec")
    names, told = couple.tokens.spec.names, couple.tokens.told(frame)
    return _table(dict(zip(names, told, strict=True)))


def line(text: str) -> str:
    """Return a text as one line."""
    return _LINE.format(escape(text))


def _table(rows: dict[str, str]) -> str:
    return _TABLE.format("".join(_ROW.format(escape(k), escape(v)) for k, v in rows.items()))


def _beat(take: Take, frame: int) -> str:
    beats = torch.nonzero(take.beats)[:, 0]
    past = beats[beats <= frame + _NEAR]
    if len(past) == 0:
        return f"first in {(int(beats[0]) - frame) / FPS:.2f} s"
    since = max(frame - int(past[-1]), 0)
    now = f"{since / FPS:.2f} s ago" if since > _NEAR else "now"
    return f"{len(past)} of {len(beats)}, {now}"


def _hold(due: bool, held: bool) -> str:
    if held:
        return "holds" if due else "holds, not due"
    return "lets go of a hold due" if due else "free"


def _foot(couple: Couple, frame: int, foot: int) -> str:
    if not couple.planted[frame, foot]:
        return "in the air"
    return "slides" if couple.slides[frame, foot] else "stands"
