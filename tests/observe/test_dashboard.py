"""The Grafana dashboard asks for nothing that no program shows, and leaves nothing out."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from duet_rl.observe.measures import MEASURES

FILE = Path(__file__).parents[2] / "scripts" / "cluster" / "grafana" / "duet_rl.json"
LABELS = {f"ray_{measure.full_name}": set(measure.labels) for measure in MEASURES}
QUERY = re.compile(r"(\w+)\{([^}]*)\}")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads(FILE.read_text())


def targets(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [target for panel in dashboard["panels"] for target in panel.get("targets", [])]


def test_every_metric_and_label_that_it_asks_for_is_one_of_ours(dashboard):
    for target in targets(dashboard):
        (query,) = QUERY.findall(target["expr"])
        name, selectors = query
        assert name in LABELS, target["expr"]
        asked = set(re.findall(r'(\w+)(?:=~|=|!=)"', selectors))
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert {"run", "stage"} <= asked <= LABELS[name], target["expr"]
        assert shown <= LABELS[name], target["legendFormat"]


def test_no_metric_is_left_out(dashboard):
    asked = {QUERY.findall(target["expr"])[0][0] for target in targets(dashboard)}
    assert asked == set(LABELS)


def test_a_series_is_told_apart_by_its_own_label_or_picked_by_it(dashboard):
    for target in targets(dashboard):
        ((name, selectors),) = QUERY.findall(target["expr"])
        for label in LABELS[name] - {"run", "stage"}:
            assert f"{{{{{label}}}}}" in target["legendFormat"] or f'{label}="' in selectors


def test_it_has_what_grafana_wants_of_a_dashboard_and_its_panels(dashboard):
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    assert dashboard["schemaVersion"] >= 36
    assert "id" not in dashboard, "Grafana gives its own; a number here stops an import"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        assert {"id", "type", "title", "gridPos"} <= panel.keys()
        references = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(references)) == len(references)
        assert panel["type"] == "row" or (references and panel["description"])


def test_variables_that_queries_name_are_there_and_none_is_idle(dashboard):
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    body = json.dumps(dashboard["panels"])
    assert variables == set(re.findall(r"\$\{?(\w+)", body)) == {"datasource", "run", "stage"}


def test_panels_lie_within_the_page_and_cover_nobody(dashboard):
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(0 <= p["x"] and p["x"] + p["w"] <= 24 and p["h"] > 0 for p in places)
    for one, other in combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above
