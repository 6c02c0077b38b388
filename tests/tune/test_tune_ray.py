"""Searches on Ray Tune: judged on held-out dances, told of failures, resumed, better members."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from duet_rl import checkpoint
from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.run import RunConfig, pretrain
from duet_rl.tune.judge import Judge
from duet_rl.tune.record import TRIALS, read_trials
from duet_rl.tune.results import BEST, TABLE, as_text
from duet_rl.tune.run import run_search
from duet_rl.tune.settings import load_search
from duet_rl.tune.space import settled
from tests.integration.processes import World, alive, below, ended, started, wait_until, write_world
from tests.tune.test_search import FILES

pytestmark = [pytest.mark.ray, pytest.mark.slow]

START, GONE = 180.0, 60.0  # s: until a trial ends on a busy machine; until all processes have ended


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Six couples, of which one is for judging, and a follower that knows nothing yet."""
    return write_world(tmp_path_factory.mktemp("tune"))


def test_a_failed_trial_is_told_and_the_best_is_what_pretrain_makes_of_its_preset(
    world: World, tmp_path: Path, ray_cluster: None
) -> None:
    words = ["search.pose.lr.choice=[1e-3,1e+30]", "searcher=random", "seed=3", "pose.warmup=0"]
    config = load_search(FILES["tokenizer"], words, smoke=True)
    outcome = run_search(config, world.data, tmp_path)
    by_lr = {float(trial.values["pose.lr"]): trial for trial in outcome.trials}
    assert by_lr.keys() == {1e-3, 1e30}, "another seed would draw both"
    assert sum(trial.status != "failed" for trial in outcome.trials) == config.budget.trials
    failed = by_lr[1e30]
    assert failed.status == "failed" and "lower pose.lr" in failed.reason
    assert outcome.trials[-1].status == "failed" and failed.reason[:60] in as_text(outcome)

    best = outcome.best
    assert best.status == "finished" and outcome.product is not None
    again = resolve(RunConfig, outcome.preset, ["cluster.workers=1", "cluster.cpus=1"])
    # What the search adds to the settings: how often states are kept and losses are measured.
    every = {"checkpoint_every": config.report_every, "validate_every": config.report_every}
    again = again.model_copy(update={"pose": again.pose.model_copy(update=every)})
    (folder,) = pretrain(again, "pose", world.data, tmp_path / "again", progress=False)
    ours, theirs = (load_file(one / checkpoint.WEIGHTS) for one in (outcome.product, folder))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.nightly
def test_a_search_whose_trials_all_fail_ends(
    world: World, tmp_path: Path, ray_cluster: None
) -> None:
    words = ["search.pose.lr.choice=[1e+30,1e+31]", "budget.trials=2", "pose.warmup=0"]
    config = load_search(FILES["tokenizer"], [*words, "concurrent=1"], smoke=True)
    with pytest.raises(InputError, match=r"no trial .* could be measured .*lower pose\.lr"):
        run_search(config, world.data, tmp_path)
    assert [trial.status for trial in read_trials(tmp_path)] == ["failed"] * 2


def test_trials_of_rl_are_judged_by_one_mix_on_held_out_dances(
    world: World, tmp_path: Path, ray_cluster: None
) -> None:
    # Each trial has a runner beside it, in the same placement group.
    words = ["scheduler.kind=none", "budget.trials=2", "rl.iterations=2", "rl.env_runners=1"]
    config = load_search(FILES["rl"], words, smoke=True)
    outcome = run_search(config, world.data, tmp_path, follower=world.follower)
    assert [trial.status for trial in outcome.trials] == ["finished"] * 2
    judge = Judge(world.follower, world.data, settled(config, {}).rl.rewards, config.judged)
    for trial in outcome.trials:
        product = checkpoint.load(tmp_path / TRIALS / trial.name / "rl", "follower")
        weights = settled(config, trial.values).rl.rewards.weights
        assert product.meta["stage_config"]["rewards"]["weights"] == weights.model_dump()
        assert judge.score(product.tensors)["rollout/total"] == pytest.approx(
            trial.rows[-1]["rollout/total"], abs=1e-6
        )
    before = {folder: folder.stat().st_mtime_ns for folder in (tmp_path / TRIALS).glob("*/rl")}
    assert run_search(config, world.data, tmp_path, follower=world.follower).best == outcome.best
    assert all(folder.stat().st_mtime_ns == stamp for folder, stamp in before.items())
    other = load_search(FILES["rl"], [*words, "rl.leaders=3"], smoke=True)
    with pytest.raises(InputError, match="holds another search, with other preset, settings"):
        run_search(other, world.data, tmp_path, follower=world.follower)


def test_a_follower_is_searched_on_finished_tokenizers(
    world: World, tmp_path: Path, ray_cluster: None
) -> None:
    config = load_search(FILES["follower"], ["budget.trials=1"], smoke=True)
    with pytest.raises(InputError, match="--codec"):
        run_search(config, world.data, tmp_path)
    outcome = run_search(config, world.data, tmp_path, codec=world.follower)
    assert outcome.product is not None and checkpoint.is_checkpoint(outcome.product, "follower")
    assert {"val/loss", "rollout/total"} <= outcome.best.rows[-1].keys()


@pytest.mark.nightly
def test_the_worst_member_of_a_population_goes_on_from_the_best(
    world: World, tmp_path: Path, ray_cluster: None
) -> None:
    words = ["resources.cpus=3"]  # of four: they take turns
    config = load_search(FILES["rl_pbt"], words, smoke=True)
    outcome = run_search(config, world.data, tmp_path, follower=world.follower)
    assert {trial.name for trial in outcome.trials} == {"member_0", "member_1"}
    assert all(trial.status == "finished" for trial in outcome.trials)
    assert all([row["step"] for row in trial.rows] == [1, 2, 3] for trial in outcome.trials)
    at_exchange = {trial.name: trial.rows[1]["rollout/total"] for trial in outcome.trials}
    worst = min(at_exchange, key=lambda name: at_exchange[name])
    (changed,) = (trial for trial in outcome.trials if trial.name == worst)
    (kept,) = (trial for trial in outcome.trials if trial.name != worst)
    assert [step for step, _ in kept.history] == [0]
    assert [step for step, _ in changed.history] == [0, 2]
    lr = settled(config, changed.values).rl.lr
    meta = checkpoint.read_meta(tmp_path / TRIALS / worst / "rl")
    assert meta["stage_config"]["lr"] == lr and meta["iterations"] == 3


@pytest.mark.nightly
def test_a_killed_search_goes_on_by_the_same_command(world: World, tmp_path: Path) -> None:
    out = tmp_path / "search"
    words = ["budget.trials=3", "scheduler.kind=none", "concurrent=1", "pose.steps=100"]
    places = ["--data", str(world.data), "--out", str(out), "--smoke"]
    command = [sys.executable, "-m", "duet_rl", "tune", str(FILES["tokenizer"]), *words, *places]

    def half_done() -> bool:
        trials = read_trials(out)
        running = [trial for trial in trials if trial.status == "unfinished"]
        return len(trials) == 2 and bool(running) and len(running[0].rows) > 2

    with started(command, tmp_path / "killed.log") as program:
        wait_until(half_done, START, "one trial at its end and one on its way")
        family = below(program.pid)
        program.kill()
    wait_until(lambda: not alive(family), GONE, "the end of what it started")
    (whole,) = (trial for trial in read_trials(out) if trial.status != "unfinished")
    (cut,) = (trial for trial in read_trials(out) if trial.status == "unfinished")
    product = out / TRIALS / whole.name / "pose" / checkpoint.WEIGHTS
    stamp = product.stat().st_mtime_ns

    with started(command, tmp_path / "resumed.log") as program:
        log = tmp_path / "resumed.log"
        assert ended(program, START, log) == 0, log.read_text()
    assert product.stat().st_mtime_ns == stamp
    trials = {trial.name: trial for trial in read_trials(out)}
    assert len(trials) == 3 and trials[whole.name] == whole
    assert all(trial.status == "finished" for trial in trials.values())
    steps = [row["step"] for row in trials[cut.name].rows]
    assert steps == list(range(10, 101, 10))
    log = out / TRIALS / cut.name / "logs" / "pose" / "metrics.jsonl"
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == steps
    with (out / TABLE).open() as stream:
        assert len(list(csv.DictReader(stream))) == 3
    resolve(RunConfig, out / BEST)
