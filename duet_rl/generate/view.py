"""A dance as one HTML file: all bodies in 3D with their music, played without a network."""

import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.generate.scene import DanceScene
from duet_rl.generate.scene_data import FARTHEST, figure_data, scene_data

__all__ = ["FARTHEST", "DanceScene", "asset", "fill", "player", "scripts", "sheet", "write_page"]

PLAYER_SCRIPTS = ("three.min.js", "dancer.js", "stage.js", "dance.js", "timeline.js", "player.js")


def write_page(path: Path | str, scenes: Sequence[DanceScene], title: str) -> None:
    """Write the page that plays `scenes`, whole or not at all."""
    page = fill(
        asset("page.html"),
        title=html.escape(title),
        style=asset("player.css"),
        player=player(scenes),
        scripts=scripts(),
    )
    with atomic_path(path) as temporary:
        # A file may have a name that is no text.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def sheet(title: str, hint: str, body: str, style: str = "", with_player: bool = True) -> str:
    """Return a page of sections below each other, with its heading and the switch of its colours.

    Args:
        title: as text.
        hint: a line below it, as text.
        body: the sections, HTML.
        style: more rules for them, CSS.
        with_player: whether a player is among them.
    """
    return fill(
        asset("sheet.html"),
        title=html.escape(title),
        hint=html.escape(hint),
        style=asset("player.css") + asset("report.css") + style,
        body=body,
        scripts=scripts(with_player, more=("report.js",)),
    )


def player(scenes: Sequence[DanceScene]) -> str:
    """Return the player with its dances as an HTML element, to be put into a page.

    The page needs `asset("player.css")` and, after the element, `scripts()`.
    """
    if not scenes:
        raise InputError("no dance to show; give at least one")
    data = {"figure": figure_data(), "scenes": [scene_data(scene) for scene in scenes]}
    # "<" never occurs in the text, so that no value can end the script element.
    return fill(asset("player.html"), data=json.dumps(data).replace("<", "\\u003c"))


def scripts(with_player: bool = True, more: Sequence[str] = ()) -> str:
    """Return the script elements that a page ends with, `more` of them from the assets."""
    names = ("theme.js", *(PLAYER_SCRIPTS if with_player else ()), *more)
    return "\n".join(f"<script>\n{asset(name)}\n</script>" for name in names)


def asset(name: str) -> str:
    """Return the text of a file that ships with the package."""
    return (resources.files("duet_rl.generate") / "assets" / name).read_text(encoding="utf-8")


def fill(template: str, **parts: str) -> str:
    """Return `template` with each `{{name}}` replaced by the part of that name."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
