"""No files import each other in a circle, not even from within their functions."""

import graphlib

from tests.test_layers import ROOT, SOURCES, imports


def test_no_files_import_each_other_in_a_circle() -> None:
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCES
    }
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        # `from a.b import c` is of the file a/b/c.py if there is one, else of a/b.py.
        found = {one if one in names else one.rpartition(".")[0] for one in imports(path)}
        graph[name] = (found & names.keys()) - {name}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise AssertionError("a circle: " + " -> ".join(error.args[1])) from None
