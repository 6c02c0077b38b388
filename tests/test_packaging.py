"""What is installed: all files that the programs need, and what each of them is licensed under."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))  # the programs are no package

import licences  # noqa: E402

PACKAGES = ("duet_rl", "envs")
_BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]  # which setuptools puts its own words in
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""

_DANCE = """
import sys, duet_rl
from duet_rl.config import load_preset, preset_names
from duet_rl.datasets.store import DuetStore
assert all(load_preset(name) for name in preset_names())
clip = DuetStore.open("world").clips()[0]
dance = duet_rl.load(sys.argv[1]).follow(clip.duet.leader.slice(0, 60), clip.audio)
dance.save("dance.npz", "dance.mp4", "dance.html", "dance.glb")
"""


def shipped() -> Iterator[str]:
    """Names of all files of the packages, relative to the root."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution and the wheel, made of a copy."""
    pytest.importorskip("setuptools", "77")
    copy = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for pattern in ("*.md", "*.toml", "*.in", "LICENSE", "constraints.txt"):
        for path in ROOT.glob(pattern):
            shutil.copy(path, copy)
    shutil.copytree(ROOT / "docs", copy / "docs")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-c", _BUILD, str(out)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sdist, wheel = (next(out.glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
    return sdist, wheel


def test_the_wheel_holds_every_file_of_the_packages(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        held = set(wheel.namelist())
    assert set(shipped()) - held == set(), "name these in [tool.setuptools.package-data]"
    beside = {name for name in held if name.split("/")[0] not in PACKAGES}
    assert {Path(name).parts[0].rsplit(".", 1)[-1] for name in beside} == {"dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in held)
    for needed in ("duet_rl/py.typed", "envs/py.typed", "duet_rl/presets/tiny.yaml"):
        assert needed in held


def test_the_source_holds_what_the_wheel_is_made_of(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    assert set(shipped()) - held == set()
    beside = {"LICENSE", "README.md", "CHANGELOG.md", "constraints.txt", "docs/licences.md"}
    assert beside <= held


def test_the_wheel_knows_its_commands_and_its_needs(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        (info,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        facts = wheel.read(info).decode()
        commands = wheel.read(info.replace("METADATA", "entry_points.txt")).decode()
    assert "duet-rl = duet_rl.cli.main:main" in commands
    assert "License-Expression: Apache-2.0" in facts
    needs = re.findall(r"^Requires-Dist: ([\w.-]+)", facts, re.M)
    assert {"torch", "ray", "typer"} <= set(needs)


@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_the_wheel_works_in_a_clean_environment(built: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "clean"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    constraints = str(ROOT / "constraints.txt")
    run(python, "-m", "pip", "install", "--quiet", "-c", constraints, str(built[1]))
    where = run(python, "-c", "import duet_rl, envs; print(duet_rl.__file__, envs.__file__)")
    assert all(path.startswith(str(home)) for path in where.split())
    assert "generate" in run(python, "-m", "duet_rl", "--help")
    run(python, "-m", "pip", "check")
    settings = ["synthetic.choreographies=3", "synthetic.seconds=4"]
    run(str(home / "bin" / "duet-rl"), "prepare", "synthetic", "--out", "world", *settings)
    for _ in range(2):  # the second time by what workers of the first have compiled
        run(python, "-c", _DANCE, str(ROOT / "tests" / "data" / "checkpoints" / "format_2"))
    assert {path.suffix for path in tmp_path.glob("dance.*")} == {".npz", ".mp4", ".html", ".glb"}


def test_the_page_of_licences_names_every_package_and_is_true() -> None:
    found = list(licences.missing())
    assert found == [], "put these rows into docs/licences.md (python scripts/licences.py)"
    installed = {name: licences.licence_of(name) for name in licences.asked_for()}
    listed = licences.listed()
    wrong = {
        name: f"{listed[name]!r} on the page, {licence!r} by itself"
        for name, licence in installed.items()
        if licence is not None and listed[name] != licence
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MPL-2.0 AND MIT", False),
        ("LGPL-2.1-or-later", False),
        ("not stated", False),
    ],
)
def test_what_asks_for_more_than_a_notice_is_told(licence: str, permissive: bool) -> None:
    assert licences.is_permissive(licence) is permissive
