"""The documentation: no page is lost, no link is dead, commands are there, how-tos run."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from duet_rl.cli.main import app
from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import write_bvh
from duet_rl.run import RunConfig
from tests.couple import stepping_couple
from tests.tiny_run import make_place

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
HOWTOS = sorted((DOCS / "howto").glob("*.md"))
SILENT = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
FENCE = re.compile(r"^```(\w*)[^\S\n]*([^\n]*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OURS = re.compile(r"(duet_rl|scripts|tests|envs)/[\w./-]*|[\w.-]+(/[\w.-]+)+\.py")
SETTING = re.compile(rf"(?<![\w./-])((?:{'|'.join(RunConfig.model_fields)})(?:\.\w+)+)=")
KINDS = ["tiny"], ["readable"], ["duolando"], ["bailando"], ["tiny", "codec.architecture=own"]
COMMAND = re.compile(r"^(?:PYTHONPATH=\S+ )?(?:duet-rl|python -m duet_rl) (.*)$", re.M)


def blocks_of(page: Path) -> list[tuple[str, str, str]]:
    """Language, title and text of each block; commands of several lines are one."""
    return FENCE.findall(page.read_text().replace("\\\n", " "))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class Site(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name Python objects."""


Site.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def in_navigation() -> Iterator[str]:
    def leaves(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry if isinstance(entry, list) else entry.values():
                yield from leaves(inner)

    yield from leaves(yaml.load((ROOT / "mkdocs.yml").read_text(), Site)["nav"])


def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub and the site make them."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(in_navigation())
    there = {page.relative_to(DOCS).as_posix() for page in PAGES}
    assert not there - set(listed), f"put into `nav` of mkdocs.yml: {there - set(listed)}"
    assert not set(listed) - there, f"take from `nav` of mkdocs.yml: {set(listed) - there}"
    assert len(listed) == len(there), "a page is listed twice in mkdocs.yml"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_no_link_is_dead(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{name_of(page)} links to {link}, which is not there"
        if anchor and there.suffix == ".md":
            assert anchor in anchors_of(there), f"{name_of(page)}: {link} names no heading"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_a_file_of_ours_that_is_named_is_there(page: Path) -> None:
    words = re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text()))
    for word in (part.strip("(),:") for each in words for part in each.split()):
        if OURS.fullmatch(word):
            there = any((folder / word).exists() for folder in (ROOT, ROOT / "duet_rl"))
            assert there, f"{name_of(page)} names {word}, which is not there"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_a_setting_that_is_written_is_there(page: Path) -> None:
    for key in sorted(set(SETTING.findall(page.read_text()))):
        assert any(has(*kind, f"{key}=?") for kind in KINDS), f"{name_of(page)}: no setting {key}"


def has(preset: str, *words: str) -> bool:
    """Whether there are such settings, whatever their values."""
    try:
        resolve(RunConfig, preset, words)
    except InputError as error:
        return "unknown key" not in str(error)
    return True


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_commands_have_the_options_that_are_written(page: Path) -> None:
    for language, _, text in blocks_of(page):
        if language in ("", "sh"):
            for line in COMMAND.findall(text):
                if "..." not in line and "[-" not in line:  # which stand for other words
                    parse(shlex.split(line, comments=True))


def parse(words: list[str]) -> None:
    """Parse a command line without running it."""
    command = typer.main.get_command(app)
    context = command.make_context("duet-rl", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        _, command, rest = command.resolve_command(context, rest)
        context = command.make_context(command.name, rest, parent=context)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like one that a reader works in, with takes of a couple."""
    folder = make_place(tmp_path_factory.mktemp("reader"))
    (folder / "takes").mkdir()
    for take, beat_seconds in (("slow", 0.55), ("quick", 0.5)):
        couple = stepping_couple(2.8, beat_seconds=beat_seconds)
        write_bvh(folder / "takes" / f"A_{take}.bvh", couple.leader)
        write_bvh(folder / "takes" / f"B_{take}.bvh", couple.follower)
    return folder


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, entered; what it holds can be imported."""
    monkeypatch.chdir(made)
    monkeypatch.syspath_prepend(str(made))
    return made


def some_slow(page: Path) -> object:
    """Takes of mocap need their music heard, which takes its time."""
    slow = [pytest.mark.slow] if page.stem == "mocap" else []
    return pytest.param(page, marks=slow, id=name_of(page))


@pytest.mark.parametrize("page", [some_slow(page) for page in HOWTOS])
def test_a_howto_runs_from_top_to_bottom(page: Path, place: Path) -> None:
    names: dict[str, object] = {}
    for number, (language, info, text) in enumerate(blocks_of(page), start=1):
        title = re.search(r'title="([^"]+)"', info)
        if title:
            (place / title[1]).write_text(text)
        elif language == "python":
            exec(compile(text, f"{page.name}, block {number}", "exec"), names)
        elif language == "sh":
            for line in COMMAND.findall(text):
                done = CliRunner().invoke(app, shlex.split(line))
                assert done.exit_code == 0, (line, done.output, done.exception)


FIGURES = re.findall(
    r"^\| ([\d.]+) \| (.+?) \| `([\w:, -]+)` \| (.*?) ?\| (.+?) \|$",
    (DOCS / "figures.md").read_text(),
    re.M,
)
RESULTS = "scripts/benchmarks/results/2026-11-21-amd-epyc-2-cores.json"


@pytest.mark.parametrize(("figure", "what", "question", "row", "value"), FIGURES)
def test_a_figure_is_what_was_measured(
    figure: str, what: str, question: str, row: str, value: str
) -> None:
    rows = json.loads((ROOT / RESULTS).read_text())[question]["rows"]
    wanted = dict(part.split("=", 1) for part in re.split(r", (?=\w+=)", row) if part)
    fits = [kept for kept in rows if all(str(kept.get(key)) == is_ for key, is_ in wanted.items())]
    assert len(fits) == 1, f"{len(fits)} rows of {question} are {row}"
    number = re.search(r"-?[\d.]+", str(fits[0][value]))  # of an interval, what it is about
    assert number is not None, f"{value} of {question} is no number"
    measured = float(number[0])
    digits = len(figure.partition(".")[2])
    assert f"{measured:.{digits}f}" == figure, f"{what}: {measured} is kept"


def test_every_result_that_is_kept_is_on_the_page_of_figures() -> None:
    kept = json.loads((ROOT / RESULTS).read_text())
    named = {question for _, _, question, _, _ in FIGURES}
    told = (DOCS / "figures.md").read_text()
    assert named <= set(kept)
    assert not [question for question in kept if question not in named and question not in told]


@pytest.mark.slow
def test_the_site_is_built_and_asks_no_other_machine(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, env=SILENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page.relative_to(tmp_path).as_posix(): page for page in tmp_path.rglob("*.html")}
    assert {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in PAGES} <= set(pages)
    for name, page in pages.items():
        fetched = re.findall(
            r"""<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(http[^"]+)""", page.read_text()
        )
        assert not fetched, f"{name} fetches {fetched[0]}"
    settings = pages["reference/rewards.html"].read_text()
    assert "m/s; slower than this costs nothing" in settings.replace("M/s", "m/s")
