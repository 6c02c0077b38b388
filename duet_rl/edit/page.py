"""An edit as one HTML file: the dance before and after in 3D, and what was asked and shown."""

import html
from collections.abc import Sequence
from pathlib import Path

from duet_rl.edit.chart import edit_chart
from duet_rl.edit.report import Asked, all_shown, asked_of, measured_rows, sentence
from duet_rl.edit.run import Edited
from duet_rl.files import atomic_path
from duet_rl.generate.view import DanceScene, fill, player, sheet

BESIDE = 0.8  # m to either side of where the dancer was, to see both at once
_STYLE = ".report td.words { text-align: left; white-space: normal; color: var(--soft-ink); }\n"
_BODY = """  <section class="verdict {{kind}}"><p class="says">{{verdict}}</p></section>
  <section><h2>Before and after</h2>{{player}}
    <p class="hint">Drag to turn, scroll or pinch to come nearer, space to play.</p></section>
  <section><h2>Asked and shown</h2>{{edits}}</section>
  <section><h2>What else changed</h2>{{moved}}{{measures}}</section>
"""


def write_page(path: Path | str, edited: Edited, title: str, audio: Path | None = None) -> None:
    """Write the page of an edit, whole or not at all; it needs no network.

    Args:
        path: where.
        edited: what to show.
        title: of the page.
        audio: the music from the first frame on.
    """
    body = fill(
        _BODY,
        kind="better" if all_shown(edited) else "open",
        verdict=html.escape(sentence(edited)),
        player=player(scenes_of(edited, audio)),
        edits="".join(_edit(edited, number) for number in range(len(edited.wants))),
        moved=_moved(edited),
        measures=_measures(edited),
    )
    lasts = f"{edited.motion.seconds:.1f} s at {edited.motion.fps:g} frames per second"
    page = sheet(title, lasts, body, _STYLE)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def scenes_of(edited: Edited, audio: Path | None = None) -> list[DanceScene]:
    """Return the dance before and after: in place, with the leader if there is one, and abreast."""
    before, after = edited.source, edited.motion
    both = {"after": after, "before": before}
    note = "; ".join(want.name for want in edited.wants)
    in_place = DanceScene(
        "in place" if edited.leader is None else "with the leader",
        edited.leader,
        both,
        audio,
        note=note,
    )
    abreast = DanceScene(
        "side by side",
        None,  # they are one dancer, and no couple that could be in touch
        {"before": before.moved([-BESIDE, 0.0, 0.0]), "after": after.moved([BESIDE, 0.0, 0.0])},
        audio,
        note=note,
        together=True,
    )
    return [abreast, in_place] if edited.leader is None else [in_place, abreast]


def _edit(edited: Edited, number: int) -> str:
    want = edited.wants[number]
    parts = ", ".join(part.replace("_", " ") for part in want.parts)
    return (
        f"<h3>{html.escape(want.name)}</h3>{edit_chart(edited, number)}"
        f'<p class="hint">May move: {html.escape(parts)}. Share of the asked frames that show:</p>'
        + _table(
            ("", "before", "after"),
            [
                ("all of it", f"{edited.rates_before[number]:.0%}", f"{edited.rates[number]:.0%}"),
                *(_shown(row) for row in asked_of(edited, number)),
            ],
        )
    )


def _shown(row: Asked) -> tuple[str, ...]:
    return row.words, f"{row.before:.0%}", f"{row.after:.0%}"


def _moved(edited: Edited) -> str:
    names = [part.replace("_", " ") for part in edited.moved]
    values = [f"{value:.0f}" for value in edited.moved.values()]
    return (
        '<p class="hint">How far each part is from where it was in the asked frames, as seen from '
        "what it hangs on, mm:</p>" + _table(("", *names), [("moved", *values)])
    )


def _measures(edited: Edited) -> str:
    rows = [
        (name if unit == "share" else f"{name} ({unit})", before, after, about)
        for name, unit, before, after, about in measured_rows(edited)
    ]
    return _table(("", "before", "after", ""), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(
            f"<td{' class=words' if head[place] == '' else ''}>{html.escape(text)}</td>"
            for place, text in enumerate(row[1:], 1)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )
