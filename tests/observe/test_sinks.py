"""Numbers go wherever the settings ask for, and no place that fails ends a training."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from duet_rl.errors import InputError
from duet_rl.observe import sinks
from duet_rl.observe.passwords import without_password, without_passwords
from duet_rl.observe.settings import LogConfig, MlflowConfig, WandbConfig
from duet_rl.observe.sink import Origin, Sink
from duet_rl.observe.sinks import Sinks, open_sinks, require_trackers
from duet_rl.observe.trackers import keep_run, known_run
from duet_rl.pretrain.notes import StageNotes
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan
from duet_rl.run_log import read_metrics


class Memory(Sink):
    """Remembers what it is told, and refuses the steps that a test chooses."""

    name = "memory"

    def __init__(self, refused: tuple[int, ...] = ()) -> None:
        self.refused, self.told, self.finished = refused, [], None
        self.asked = 0

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self.asked += 1
        if step in self.refused:
            raise ConnectionError("nobody answers")
        self.told.append((step, dict(numbers)))

    def close(self, finished: bool) -> None:
        self.finished = finished


def test_every_sink_is_told_every_step():
    first, second = Memory(), Memory()
    both = Sinks([first, second])
    both.write(1, {"loss": 2.0})
    both.write(2, {"loss": 1.0})
    both.close(finished=True)
    assert first.told == second.told == [(1, {"loss": 2.0}), (2, {"loss": 1.0})]
    assert first.finished is True


def test_a_sink_that_fails_now_and_then_is_said_and_kept(caplog):
    one = Memory(refused=(2, 3, 5, 6))
    alone = Sinks([one])
    with caplog.at_level(logging.WARNING):
        for step in range(1, 8):
            alone.write(step, {"loss": 1.0})
    assert [step for step, _ in one.told] == [1, 4, 7]
    assert len(caplog.records) == 2 and "nobody answers" in caplog.text


def test_a_sink_that_fails_again_and_again_is_left_out_and_costs_no_time(caplog):
    gone, there = Memory(refused=tuple(range(2, 100))), Memory()
    both = Sinks([gone, there])
    for step in range(1, 50):
        both.write(step, {"loss": 1.0})
    both.close(finished=True)
    assert gone.asked == 1 + 3 and gone.finished is None
    assert len(there.told) == 49
    assert [r.getMessage() for r in caplog.records][-1] == "memory is left out from here on"


def test_our_own_mistakes_are_not_hidden():
    class Broken(Memory):
        def write(self, step: int, numbers: Mapping[str, float]) -> None:
            raise KeyError("a mistake in this program")

    with pytest.raises(KeyError):
        Sinks([Broken()]).write(1, {})


@pytest.mark.parametrize(
    ("config", "package"),
    [
        (LogConfig(wandb=WandbConfig(project="dance")), "wandb"),
        (LogConfig(mlflow=MlflowConfig(tracking_uri="file:///x")), "mlflow"),
    ],
)
def test_a_missing_package_is_told_before_any_work(monkeypatch, tmp_path, config, package):
    monkeypatch.setattr(sinks, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"pip install 'duet-rl\[{package}\]'"):
        require_trackers(config)
    with pytest.raises(InputError):
        open_sinks(config, Origin("run", "rl", tmp_path))


def test_without_ray_and_trackers_numbers_go_nowhere_else(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    open_sinks(LogConfig(), Origin("run", "rl", tmp_path)).write(1, {"loss": 1.0})
    assert not list(tmp_path.iterdir()) and "ray" not in sys.modules


def test_a_stage_that_begins_refuses_a_tracker_that_one_that_goes_on_leaves_out(
    monkeypatch, tmp_path, caplog
):
    def refuse(origin: Origin, done: int) -> Sink:
        raise InputError("the tracker is gone")

    monkeypatch.setattr(sinks, "_trackers", lambda config: iter([refuse]))
    with pytest.raises(InputError, match="gone"):
        open_sinks(LogConfig(), Origin("run", "rl", tmp_path), done=0)
    open_sinks(LogConfig(), Origin("run", "rl", tmp_path), done=7)
    assert "the tracker is gone; the training goes on without it" in caplog.text


def test_what_is_said_of_a_tracker_holds_no_password():
    said = without_password("http://a:b/c, https://:key@h/x and s3://me:p:w@h:9 do not answer")
    assert said == "http://a:b/c, https://:***@h/x and s3://me:***@h:9 do not answer"


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql+psycopg2://ana:se@cret@host/db",
        "https://host/api?a=1&password=secret#x",
        "'http://ana:secret@host'",
        "log.mlflow={tracking_uri: http://ana:secret@host:5000}",
        '{"a": "http://ana:secret@host:5000", "b": "c@d"}',
    ],
)
def test_no_form_of_a_password_is_left_and_all_else_is(uri: str):
    clean = without_password(uri)
    assert "secret" not in clean and "cret" not in clean and "***" in clean
    assert (
        "host" in clean
        and ("ana" in uri) == ("ana" in clean)
        and ("c@d" in uri) == ("c@d" in clean)
    )
    assert without_password(clean) == clean
    nested = without_passwords({"a": [{"b": uri}], "n": 1, "none": None})
    assert nested == {"a": [{"b": clean}], "n": 1, "none": None}


def test_a_place_that_fails_is_said_without_its_password(caplog):
    class Gone(Memory):
        def write(self, step: int, numbers: Mapping[str, float]) -> None:
            raise OSError("no answer from http://ana:secret@host:5000/api")

    Sinks([Gone()]).write(1, {})
    assert "ana:***@host:5000" in caplog.text and "secret" not in caplog.text


def test_a_trackers_run_is_found_again_and_a_damaged_note_of_it_is_forgotten(tmp_path):
    keep_run(tmp_path, "mlflow", "abc")
    keep_run(tmp_path, "wandb", "xyz")
    assert (known_run(tmp_path, "mlflow"), known_run(tmp_path, "wandb")) == ("abc", "xyz")
    (tmp_path / "trackers.json").write_text('{"mlflow": "a')
    assert known_run(tmp_path, "mlflow") is None


def test_a_stage_notes_how_far_it_is_and_how_long_it_will_take(tmp_path, monkeypatch):
    clock = iter([100.0, 120.0, 130.0])
    monkeypatch.setattr("duet_rl.pretrain.notes.time.perf_counter", lambda: next(clock))
    notes = StageNotes(PosePlan(StageConfig(), tmp_path, tmp_path / "run"), first=20, total=60)
    notes.write(30, {"loss": 2.0})
    notes.write(40, {"loss": 1.0})
    notes.close()
    first, second = read_metrics(tmp_path / "run" / "logs" / "pose")
    assert first == {
        **{"step": 30, "loss": 2.0, "progress": 0.5},
        **{"seconds/step": 2.0, "seconds/left": 60.0},
    }
    assert (second["seconds/step"], second["seconds/left"]) == (1.0, 30.0)  # 20 steps took 30 s


def test_where_numbers_go_makes_no_other_training(tmp_path: Path):
    plain = PosePlan(StageConfig(), tmp_path, tmp_path)
    told = PosePlan(
        StageConfig(), tmp_path, tmp_path, log=LogConfig(wandb=WandbConfig(project="dance"))
    )
    assert plain.fingerprint("data") == told.fingerprint("data")
