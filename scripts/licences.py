"""What the packages that we stand on are licensed under, as they say where they are installed.

    python scripts/licences.py            # rows that docs/licences.md lacks, ready to be put there
    python scripts/licences.py NAME...    # what these packages say

Names come from pyproject.toml (what is asked for) and constraints.txt (what that brings along).
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib  # type: ignore[no-redef]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
UNKNOWN = "not stated"
_LONGEST = 40  # characters of a licence's name; more is its text
_NAMES = (  # how packages call a licence -> its SPDX name, the first that fits
    (r"MIT-CMU|HPND", "MIT-CMU"),
    (r"LGPL", "LGPL-2.1-or-later"),
    (r"MPL|Mozilla", "MPL-2.0"),
    (r"Apache", "Apache-2.0"),
    (r"MIT", "MIT"),
    (r"ISC", "ISC"),
    (r"PSF|Python Software", "PSF-2.0"),
    (r"BSD|3-Clause", "BSD-3-Clause"),
)
# Who uses a package under these owes no more than a notice.
PERMISSIVE = {"MIT", "MIT-0", "MIT-CMU", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD"}
PERMISSIVE |= {"ISC", "PSF-2.0", "Zlib", "CC0-1.0", "BSL-1.0", "CNRI-Python"}
PERMISSIVE |= {"Apache-2.0 WITH LLVM-exception"}


def licence_of(package: str) -> str | None:
    """Return what an installed package says of its licence, as SPDX; None: it is not installed."""
    try:
        facts = metadata(package)
    except PackageNotFoundError:
        return None
    if expression := facts.get("License-Expression"):
        return str(expression)
    said = str(facts.get("License") or "").strip()
    kinds = [kind for kind in facts.get_all("Classifier") or [] if kind.startswith("License ::")]
    named = [kind.rpartition(":: ")[2] for kind in kinds if "DFSG" not in kind]
    if (
        said
        and said != "UNKNOWN"
        and "\n" not in said
        and len(said) <= _LONGEST
        and set(said) != {"="}
    ):
        return said if " AND " in said or said.startswith("LicenseRef") else _spdx(said)
    return " OR ".join(sorted({_spdx(name) for name in named})) or UNKNOWN


def asked_for() -> list[str]:
    """Return the names of all packages in pyproject.toml, extras and tools included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    words = (re.match(r"[\w.-]+", need) for group in groups for need in group)
    return sorted({plain(word[0]) for word in words if word})


def brought_along() -> list[str]:
    """Return the names of all packages in constraints.txt that nobody asks for by name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = {plain(line.partition("==")[0]) for line in lines if "==" in line}
    return sorted(names - set(asked_for()))


def plain(name: str) -> str:
    """Return the name of a package as indexes compare names."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def is_permissive(licence: str) -> bool:
    """Return whether a licence asks for no more than a notice; of alternatives one is enough."""
    bare = licence.replace("(", "").replace(")", "")
    return any(
        all(part.strip() in PERMISSIVE for part in choice.split(" AND "))
        for choice in bare.split(" OR ")
    )


def listed() -> dict[str, str]:
    """Return the rows of the page: name -> licence."""
    rows = re.findall(r"^\| ([^|]+?) \| [^|]+ \| ([^|]+?) \|", PAGE.read_text(), re.M)
    return {plain(re.sub(r"[`\[\]]|\(.*?\)", "", name)): licence for name, licence in rows}


def missing() -> Iterator[tuple[str, str]]:
    """Yield packages that the page must name and does not, with their licences.

    It names all that are asked for, and of what they bring along all that ask for more than a
    notice.
    """
    known = listed()
    for name in asked_for():
        if name not in known:
            yield name, licence_of(name) or UNKNOWN
    for name in brought_along():
        licence = licence_of(name)
        if licence is not None and not is_permissive(licence) and name not in known:
            yield name, licence


def _spdx(said: str) -> str:
    return next((name for pattern, name in _NAMES if re.search(pattern, said)), said)


def main() -> None:
    if names := sys.argv[1:]:
        for name in names:
            print(f"| {plain(name)} | ? | {licence_of(name) or 'not installed'} | ? | no |")
        return
    rows = list(missing())
    for name, licence in rows:
        print(f"| {name} | ? | {licence} | ? | no |")
    raise SystemExit(1 if rows else 0)


if __name__ == "__main__":
    main()
