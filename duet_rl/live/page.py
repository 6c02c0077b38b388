"""The page that shows a live couple, as files that the server hands out."""

from functools import lru_cache
from importlib import resources

from duet_rl.generate.view import asset

FIGURE = "/figure.json"
PAGE_FILES = {
    "/": ("live.html", "text/html; charset=utf-8"),
    "/live.css": ("live.css", "text/css; charset=utf-8"),
    "/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "/dancer.js": ("dancer.js", "text/javascript; charset=utf-8"),
    "/stage.js": ("stage.js", "text/javascript; charset=utf-8"),
    "/live_stage.js": ("live_stage.js", "text/javascript; charset=utf-8"),
    "/three.min.js": ("three.min.js", "text/javascript; charset=utf-8"),
}
_PLAYERS = {"dancer.js", "stage.js", "three.min.js"}  # which the player of dances has too


@lru_cache(maxsize=len(PAGE_FILES))
def page_file(path: str) -> tuple[str, bytes]:
    """Return the type and the bytes of a file of the page."""
    name, kind = PAGE_FILES[path]
    if name in _PLAYERS:
        return kind, asset(name).encode()
    return kind, (resources.files("duet_rl.live") / "assets" / name).read_bytes()
