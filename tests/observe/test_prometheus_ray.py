"""What a node of Ray shows to Prometheus; its agent needs the packages of `ray[default]`."""

import re
import time
import urllib.request
from pathlib import Path

import pytest
import ray

from duet_rl.observe.measures import MEASURES
from duet_rl.pretrain.notes import StageNotes
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan
from duet_rl.rl.journal import Journal
from duet_rl.rl.settings import RLConfig
from tests.rl.test_journal import SmallRun

PATIENCE = 200.0  # s; a node brings its metrics up to date every ten
LINE = re.compile(r"^ray_(duet_rl_\w+)\{(.*)\} (\S+)$", re.MULTILINE)


@pytest.fixture
def metrics_port(ray_cluster: None) -> int:
    for package in ("prometheus_client", "aiohttp", "opentelemetry.sdk"):
        pytest.importorskip(package, reason="pip install 'ray[default]'")
    (node,) = [node for node in ray.nodes() if node["Alive"]]
    return int(node["MetricsExportPort"])


def shown(port: int) -> dict[tuple[str, ...], float]:
    """Return our metrics of the node by name, run, stage and the value of their own label."""
    try:
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE)
    except OSError:  # the agent of a new cluster comes up after it
        return {}
    text, found = page.read().decode(), {}
    own = {measure.full_name: measure.label for measure in MEASURES}
    for name, labels, value in LINE.findall(text):
        values = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found[name, values["run"], values["stage"], values.get(own[name], "")] = float(value)
    return found


@ray.remote(num_cpus=0)
def pretrain_somewhere(out: Path) -> float:
    """Note two steps of a stage in another process, and live until they are reported."""
    notes = StageNotes(PosePlan(StageConfig(), out, out), first=0, total=40)
    notes.write(10, {"loss": 3.0})
    notes.write(20, {"loss": 2.0, "val/loss": 2.5})
    time.sleep(PATIENCE)
    return 0.0


@pytest.mark.ray
@pytest.mark.slow
def test_a_node_shows_the_numbers_of_both_kinds_of_training(metrics_port: int, tmp_path: Path):
    task = pretrain_somewhere.remote(tmp_path / "waltz")
    run = SmallRun()
    with Journal(
        tmp_path / "salsa" / "rl_work",
        RLConfig(iterations=10),
        run,
        ["lower", "upper"],
        None,
        False,
    ) as journal:
        for _ in range(5):
            journal.note(run.train())
        wanted = {
            ("duet_rl_reward", "salsa", "rl", "total"): 0.5,
            ("duet_rl_iteration", "salsa", "rl", ""): 5.0,
            ("duet_rl_healthy_runners", "salsa", "rl", ""): 2.0,
            ("duet_rl_progress", "salsa", "rl", ""): 0.5,
            ("duet_rl_loss", "waltz", "pose", "total"): 2.0,
            ("duet_rl_validation", "waltz", "pose", "loss"): 2.5,
            ("duet_rl_progress", "waltz", "pose", ""): 0.5,
        }
        deadline = time.monotonic() + PATIENCE
        while not wanted.items() <= (found := shown(metrics_port)).items():
            assert time.monotonic() < deadline, found
            time.sleep(1)
    ray.cancel(task, force=True)
    assert found["duet_rl_steps_per_second", "salsa", "rl", ""] > 0
