"""The files of scripts/cluster are what Ray and KubeRay take, without a cluster to ask."""

import copy
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from duet_rl.config import resolve
from duet_rl.run import RunConfig

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "scripts" / "cluster"
SHARED = Path(os.environ.get("DUET_RL_SHARED", ROOT.parent / "shared"))
SCHEMAS = {
    "RayCluster": SHARED / "data" / "kuberay" / "rayclusters.v1.json",
    "RayJob": SHARED / "data" / "kuberay" / "rayjobs.v1.json",
}
KUBERAY = ("raycluster.yaml", "rayjob.yaml")
RAY_UP = ("local.yaml", "aws.yaml", "gcp.yaml")
CLOUDS = ("aws.yaml", "gcp.yaml")
ANY_RESOURCE = "rollout"  # what the runners ask for and only the spot groups have


def load(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((FILES / name).read_text())
    return values


def check_ray_up(config: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def closed(schema: Any) -> Any:
    """Return a schema in which objects with known keys take no others, as the API server does."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {
        key: {name: closed(part) for name, part in value.items()}
        if key == "properties"
        else closed(value)
        for key, value in schema.items()
    }
    if "properties" in schema and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
    return schema


def check_kuberay(manifest: dict[str, Any]) -> None:
    path = SCHEMAS[manifest["kind"]]
    if not path.is_file():
        pytest.skip(f"absent: {path}; set DUET_RL_SHARED")
    Draft202012Validator(closed(json.loads(path.read_text())["openAPIV3Schema"])).validate(manifest)


def spec_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the cluster in a manifest of either kind."""
    spec: dict[str, Any] = manifest["spec"]
    return spec.get("rayClusterSpec", spec)


def groups_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return {group["groupName"]: group for group in spec_of(manifest)["workerGroupSpecs"]}


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_up_takes_the_file(name: str) -> None:
    check_ray_up(load(name))


@pytest.mark.parametrize(
    "plant",
    [
        lambda c: c.update(idle_timeout_minute=5),
        lambda c: c.update(max_workers="nine"),
        lambda c: c.update(head_node_type="haed"),
        lambda c: c["available_node_types"]["rollout"].update(spot=True),
        lambda c: c["available_node_types"]["rollout"].update(resources={"CPU": "16"}),
        lambda c: c["docker"].update(images="duet-rl"),
        lambda c: (
            c.update(max_workers=1) or c["available_node_types"]["rollout"].update(min_workers=2)
        ),
    ],
)
@pytest.mark.parametrize("name", CLOUDS)
def test_ray_up_refuses_what_is_wrong_in_it(name: str, plant: Callable[[Any], None]) -> None:
    config = load(name)
    plant(config)
    with pytest.raises((ValidationError, ValueError)):
        check_ray_up(config)


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_takes_the_file(name: str) -> None:
    check_kuberay(load(name))


@pytest.mark.parametrize(
    "plant",
    [
        lambda s: s.update(enableInTreeAutoscalling=True),
        lambda s: s["autoscalerOptions"].update(version="v3"),
        lambda s: s["autoscalerOptions"].update(idleTimeoutSeconds="300"),
        lambda s: s["workerGroupSpecs"][0].update(minReplicas="two"),
        lambda s: s["workerGroupSpecs"][0].pop("maxReplicas"),
        lambda s: s["workerGroupSpecs"][1]["rayStartParams"].update({"num-cpus": 16}),
        lambda s: s["workerGroupSpecs"][1]["template"]["spec"].update(restartPolice="Never"),
        lambda s: s["headGroupSpec"]["template"]["spec"]["containers"][0].update(images="duet-rl"),
    ],
)
@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_refuses_what_is_wrong_in_it(name: str, plant: Callable[[Any], None]) -> None:
    manifest = copy.deepcopy(load(name))  # whose anchors are one object at several places
    check_kuberay(manifest)
    plant(spec_of(manifest))
    with pytest.raises(ValidationError):
        check_kuberay(manifest)


def test_one_run_and_a_cluster_that_stays_are_the_same_cluster() -> None:
    cluster, job = (spec_of(load(name)) for name in KUBERAY)
    assert cluster == job


def test_all_files_speak_of_the_ray_that_is_installed() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for name in KUBERAY:
        assert spec_of(load(name))["rayVersion"] == pins["ray"], name
    for path in FILES.rglob("*"):
        said = re.findall(r"(?i)ray(?:version)?[\"'=: ]+v?(\d+\.\d+\.\d+)", _text(path))
        assert set(said) <= {pins["ray"]}, path
    assert "constraints.txt" in _text(FILES / "Dockerfile")
    assert not re.search(r"(?:torch|ray)==\d", _text(FILES / "Dockerfile")), (
        "versions live in one place"
    )


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() and path.suffix != ".png" else ""


@pytest.mark.parametrize("name", [*CLOUDS, *KUBERAY])
def test_learner_and_runners_find_a_group_that_starts_from_nothing(name: str) -> None:
    """What `rl.yaml` asks for is what the groups have, so that the autoscaler can act on it."""
    rl = resolve(RunConfig, FILES / "rl.yaml").rl
    assert rl.hardware.remote_learner and rl.env_runners and rl.min_env_runners
    resources, fewest, most = _groups(load(name))
    assert set(fewest.values()) == {0}
    learner = {"GPU": rl.hardware.learner_gpus}
    runner = {"CPU": 1, **rl.hardware.runner_resources}
    assert _fits(learner, resources["learner"]) and not _fits(learner, resources["rollout"])
    assert _fits(runner, resources["rollout"]) and not _fits(runner, resources["learner"])
    room = resources["rollout"][ANY_RESOURCE] * most["rollout"]
    assert rl.min_env_runners <= rl.env_runners <= room


def _groups(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int], dict[str, int]]:
    """Return what a node of each group has, and how many nodes there are at least and at most."""
    if "kind" not in values:
        types = {k: v for k, v in values["available_node_types"].items() if k != "head"}
        return (
            {name: kind["resources"] for name, kind in types.items()},
            {name: kind["min_workers"] for name, kind in types.items()},
            {name: kind["max_workers"] for name, kind in types.items()},
        )
    groups = groups_of(values)
    resources = {}
    for name, group in groups.items():
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        stated = json.loads(shlex.split(group["rayStartParams"].get("resources", "{}"))[0])
        found = {"CPU": int(limits["cpu"]), "GPU": int(limits.get("nvidia.com/gpu", 0)), **stated}
        resources[name] = found
    return (
        resources,
        {name: group["minReplicas"] for name, group in groups.items()},
        {name: group["maxReplicas"] for name, group in groups.items()},
    )


def _fits(wanted: dict[str, float], there: dict[str, float]) -> bool:
    return all(there.get(name, 0) >= amount for name, amount in wanted.items())


@pytest.mark.parametrize("name", [*CLOUDS, *KUBERAY])
def test_only_the_runners_are_on_spot_nodes(name: str) -> None:
    """A runner costs its rollouts when it goes; the learner and the driver cost more."""
    values = load(name)
    spots = {
        group
        for group, text in _group_texts(values).items()
        if re.search(r"'spot'|preemptible': True|SPOT_LABEL", text)
    }
    assert spots == {"rollout"}


def _group_texts(values: dict[str, Any]) -> dict[str, str]:
    groups = groups_of(values) if "kind" in values else values["available_node_types"]
    return {name: str(group) for name, group in groups.items()}


@pytest.mark.parametrize("name", KUBERAY)
def test_a_node_that_is_told_to_go_ends_before_it_is_killed(name: str) -> None:
    pod = groups_of(load(name))["rollout"]["template"]["spec"]
    env = {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}
    drain = int(env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert 0 < drain < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", [*RAY_UP, *KUBERAY])
def test_the_newer_autoscaler_ends_idle_nodes(name: str) -> None:
    values = load(name)
    if "kind" in values:
        options = spec_of(values)["autoscalerOptions"]
        assert spec_of(values)["enableInTreeAutoscaling"] and options["version"] == "v2"
        assert options["idleTimeoutSeconds"] > 0
        assert all(group["idleTimeoutSeconds"] > 0 for group in groups_of(values).values())
        pods = [group["template"]["spec"] for group in groups_of(values).values()]
        assert {pod["restartPolicy"] for pod in pods} == {"Never"}, "v2 makes new pods itself"
    else:
        assert values["idle_timeout_minutes"] > 0
        assert "RAY_enable_autoscaler_v2=1" in " ".join(values["head_start_ray_commands"])
