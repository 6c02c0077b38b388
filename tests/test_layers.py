"""A room stands above all that it imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (  # lowest first; rooms on one floor do not import each other
    {"duet_rl.errors"},
    {"duet_rl.config", "duet_rl.files", "duet_rl.orphans", "duet_rl.text_table"},
    {"duet_rl.pickles"},
    {"duet_rl.body", "duet_rl.models"},
    {"duet_rl.audio", "duet_rl.posecodes", "duet_rl.mocap", "duet_rl.drawing"},
    {"duet_rl.captions", "duet_rl.meshes"},
    {
        "duet_rl.checkpoint",
        "duet_rl.resources",
        "duet_rl.run_log",
        "duet_rl.storage",
        "duet_rl.submit",
    },
    {"duet_rl.datasets", "duet_rl.tokenizers", "duet_rl.rewards", "duet_rl.metrics"}
    | {"duet_rl.observe"},
    {"envs"},
    {"duet_rl.generate", "duet_rl.compat"},
    {"duet_rl.pretrain", "duet_rl.rl"},
    {"duet_rl.report"},
    {"duet_rl.evaluate", "duet_rl.lab", "duet_rl.edit", "duet_rl.live"},
    {"duet_rl.audit", "duet_rl.choreograph"},
    {"duet_rl.run"},
    {"duet_rl.judging", "duet_rl.tune"},
    {"duet_rl.demo", "duet_rl.status", "duet_rl.doctor", "duet_rl.api", "duet_rl.viewer"},
    {"duet_rl.cli"},
    {"duet_rl.__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
BY_NAME_ONLY = "envs"  # duet_rl reaches it through gymnasium, as "envs:DuetDance-v0"


def room_of(module: str) -> str:
    return "envs" if module.split(".")[0] == "envs" else ".".join(module.split(".")[:2])


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


SOURCES = sorted(p for top in ("duet_rl", "envs") for p in (ROOT / top).rglob("*.py"))


def faults_of(path: Path) -> Iterator[str]:
    """What a file imports from where it must not."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    if module == "duet_rl":
        return  # its __init__ names what stands above; tests/test_api.py keeps it instant
    here = room_of(module)
    if here not in FLOOR_OF:
        yield f"{here} stands on no floor; give it one in this test"
        return
    for name in imports(path):
        there = room_of(name)
        if there in FLOOR_OF and there != here:
            if FLOOR_OF[there] >= FLOOR_OF[here]:
                yield f"{module} reaches up or across to {name}"
            if there == BY_NAME_ONLY:
                yield f"{module} names its env as a string, not an import"


def test_a_room_stands_above_all_that_it_imports() -> None:
    assert len(SOURCES) > 100, "these are not all files"
    faults = [fault for path in SOURCES for fault in faults_of(path)]
    assert not faults, "\n".join(faults)


def test_the_env_package_is_ours_and_not_the_one_on_the_index() -> None:
    import envs

    assert Path(envs.__file__).resolve().parent == ROOT / "envs"


def test_no_file_grows_past_four_hundred_lines() -> None:
    tests = (ROOT / "tests").rglob("*.py")
    long = [p for p in (*SOURCES, *tests) if len(p.read_text().splitlines()) > 400]
    assert not long, f"split {[str(p.relative_to(ROOT)) for p in long]}"
