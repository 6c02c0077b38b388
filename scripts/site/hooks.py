"""What the pages need to be read as a site: files of the project that they link to, and tables."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = "source"  # folder of the site that holds linked files from outside docs/
_LINK = re.compile(r"\]\((?:\.\./)+([^)#]+)(#[^)]*)?\)")
_SHIM = "https://unpkg.com/iframe-worker/shim"  # what the plugin `offline` asks the net for
_SHIM_HERE = "iframe-worker.js"  # the same, in docs/
_SHOWN = {".json", ".png", ".svg", ".txt"}  # what browsers show as it is


def on_files(files: Files, config: Any) -> Files:
    """Add each file outside docs/ that a page links to; other links are left to be warned of."""
    for page in list(files.documentation_pages()):
        for target, _ in _LINK.findall(page.content_string):
            linked = _file_at(target)
            if linked is not None and files.get_file_from_path(_place_of(linked)) is None:
                files.append(File.generated(config, _place_of(linked), abs_src_path=str(linked)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links out of docs/ to these files, and show escaped bars of tables as bars."""
    up = "../" * page.file.src_uri.count("/")

    def moved(link: re.Match[str]) -> str:
        linked = _file_at(link[1])
        return link[0] if linked is None else f"]({up}{_place_of(linked)})"

    lines = _LINK.sub(moved, markdown).split("\n")
    return "\n".join(_with_bars(line) if line.startswith("|") else line for line in lines)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take from here what the page would fetch from another machine."""
    return output.replace(_SHIM, "../" * page.file.src_uri.count("/") + _SHIM_HERE)


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Do the same for pages that are no file of docs/."""
    return output_content.replace(_SHIM, _SHIM_HERE)


def _file_at(target: str) -> Path | None:
    """Return the file of the project that is meant; of a folder, what tells of it."""
    path = (ROOT / target).resolve()
    if path.is_dir():
        path /= "README.md"
    inside = path.is_file() and path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "docs")
    return path if inside else None


def _place_of(path: Path) -> str:
    relative = path.relative_to(ROOT).as_posix()
    return f"{SOURCE}/{relative}" + ("" if path.suffix in _SHOWN else ".txt")


def _with_bars(row: str) -> str:
    """Return a row of a table whose code holds `|` for the `\\|` that GitHub wants."""
    return re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), row)
