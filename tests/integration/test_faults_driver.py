"""Faults of the whole program, which runs as a process of its own: kill -9, and a full disk."""

import resource
from pathlib import Path

import pytest
import torch

from duet_rl import checkpoint
from duet_rl.cli.main import NO_SPACE
from duet_rl.cli.options import DEFAULT_PRESET
from duet_rl.config import resolve
from duet_rl.files import sha256_of
from duet_rl.rl.algorithm import STATE as STATE_KIND
from duet_rl.rl.run import STATE
from duet_rl.run import RunConfig, refine
from duet_rl.run_log import STEP, read_metrics
from tests.integration.processes import (
    World,
    alive,
    below,
    ended,
    started,
    wait_until,
    write_world,
)
from tests.rl.test_resume import assert_same_state

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
]

START = 180.0  # s that a program may take to its first saved state, on a busy machine
GONE = 60.0  # s until nothing that it started runs; 3 were measured, and 60 by Ray alone
ITERATIONS = 40
SMALL = [
    *("rl.leaders=2", "rl.rollouts=8", "rl.seconds=1.6", "rl.new_groups=2", "rl.batch_groups=2"),
    f"rl.iterations={ITERATIONS}",
]


def rows(world: World) -> int:
    return len(read_metrics(world.work))


def test_a_killed_program_leaves_nothing_and_goes_on_as_if_unbroken(
    tmp_path: Path, ray_cluster: None
) -> None:
    world = write_world(tmp_path)
    settings = [
        *SMALL,
        *("rl.env_runners=1", "rl.collect.synchronous=true", "rl.dropout=true"),
        "rl.checkpoint_every=4",
    ]
    with started(world.command(settings), tmp_path / "killed.log") as program:
        wait_until(lambda: (world.work / STATE).is_dir(), START, "a saved state")
        family = below(program.pid)
        wait_until(lambda: rows(world) % 4 == 2, START, "an iteration between two saved states")
        program.kill()
    assert len(family) > 8, "Ray, its agents, a runner and the weights"
    wait_until(lambda: not alive(family), GONE, "the end of what it started")
    saved = checkpoint.read_meta(world.work / STATE)["iterations"]
    assert 0 < saved < rows(world) < ITERATIONS, "killed between two saved states"

    with started(world.command(settings), tmp_path / "resumed.log") as program:
        log = tmp_path / "resumed.log"
        assert ended(program, START, log) == 0, log.read_text()
    assert f"resuming after {saved} iterations" in (tmp_path / "resumed.log").read_text()
    assert [row[STEP] for row in read_metrics(world.work)] == list(range(1, ITERATIONS + 1))
    assert checkpoint.read_meta(world.finished)["iterations"] == ITERATIONS

    unbroken = world._replace(out=tmp_path / "unbroken")
    config = resolve(RunConfig, DEFAULT_PRESET, settings)
    refine(config, unbroken.follower, unbroken.data, unbroken.out, progress=False)
    assert_same_state(unbroken.work / STATE, world.work / STATE)
    ours, theirs = (checkpoint.load(w.finished, "follower").tensors for w in (world, unbroken))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.nightly
def test_a_full_disk_ends_the_run_in_one_line_and_the_last_state_is_gone_on_from(
    tmp_path: Path,
) -> None:
    world, log = write_world(tmp_path), tmp_path / "full.log"
    settings = [*SMALL, "rl.env_runners=0", "rl.checkpoint_every=4"]
    with started(world.command(settings), log) as program:
        wait_until(lambda: (world.work / STATE).is_dir(), START, "a saved state")
        # No file may grow past this: root, too, meets the limit, and no disk is needed.
        room = (world.work / STATE / checkpoint.WEIGHTS).stat().st_size // 2
        _, most = resource.prlimit(program.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (room, most))
        assert ended(program, START, log) == NO_SPACE, log.read_text()
    *_, last = log.read_text().strip().splitlines()
    assert last.startswith("duet-rl: File too large") and str(world.work / STATE) in last
    assert "Traceback" not in log.read_text()
    assert not list(world.work.glob(".*")), "nothing half-written is left"
    before = checkpoint.load(world.work / STATE, STATE_KIND)
    saved, hash_before = before.meta["iterations"], sha256_of(world.work / STATE)
    assert 0 < saved < ITERATIONS

    with started(world.command(settings), log) as program:
        assert ended(program, START, log) == 0, log.read_text()
    assert f"resuming after {saved} iterations" in log.read_text()
    assert checkpoint.read_meta(world.finished)["iterations"] == ITERATIONS
    assert sha256_of(world.work / STATE) != hash_before
    assert [row[STEP] for row in read_metrics(world.work)] == list(range(1, ITERATIONS + 1))
