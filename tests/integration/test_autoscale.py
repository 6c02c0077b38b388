"""Work on clusters that grow and shrink: by an autoscaler, and by nodes that are taken away."""

import json
import signal
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch

from duet_rl import checkpoint
from duet_rl.rl.tags import HEALTHY, RESTARTS
from duet_rl.run_log import STEP, read_metrics
from tests.integration import elastic_job
from tests.integration.clusters import autoscaling_cluster, cluster
from tests.integration.processes import World, ended, started, wait_until, write_world
from tests.pretrain.conftest import data

__all__ = ["data"]
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(1800),  # of a machine that others use, too
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
]

PATIENCE = 120.0  # s, as `wait_until` counts them
STOPPED = 60.0  # s from Ctrl-C to the end, likewise
IDLE_MINUTES = 0.1
INTERRUPTED = 130
# s that Ray Train waits for a node which it takes to be there; by default 60.
HASTY = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5"}
SMALL = [
    *("rl.leaders=2", "rl.rollouts=8", "rl.seconds=1.6", "rl.new_groups=2", "rl.batch_groups=2"),
    *("rl.checkpoint_every=5", "rl.collect.max_staleness=100", "rl.wait_seconds=120"),
]
FAKE_GPU = "fake_gpu"  # a resource by name only: RLlib would look for CUDA on a real one
HARDWARE = [
    *("rl.hardware.remote_learner=true", "rl.hardware.learner_resources={fake_gpu: 1}"),
    "rl.hardware.runner_resources={rollout: 1}",
]


def rows(world: World) -> list[dict[str, float]]:
    return read_metrics(world.work)


def count(nodes: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Return how many nodes there are, with rollouts, and with the GPU that is none."""
    with_rollouts = sum("rollout" in node for node in nodes)
    return len(nodes), with_rollouts, sum(FAKE_GPU in node for node in nodes)


def test_a_run_makes_the_cluster_grow_from_nothing_and_leaves_it_to_shrink(tmp_path: Path) -> None:
    world = write_world(tmp_path)
    types = {"rollout": ({"CPU": 1, "rollout": 1}, 2), "learner": ({"CPU": 1, FAKE_GPU: 1}, 1)}
    settings = [*SMALL, *HARDWARE, "rl.env_runners=3", "rl.min_env_runners=2", "rl.iterations=6"]
    with autoscaling_cluster(tmp_path, types, IDLE_MINUTES) as there, there.watched() as log:

        def seen() -> list[tuple[int, int, int]]:
            looks = log.read_text().splitlines()[:-1]  # the last may be half a line
            return [count(json.loads(look)) for look in looks]

        wait_until(lambda: (1, 0, 0) in seen(), PATIENCE, "the head")
        assert set(seen()) <= {(0, 0, 0), (1, 0, 0)}, "nothing runs before it is wanted"
        command, output = world.command(settings), tmp_path / "run.log"
        with started(command, output, there.environment) as program:
            assert ended(program, PATIENCE, output) == 0, output.read_text()
        assert max(seen()) == (4, 2, 1), "all that there may be, and a third runner waits"
        wait_until(lambda: seen()[-1] == (1, 0, 0), PATIENCE, "the end of idle nodes")
    assert checkpoint.read_meta(world.finished)["iterations"] == 6
    assert rows(world)[-1][RESTARTS] == 0, "runners that come late were not lost"


def test_a_run_goes_on_while_nodes_come_and_go(tmp_path: Path) -> None:
    world = write_world(tmp_path)
    settings = [*SMALL, "rl.env_runners=3", "rl.min_env_runners=1", "rl.iterations=100000"]

    def runs_with(runners: int, more: int = 3) -> None:
        """Wait for so many iterations with this number of runners."""
        begun = len(rows(world))
        wait_until(
            lambda: sum(row[HEALTHY] == runners for row in rows(world)[begun:]) >= more,
            PATIENCE,
            f"iterations with {runners} runners",
            output,
        )

    output = tmp_path / "run.log"
    with cluster(tmp_path) as there:
        first = there.add_node(cpus=1)
        with started(world.command(settings), output, there.environment) as program:
            runs_with(1)
            second = there.add_node(cpus=1)
            runs_with(2)
            first.kill()
            runs_with(1)
            second.kill()
            there.add_node(cpus=3)
            runs_with(3)
            program.send_signal(signal.SIGINT)
            assert ended(program, STOPPED, output) == INTERRUPTED, output.read_text()
    steps = [row[STEP] for row in rows(world)]
    assert steps == list(range(1, len(steps) + 1)), "no iteration is lost or told twice"
    assert rows(world)[-1][RESTARTS] == 2, "two were lost, and one came late"


def states(step: int) -> list[int]:
    """Return the steps before which the state is kept, up to `step`."""
    return list(range(0, step + 1, elastic_job.STATE_EVERY))


def test_pretraining_grows_and_shrinks_and_learns_what_one_worker_learns(
    data: Path, tmp_path: Path
) -> None:
    """The job waits in a step for its second worker, and in a later one for the loss of one."""
    out, output = tmp_path / "run", tmp_path / "run.log"

    def shares() -> list[tuple[int, int, int]]:
        file = out / "elastic" / elastic_job.WORLDS
        lines = file.read_text().splitlines() if file.is_file() else []
        found = [tuple(map(int, line.split())) for line in lines]
        return [(step, rank, world) for step, rank, world in found]

    def reached(step: int, world: int) -> bool:
        assert program.poll() is None, output.read_text()
        return (step - 1, 0, world) in shares()

    with cluster(tmp_path) as there:
        first = there.add_node(cpus=1)
        command = [sys.executable, "-m", elastic_job.__name__, str(data), str(out)]
        with started(command, output, {**there.environment, **HASTY}) as program:
            wait_until(lambda: reached(elastic_job.GROWS, 1), PATIENCE, "the work of one", output)
            there.add_node(cpus=1)
            wait_until(lambda: reached(elastic_job.SHRINKS, 2), PATIENCE, "the work of two", output)
            first.kill()
            assert ended(program, PATIENCE, output) == 0, output.read_text()
    done = [(world, step) for step, rank, world in shares() if rank == 0]
    parts = [(world, [step for _, step in part]) for world, part in groupby(done, lambda p: p[0])]
    assert [world for world, _ in parts] == [1, 2, 1]
    ends = (elastic_job.GROWS, elastic_job.SHRINKS, elastic_job.CONFIG.steps)
    for (_, steps), end, begun in zip(parts, ends, (0, *ends), strict=False):
        assert steps == list(range(steps[0], end)), "none is left out"
        # Which one it is depends on how soon Ray Train hears of states, and steps are fast here.
        assert steps[0] in states(begun) and bool(steps[0]) == bool(begun), "on from a state"
    elastic, alone = (checkpoint.load(out / name / "pose", "pose") for name in ("elastic", "alone"))
    for name, tensor in alone.tensors.items():
        torch.testing.assert_close(elastic.tensors[name], tensor, atol=2e-4, rtol=1e-3, msg=name)
