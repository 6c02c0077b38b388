"""A chart of one edit: when it was asked, and when the take showed it before and after."""

import html

from duet_rl.edit.report import runs_of
from duet_rl.edit.run import Edited
from duet_rl.generate.charts import nice_ticks

WIDTH = 640  # in the chart's own units
_NAMES, _RIGHT, _ROW, _BAR = 64, 12, 20, 13
_ROWS = (("asked", "--line5"), ("before", "--line0"), ("after", "--line1"))


def edit_chart(edited: Edited, number: int) -> str:
    """Return the frames of an edit as three rows of bars over time, inline SVG.

    Colours come from the page's style sheet.
    """
    frames, fps = edited.motion.frames, edited.motion.fps
    rows = (edited.requested, edited.realised_before, edited.realised)
    drawn = []
    for place, ((name, colour), shown) in enumerate(zip(_ROWS, rows, strict=True)):
        y = 4 + place * _ROW
        drawn.append(f'<text class="y" x="{_NAMES - 8}" y="{y + 10.5}">{name}</text>')
        drawn.append(
            f'<rect x="{_NAMES}" y="{y}" width="{WIDTH - _NAMES - _RIGHT}" height="{_BAR}" rx="2" '
            'style="fill:var(--edge)" opacity="0.45"/>'
        )
        for start, stop in runs_of(shown[number]):
            x, end = (_across(frame, frames) for frame in (start, stop))
            told = html.escape(f"{name}: {start / fps:.2f} s to {stop / fps:.2f} s")
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{max(end - x, 0.8):.1f}" height="{_BAR}" '
                f'rx="2" style="fill:var({colour})"><title>{told}</title></rect>'
            )
    bottom = 4 + len(_ROWS) * _ROW
    for second in nice_ticks(0.0, frames / fps):
        if second * fps <= frames:
            x = _across(second * fps, frames)
            drawn.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{bottom}"/>')
            drawn.append(
                f'<text class="middle" x="{x:.1f}" y="{bottom + 12}">{second:.10g} s</text>'
            )
    label = html.escape(f"When {edited.wants[number].name!r} was asked and shown")
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + 18}" role="img" '
        f'aria-label="{label}">{"".join(drawn)}</svg>'
    )


def _across(frame: float, frames: int) -> float:
    return _NAMES + (WIDTH - _NAMES - _RIGHT) * frame / frames
