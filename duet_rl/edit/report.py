"""What an edit asked and what came of it, in words and numbers."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from duet_rl.edit.measure import MEASURED
from duet_rl.edit.run import Edited
from duet_rl.edit.wants import EVEN, Want, in_words
from duet_rl.files import atomic_path
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.posecodes.table import Row
from duet_rl.text_table import aligned

REALISED = 0.8  # share of the asked frames from which on an edit counts as shown


class Asked(NamedTuple):
    """One group that an edit asks something of, and the share of asked frames that show it."""

    words: str
    before: float
    after: float


def asked_of(edited: Edited, number: int) -> list[Asked]:
    """Return what one of the edits asks of each group."""
    want = edited.wants[number]
    met = [
        want.met(BODY_CODES.codes(motion.joints))[want.frames].float().mean(0).tolist()
        for motion in (edited.source, edited.motion)
    ]
    words = (wanted_words(want, place) for place in range(len(want.groups)))
    return [Asked(*row) for row in zip(words, *met, strict=True)]


def wanted_words(want: Want, place: int) -> str:
    """Return in words what an edit wants of one of its groups.

    Example: `left hand above head`, or `left knee: angle at least 30 deg less than before`.
    """
    group = want.groups[place]
    if want.steps:
        return _steps_in_words(BODY_CODES.rows[group], want.steps[place])
    return in_words(group, want.classes[want.frames][0, place].nonzero()[:, 0].tolist())


def _steps_in_words(row: Row, steps: int) -> str:
    subject, other = row.said_of()
    told = f"{subject}{f' to {other}' if other else ''}"
    if row.operator in EVEN:
        low, high = row.scale.thresholds[:2]
        amount = f"{abs(steps) * (high - low):.3g} {row.measures.unit}"
    else:
        amount = f"{abs(steps)} class{'' if abs(steps) == 1 else 'es'}"
    return f"{told}: {row.operator} at least {amount} {'more' if steps > 0 else 'less'} than before"


def lines_of(edited: Edited) -> list[str]:
    """Return a short text for the terminal: one line an edit, and what changed beside it."""
    rows = [["", "asked", "before", "after"]]
    for want, before, after in zip(edited.wants, edited.rates_before, edited.rates, strict=True):
        rows.append([want.name, f"{int(want.frames.sum())} frames", _share(before), _share(after)])
    moved = ", ".join(
        f"{part.replace('_', ' ')} {value:.0f} mm" for part, value in edited.moved.items()
    )
    changed = [
        f"{name}: {before} -> {after}{'' if unit == 'share' else f' {unit}'}"
        for name, unit, before, after, _ in measured_rows(edited)
    ]
    return [*aligned(rows), f"moved: {moved}", *changed]


def measured_rows(edited: Edited) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield name, unit, before, after and meaning of each measure."""
    for name, before in edited.before.items():
        told = MEASURED[name]
        after = edited.after[name]
        yield name.replace("_", " "), told.unit, _number(before), _number(after), told.about


def write_json(path: Path | str, edited: Edited) -> None:
    """Write all of the report as JSON, whole or not at all; NaN as null."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(to_json(edited), indent=1, allow_nan=False) + "\n")


def to_json(edited: Edited) -> dict[str, Any]:
    """Return the report as plain values; frames are of `fps` a second."""
    return {
        "fps": edited.motion.fps,
        "frames": edited.motion.frames,
        "edits": [_edit_json(edited, number) for number in range(len(edited.wants))],
        "before": _without_nan(edited.before),
        "after": _without_nan(edited.after),
        "moved_mm": _without_nan(edited.moved),
    }


def runs_of(frames: Bool[Tensor, "T"]) -> list[tuple[int, int]]:
    """Return each stretch of true frames: its first frame and the one after its last."""
    padded = torch.cat([frames.new_zeros(1), frames, frames.new_zeros(1)]).int()
    edges = padded.diff().nonzero()[:, 0].tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def sentence(edited: Edited) -> str:
    """Return in one sentence how much of what was asked is shown."""
    told = [
        f"{want.name!r} in {_share(after)} of the frames that were asked ({_share(before)} before)"
        for want, before, after in zip(edited.wants, edited.rates_before, edited.rates, strict=True)
    ]
    return f"The take shows {'; '.join(told)}."


def all_shown(edited: Edited) -> bool:
    """Return whether every edit is shown in `REALISED` of its frames."""
    return all(rate >= REALISED for rate in edited.rates)


def _edit_json(edited: Edited, number: int) -> dict[str, Any]:
    want = edited.wants[number]
    return {
        "what": want.name,
        "parts": list(want.parts),
        "shown_before": edited.rates_before[number],
        "shown_after": edited.rates[number],
        "groups": [row._asdict() for row in asked_of(edited, number)],
        "asked_frames": runs_of(edited.requested[number]),
        "shown_frames_before": runs_of(edited.realised_before[number]),
        "shown_frames_after": runs_of(edited.realised[number]),
    }


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _share(value: float) -> str:
    return f"{value:.0%}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
