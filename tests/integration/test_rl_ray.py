"""RL on a Ray cluster: runners as actors, their loss, resuming, and the whole run."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl import checkpoint
from duet_rl.audio.provenance import AUTHORS
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.rewards.base import RewardMixConfig, RewardWeights
from duet_rl.rl.algorithm import DuetRL
from duet_rl.rl.collector import RolloutError
from duet_rl.rl.journal import Journal
from duet_rl.rl.replay import ReplayConfig, RolloutGroup
from duet_rl.rl.run import WORK, _train, run_rl
from duet_rl.rl.settings import CollectConfig, HardwareConfig, RLConfig
from duet_rl.run_log import STEP, read_metrics
from tests.envs.dancers import SidestepCodec, walking_couple
from tests.rl.world import SETTINGS, algorithm_config, write_dancer, write_follower

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

PATIENCE = 200.0  # s, on a busy machine
_LEARNER = "_WrappedExecutable"  # what RLlib calls the actor of a learner
TERMS = {"contact", "foot", "beat", "consistency", "tracking", "total"}
PAPER = SETTINGS.model_copy(
    update={
        "loss": "duolando",
        "rewards": RewardMixConfig(
            weights=RewardWeights(contact=0, foot=0, beat=0, consistency=0, tracking=0, duolando=1),
            uncredited="one",
        ),
        "replay": ReplayConfig(memory="duolando", capacity=None),
        "rollouts": 1,
    }
)


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a follower that knows nothing yet."""
    return write_follower(tmp_path_factory.mktemp("rl_ray") / "follower")


@pytest.fixture(scope="module")
def algorithm(follower: Path, ray_cluster: None) -> Iterator[DuetRL]:
    """RL with two runners, which the tests below use one after the other."""
    settings = SETTINGS.model_copy(update={"restart_delay": 1.0})
    algorithm = algorithm_config(follower, settings, runners=2).build_algo()
    yield algorithm
    algorithm.stop()


def test_two_runners_feed_one_learner(algorithm: DuetRL) -> None:
    before = algorithm.follower_tensors()
    before = {name: tensor.clone() for name, tensor in before.items()}
    numbers = [algorithm.numbers(algorithm.train()) for _ in range(4)]
    assert {f"reward/{term}" for term in TERMS} <= numbers[-1].keys()
    assert {"loss/policy", "loss/value", "kl", "entropy", "ratio", "staleness"} <= numbers[
        -1
    ].keys()
    assert numbers[0]["staleness"] == 0
    assert max(number["staleness"] for number in numbers) > 0
    assert 0 < len(algorithm.replay) and algorithm.iterations_done == 4
    after = algorithm.follower_tensors()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_killed_runner_comes_back_and_training_goes_on(algorithm: DuetRL) -> None:
    runners = algorithm.env_runner_group
    victim = runners.foreach_env_runner(lambda _: os.getpid(), local_env_runner=False)[0]
    os.kill(victim, signal.SIGKILL)
    done = algorithm.iterations_done
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        algorithm.train()
        back = runners.num_healthy_remote_env_runners() == 2
        if back and runners.num_remote_worker_restarts() == 1:
            break
    assert runners.num_healthy_remote_env_runners() == 2
    assert runners.num_remote_worker_restarts() == 1
    assert algorithm.iterations_done > done
    versions = runners.foreach_env_runner(
        lambda runner: runner.sample()[0].version, local_env_runner=False
    )
    assert min(versions) > 0, "the runner that came back has the present weights"


def test_an_error_in_a_runner_ends_training_with_its_traceback(algorithm: DuetRL) -> None:
    def spoil(runner) -> None:
        runner.dances.rewards = None

    algorithm.env_runner_group.foreach_env_runner(spoil, local_env_runner=False)
    with pytest.raises(RolloutError, match=r"env runner [12] failed") as error:
        for _ in range(10):
            algorithm.train()
    assert "TypeError" in str(error.value)


def test_a_wrong_setting_fails_in_the_driver_before_any_actor_starts(follower: Path) -> None:
    config = algorithm_config(follower, SETTINGS, runners=2)
    config.env_config["dance"]["seconds"] = 60.0
    with pytest.raises(InputError, match="set a shorter `seconds`"):
        config.build_algo()


@pytest.mark.parametrize("settings", [SETTINGS, PAPER], ids=["default", "paper"])
def test_a_resumed_run_is_the_unbroken_run(
    follower: Path, tmp_path: Path, settings: RLConfig
) -> None:
    unbroken = algorithm_config(follower, settings).build_algo()
    for _ in range(4):
        unbroken.train()
    first = algorithm_config(follower, settings).build_algo()
    for _ in range(2):
        first.train()
    first.save_checkpoint(str(tmp_path / "state"))
    first.stop()
    second = algorithm_config(follower, settings).build_algo()
    second.load_checkpoint(str(tmp_path / "state"))
    for _ in range(2):
        second.train()
    assert second.iterations_done == unbroken.iterations_done == 4
    assert second.token_steps == unbroken.token_steps
    for left, right in (
        (unbroken.follower_tensors(), second.follower_tensors()),
        (unbroken.replay.tensors(), second.replay.tensors()),
    ):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    unbroken.stop()
    second.stop()
    assert not [p for p in (tmp_path / "state").rglob("*") if p.suffix in {".pkl", ".pickle"}]


def test_a_run_ends_in_a_follower_resumes_and_knows_when_it_is_done(tmp_path: Path) -> None:
    data = DuetStore.create(
        tmp_path / "data",
        [walking_couple(n, 72, i) for i, n in enumerate("abcdef")],
        music=AUTHORS,
    )
    start = write_dancer(tmp_path / "follower", data)
    short = SETTINGS.model_copy(update={"env_runners": 0, "iterations": 2})

    folder = run_rl(short, start, data.path, tmp_path, progress=False)
    once = checkpoint.load(folder, "follower")
    assert once.tensors.keys() == checkpoint.load(start, "follower").tensors.keys()
    assert once.meta["data_hash"] == data.hash and once.meta["iterations"] == 2
    assert once.meta["music"] == AUTHORS
    assert once.meta["stage_config"]["rollouts"] == SETTINGS.rollouts
    assert {p.name for p in folder.iterdir()} == {p.name for p in start.iterdir()}

    longer = short.model_copy(update={"iterations": 3, "show_every": 3})
    assert run_rl(longer, start, data.path, tmp_path, progress=False) == folder
    twice = checkpoint.load(folder, "follower")
    assert twice.meta["iterations"] == 3
    rows = read_metrics(tmp_path / WORK)
    assert [row[STEP] for row in rows] == [1, 2, 3]
    assert {f"reward/{term}" for term in TERMS} <= rows[-1].keys()
    assert {"healthy_runners", "motion/frozen", "diversity/codes_placement"} <= rows[-1].keys()
    assert (tmp_path / WORK / "dances" / "iteration_00003.mp4").is_file()

    stamp = (folder / "weights.safetensors").stat().st_mtime_ns
    run_rl(longer, start, data.path, tmp_path, progress=False)
    assert (folder / "weights.safetensors").stat().st_mtime_ns == stamp


def test_a_run_without_numbers_stops_and_keeps_the_rollouts(follower: Path, tmp_path: Path) -> None:
    algorithm = algorithm_config(follower, SETTINGS).build_algo()
    collect = algorithm.collector.collect

    def spoiled() -> list[RolloutGroup]:
        groups = collect()
        for group in groups:
            group.rewards[0, 0, 0] = np.nan
        return groups

    algorithm.collector.collect = spoiled
    try:
        names = SidestepCodec.spec.names
        with (
            Journal(tmp_path, SETTINGS, algorithm, names, None, False) as journal,
            pytest.raises(InputError, match=r"3 gradient steps in a row.*lower rl\.lr"),
        ):
            _train(algorithm, SETTINGS, tmp_path, journal)
    finally:
        algorithm.stop()
    assert algorithm.updates_done == 3
    kept = np.load(tmp_path / "not_a_number.npz")
    assert np.isnan(kept["0.rewards"]).any() and "0.clip" in kept.files


def test_runners_wait_for_the_newest_weights_if_asked(follower: Path) -> None:
    collect = CollectConfig(synchronous=True, half_weights=True)
    settings = SETTINGS.model_copy(update={"collect": collect, "new_groups": 2})
    algorithm = algorithm_config(follower, settings, runners=1).build_algo()
    try:
        numbers = [algorithm.numbers(algorithm.train()) for _ in range(4)]
        assert [number["staleness"] for number in numbers] == [0, 0, 0, 0]
    finally:
        algorithm.stop()


def test_the_learner_can_be_an_actor_of_its_own(follower: Path) -> None:
    hardware = HardwareConfig(remote_learner=True)
    settings = SETTINGS.model_copy(update={"hardware": hardware})
    there = algorithm_config(follower, settings).build_algo()
    here = algorithm_config(follower, SETTINGS).build_algo()
    try:
        for algorithm in (there, here):
            algorithm.train()
            algorithm.train()
        ours, theirs = here.follower_tensors(), there.follower_tensors()
        assert all(torch.allclose(ours[k], theirs[k], atol=1e-5) for k in ours)
    finally:
        there.stop()
        here.stop()


def learner_processes() -> list[int]:
    """Processes of learner actors below this one."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            titles[int(folder.name)] = (folder / "cmdline").read_text()
            after_name = (folder / "stat").read_text().rpartition(")")[2]
        except OSError:  # it has just ended
            continue
        parents[int(folder.name)] = int(after_name.split()[1])

    def is_ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_ours(parents[pid]))

    return [pid for pid, title in titles.items() if _LEARNER in title and is_ours(pid)]


@pytest.mark.slow
def test_a_run_survives_the_loss_of_its_learner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = DuetStore.create(
        tmp_path / "data",
        [walking_couple(n, 72, i) for i, n in enumerate("abcdef")],
        music=AUTHORS,
    )
    start = write_dancer(tmp_path / "follower", data)
    settings = SETTINGS.model_copy(
        update={
            "env_runners": 0,
            "iterations": 8,
            "checkpoint_every": 1,
            "hardware": HardwareConfig(remote_learner=True),
        }
    )
    killed: list[int] = []

    def kill_once(_: DuetRL) -> None:
        if not killed:
            killed.extend(learner_processes())
            os.kill(killed[0], signal.SIGKILL)

    folder = run_rl(settings, start, data.path, tmp_path, progress=False, watch=kill_once)
    assert len(killed) == 1 and caplog.text.count("the learner was lost; going on") == 1
    assert checkpoint.read_meta(folder)["iterations"] == 8
    assert [row[STEP] for row in read_metrics(tmp_path / WORK)] == list(range(1, 9))
