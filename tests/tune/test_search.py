"""What a search is: its file, its space, its names, and who decides in it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.run import RunConfig
from duet_rl.tune.record import PROGRESS, SECONDS, STEP, Record, Trial
from duet_rl.tune.results import TABLE, Outcome, as_text, preset_of, ranked, write_results
from duet_rl.tune.run import _bundles, _mark, _missing
from duet_rl.tune.search import Names, make_scheduler, make_searcher, within
from duet_rl.tune.settings import TuneConfig, load_search
from duet_rl.tune.space import check_space, label, name_of, settled, short_names, unlabel
from duet_rl.tune.trial import Job
from duet_rl.tune.watcher import Clock, InVain, Watcher
from tests.pretrain.conftest import data

__all__ = ["data"]

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "tune_configs").glob("*.yaml"))
FILES = {path.stem: path for path in CONFIGS}
RL = """
stage: rl
settings: {rl: {iterations: 7}}
search:
  rl.lr: {loguniform: [1e-5, 1e-3]}
  rl.loss: {choice: [topr, ppo]}
smoke: {search: {rl.lr: {choice: [0.1, 0.2]}}, budget: {trials: 2}}
"""


def search(tmp_path: Path, text: str, *overrides: str, smoke: bool = False) -> TuneConfig:
    file = tmp_path / "search.yaml"
    file.write_text(text)
    return load_search(file, overrides, smoke)


def trial(config: TuneConfig, values: dict[str, object], *scores: float, **kwargs: str) -> Trial:
    """A trial that was measured every ten percent."""
    rows = tuple(
        {STEP: 10 * n, PROGRESS: 10.0 * n, SECONDS: 1.0, config.judge: score}
        for n, score in enumerate(scores, start=1)
    )
    status = kwargs.get("status", "finished")
    return Trial(name_of(values), values, ((0, values),), status, "", rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("smoke", [False, True], ids=["whole", "smoke"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_shipped_searches_hold_only_settings_that_there_are(path: Path, smoke: bool) -> None:
    assert len(CONFIGS) == 4
    config = load_search(path, (), smoke)
    base, *found = check_space(config)
    assert all(one != base for one in found[-1:])


def test_words_over_the_file_are_keys_of_the_search_or_settings_of_all_trials(
    tmp_path: Path,
) -> None:
    assert not TuneConfig.model_fields.keys() & RunConfig.model_fields.keys()
    words = ("budget.trials=5", "rl.leaders=3", "search.rl.loss=null")
    config = search(tmp_path, RL, *words, "search.rl.lr.uniform=[1e-4,1e-3]")
    assert config.budget.trials == 5
    assert settled(config, {}).rl.leaders == 3 and settled(config, {}).rl.iterations == 7
    assert list(config.search) == ["rl.lr"] and config.search["rl.lr"].uniform == (1e-4, 1e-3)
    small = search(tmp_path, RL, smoke=True)
    assert small.search["rl.lr"].choice == (0.1, 0.2) and small.search["rl.loss"].choice


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["search.rl.lrr.uniform=[0,1]"], "did you mean 'lr'"),
        (["search.rl.lr.uniform=[-1,1]"], r"rl\.lr.*greater than 0"),
        (["search.pose.lr.uniform=[0.1,1]"], r"stage rl does not depend on it.*rl\."),
        (["search.rl.oapl.beta.uniform=[0.1,1]"], "the loss is ppo, topr"),
        (["search.rl.lr.uniform=[2,1]"], "the lowest value, then a higher"),
        (["search.rl.lr.loguniform=[0,1]"], "begins above 0"),
        (["search.rl.lr={uniform: [0.1, 1], choice: [1, 2]}"], "give one of"),
        (["search.rl.greedy.choice=[true,false]", "rl.loss=3"], r"rl\.loss"),
        (["metric=reward/total"], "held-out"),
        (["scheduler.kind=pbt", "search.rl.leaders.integer=[1,4]"], r"rl\.leaders cannot change"),
        (["budgt.trials=3"], "did you mean 'budget'"),
        (["budget.trials=null"], "a number of trials, or hours"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_starts(
    tmp_path: Path, words: list[str], told: str
) -> None:
    pbt = "search.rl.loss=null" if words[0].endswith("pbt") else "seed=0"
    with pytest.raises(InputError, match=told):
        check_space(search(tmp_path, RL, *words, pbt))


def test_a_file_that_is_no_search_is_told_as_such(tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    picture.write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="is no text"):
        load_search(picture)
    with pytest.raises(InputError, match="preset"):
        search(tmp_path, RL, "preset=5")


def test_a_trial_holds_what_its_runners_and_its_learner_take(tmp_path: Path) -> None:
    hardware = "{remote_learner: true, runner_resources: {rollout: 1}}"
    config = search(tmp_path, RL, "rl.env_runners=2", f"rl.hardware={hardware}")
    own, *others = _bundles(config, check_space(config))
    runner = {"CPU": 1.0, "GPU": 0.0, "rollout": 1.0}
    assert own["CPU"] == 1 and others == [runner, runner, {"CPU": 1.0, "GPU": 0.0}]


def test_names_tell_trials_apart_by_what_differs(tmp_path: Path) -> None:
    short = short_names(["rl.lr", "rl.value_lr", "rl.rewards.weights.foot", "rl.rewards.foot"])
    assert list(short.values()) == ["lr", "value_lr", "weights.foot", "rewards.foot"]
    near = [name_of({"rl.lr": rate, "rl.loss": "ppo"}) for rate in (0.001, 0.0010001)]
    assert near[0].startswith("lr=0.001,loss=ppo.") and near[0] != near[1]
    job = Job(search(tmp_path, RL), tmp_path, tmp_path)
    names = Names(job, taken=[near[0]])
    twice = SimpleNamespace(trial_id="a_1", config={"rl.lr": 0.001, "rl.loss": "ppo"})
    assert names(twice) == names(twice) == f"{near[0]}.2", "its folder is not shared"


def test_lists_are_values_like_any_other(tmp_path: Path) -> None:
    text = "{stage: rl, search: {rl.topr.negative: {choice: [[0, 1], [0, 2]]}}}"
    dimension = search(tmp_path, text).search["rl.topr.negative"]
    marks = [label(value) for value in dimension.choice or ()]
    assert all(isinstance(mark, str) for mark in marks)
    assert unlabel(dimension, marks[1]) == [0, 2]


def test_the_best_settings_are_a_preset_that_gives_what_the_trial_had(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{based_on: small, rl: {leaders: 3}, follower: {lr: 1e-4}}")
    for preset in ("duolando_fixed", str(own)):
        config = search(tmp_path, RL, f"preset={preset}", "rl.loss=duolando")
        values = {"rl.lr": 1.25e-5, "rl.loss": "duolando"}
        best = tmp_path / "best.yaml"
        best.write_text(preset_of(config, trial(config, values, 0.5)))
        assert resolve(RunConfig, best) == settled(config, values)


def test_trials_are_ranked_by_their_last_measurement_and_failed_ones_come_last(
    tmp_path: Path,
) -> None:
    config = search(tmp_path, RL)
    rows = {"good": (0.1, 0.6), "peaked": (0.9, 0.2), "failed": (0.95,)}
    trials = [
        trial(
            config,
            {"rl.lr": n, "rl.loss": name},
            *scores,
            status="failed" if name == "failed" else "finished",
        )
        for n, (name, scores) in enumerate(rows.items())
    ]
    names = [one.values["rl.loss"] for one in ranked(config, trials)]
    assert names == ["good", "peaked", "failed"]
    lower = config.model_copy(update={"mode": "min"})
    assert [one.values["rl.loss"] for one in ranked(lower, trials)] == ["peaked", "good", "failed"]


def test_a_newcomer_is_compared_with_trials_of_earlier_calls(tmp_path: Path) -> None:
    config = search(tmp_path, RL, "scheduler.grace=0.2", "scheduler.reduction=2")
    ended = [trial(config, {"rl.lr": n, "rl.loss": "ppo"}, 0.5, 0.6, 0.7) for n in (1.0, 2.0)]
    verdicts = []
    for known in ([], ended):
        asha = make_scheduler(config, known)
        asha.set_search_properties(config.judge, config.direction)
        poor = SimpleNamespace(trial_id="poor")
        asha.on_trial_add(None, poor)
        verdicts.append(asha.on_trial_result(None, poor, {PROGRESS: 20.0, config.judge: 0.1}))
    assert verdicts == ["CONTINUE", "STOP"]


def test_optuna_begins_with_unfinished_trials_and_knows_the_ended_ones(tmp_path: Path) -> None:
    config = search(tmp_path, RL)
    ended = [trial(config, {"rl.lr": 1e-4, "rl.loss": "ppo"}, 0.5)]
    again = [trial(config, {"rl.lr": 0.00012345678901, "rl.loss": "topr"}, status="unfinished")]
    searcher = make_searcher(config, ended, again)
    assert searcher.suggest("t1") == again[0].values, "to the last digit: its name depends on it"
    known = [one for one in searcher._ot_study.trials if one.value is not None]
    assert [one.value for one in known] == [0.5] and known[0].params == ended[0].values


def test_nothing_is_learned_of_a_trial_that_failed(tmp_path: Path) -> None:
    config = search(tmp_path, RL, "scheduler.grace=0.2", "scheduler.reduction=2")
    values = {"rl.lr": 1e-4, "rl.loss": "ppo"}
    failed = [trial(config, values, 0.5, 0.6, 0.7, status="failed")] * 2
    assert not make_searcher(config, failed, [])._ot_study.trials
    asha = make_scheduler(config, failed)
    asha.set_search_properties(config.judge, config.direction)
    lost, poor = SimpleNamespace(trial_id="lost"), SimpleNamespace(trial_id="poor")
    for one in (lost, poor):
        asha.on_trial_add(None, one)
    assert asha.on_trial_result(None, lost, {PROGRESS: 20.0, config.judge: 0.9}) == "CONTINUE"
    asha.on_trial_error(None, lost)
    assert asha.on_trial_result(None, poor, {PROGRESS: 20.0, config.judge: 0.1}) == "CONTINUE"


def test_trials_that_failed_are_no_part_of_the_budget_but_members_are(tmp_path: Path) -> None:
    values = {"rl.lr": 1e-4, "rl.loss": "ppo"}
    config = search(tmp_path, RL, "budget.trials=4")
    ended = [trial(config, values, 0.5, status=s) for s in ("finished", "stopped", "failed")]
    assert _missing(config, ended, Clock(tmp_path)) == 2
    population = search(tmp_path, RL, "budget.trials=4", "scheduler.kind=pbt")
    assert _missing(population, ended, Clock(tmp_path)) == 1


def test_the_table_says_why_a_trial_failed_and_gives_it_no_place(tmp_path: Path) -> None:
    config = search(tmp_path, RL)
    good = trial(config, {"rl.lr": 1e-4, "rl.loss": "ppo"}, 0.25)
    lost = trial(config, {"rl.lr": 1e-3, "rl.loss": "ppo"}, 0.75, status="failed")
    lost = replace(lost, reason="OutOfMemoryError: it was killed")
    text = as_text(Outcome(config, (good, lost), good, tmp_path, None, ()))
    _, first, last, *_ = text.splitlines()
    assert first.split()[0] == "1" and "0.25" in first
    assert last.split()[0] == "-" and "0.75" not in last
    assert "failed" in last and "OutOfMemoryError: it was killed" in last


class Tried(SimpleNamespace):
    """What a watcher looks at of a trial of Tune."""

    def __str__(self) -> str:
        return str(self.name)


def test_a_search_is_in_vain_when_as_many_fail_in_a_row_as_it_may_try(tmp_path: Path) -> None:
    config = search(tmp_path, RL)
    job = Job(config, tmp_path, tmp_path)
    watcher = Watcher(job, Clock(tmp_path), most=2)
    end, values = InVain(watcher), {"rl.lr": 1e-4, "rl.loss": "ppo"}

    def tried(name: str) -> Tried:
        Record(job.folder(name)).begin(values)
        return Tried(name=name, config=values, get_error=lambda: RuntimeError("no memory"))

    watcher.on_trial_error(1, [], tried("a"))
    watcher.on_trial_complete(2, [], tried("b"))
    watcher.on_trial_error(3, [], tried("c"))
    assert not end.stop_all(), "not in a row"
    watcher.on_trial_error(4, [], tried("d"))
    assert end.stop_all() and "no memory" in watcher.reason
    watcher.on_trial_complete(5, [], tried("on its way"))
    known = Record(job.folder("on its way")).read()
    assert known is not None and known.status == "unfinished", "it can go on another time"


def test_no_password_of_a_tracker_is_written(data: Path, tmp_path: Path) -> None:
    def job(password: str) -> Job:
        uri = f"log.mlflow.tracking_uri=https://ana:{password}@host:5000"
        return Job(search(tmp_path, RL, uri), data, tmp_path / "out")

    first = job("secret")
    _mark(first)
    write_results(first, [trial(first.config, {"rl.lr": 1e-4, "rl.loss": "ppo"}, 0.5)])
    files = {path.name: path.read_bytes() for path in first.out.iterdir()}
    assert {"search.yaml", "search.json", "best.yaml", TABLE} <= files.keys()
    assert not [name for name, content in files.items() if b"secret" in content]
    assert b"ana:***@host" in files["best.yaml"]
    _mark(job("changed"))  # is the same search


def test_changed_values_of_a_population_stay_in_their_ranges(tmp_path: Path) -> None:
    config = search(tmp_path, RL)
    high, low = {"rl.lr": 1.2e-3, "rl.loss": "ppo"}, {"rl.lr": 8e-6, "rl.loss": "ppo"}
    assert within(high, config) == {"rl.lr": 1e-3, "rl.loss": "ppo"}
    assert within(low, config)["rl.lr"] == 1e-5


def test_the_record_of_a_trial_tells_of_one_life(tmp_path: Path) -> None:
    record = Record(tmp_path / "one")
    assert record.read() is None
    record.begin({"rl.lr": 1.0})
    for step in (10, 20, 30, 20):  # killed after 30, and gone on from the state of 10
        record.add({STEP: step, PROGRESS: step, SECONDS: step, "rollout/total": step})
    record.begin({"rl.lr": 2.0}, 20)
    record.begin({"rl.lr": 2.0}, 20)
    known = record.read()
    assert known is not None and known.status == "unfinished"
    assert [row[STEP] for row in known.rows] == [10, 20]
    assert known.history == ((0, {"rl.lr": 1.0}), (20, {"rl.lr": 2.0}))
    record.end("failed", "for a reason")
    ended = record.read()
    assert ended is not None and (ended.status, ended.reason) == ("failed", "for a reason")


class Member:
    """What a scheduler looks at of a member."""

    def __init__(self, status: str) -> None:
        self.status = status


def test_members_do_not_wait_for_one_that_failed(tmp_path: Path) -> None:
    scheduler = make_scheduler(load_search(FILES["rl_pbt"], ["scheduler.interval=40"]), [])
    waiting, failed, other = Member("PAUSED"), Member("ERROR"), Member("RUNNING")
    scheduler._trial_state = {
        waiting: SimpleNamespace(last_train_time=40),
        failed: SimpleNamespace(last_train_time=20),
        other: SimpleNamespace(last_train_time=20),
    }

    def chosen(*members: Member) -> object:
        return scheduler.choose_trial_to_run(SimpleNamespace(get_trials=lambda: members))

    assert chosen(waiting, failed, other) is None, "the other one is on its way"
    assert chosen(waiting, failed) is waiting
