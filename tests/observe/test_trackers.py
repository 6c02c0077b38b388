"""MLflow and W&B get what the log has; the extra `dev` brings their packages."""

from pathlib import Path

import pytest

from duet_rl.errors import InputError
from duet_rl.observe.settings import LogConfig, MlflowConfig, WandbConfig
from duet_rl.observe.sink import Origin
from duet_rl.observe.sinks import open_sinks
from duet_rl.observe.trackers import known_run
from tests.integration.processes import wait_until

WRITTEN = 100.0  # s, on a busy machine


def origin(folder: Path) -> Origin:
    settings = {"lr": 0.1, "replay": {"size": 8}, "milestones": list(range(400))}
    return Origin("salsa", "rl", folder / "salsa" / "rl_work", settings)


@pytest.fixture(scope="module")  # to make its tables takes seconds
def mlflow_config(tmp_path_factory: pytest.TempPathFactory) -> LogConfig:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    return LogConfig(mlflow=MlflowConfig(tracking_uri=uri, experiment="dance"))


@pytest.mark.slow
def test_mlflow_has_the_numbers_and_settings_in_one_run_also_after_a_restart(
    mlflow_config: LogConfig, tmp_path: Path
):
    from mlflow.tracking import MlflowClient

    here = origin(tmp_path)
    sinks = open_sinks(mlflow_config, here)
    sinks.write(1, {"reward/foot": 0.5, "kl": 0.25})
    again = open_sinks(mlflow_config, here, done=1)  # the first one was killed
    again.write(2, {"reward/foot": 0.75})
    again.close(finished=True)
    client = MlflowClient(mlflow_config.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name("dance")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "reward/foot")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.75)]
    assert run.info.run_name == "salsa/rl" and run.info.status == "FINISHED"
    assert run.data.params["replay.size"] == "8"
    assert run.data.tags["run"] == "salsa" and run.data.tags["stage"] == "rl"


def test_a_stage_that_begins_anew_is_another_run_of_mlflow(
    mlflow_config: LogConfig, tmp_path: Path
):
    here = origin(tmp_path)
    open_sinks(mlflow_config, here).close(finished=False)
    first = known_run(here.folder, "mlflow")
    open_sinks(mlflow_config, here).close(finished=False)
    assert known_run(here.folder, "mlflow") not in (None, first)


def test_an_mlflow_that_cannot_be_reached_is_told_in_one_line(tmp_path: Path):
    pytest.importorskip("mlflow")
    config = LogConfig(mlflow=MlflowConfig(tracking_uri="http://ana:secret@127.0.0.1:9"))
    with pytest.raises(InputError, match=r"=http://ana:.*@127\.0\.0\.1:9 takes no run") as no:
        open_sinks(config, origin(tmp_path))
    assert "\n" not in str(no.value) and "secret" not in str(no.value)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"secret" in path.read_bytes()]


@pytest.mark.slow
def test_wandb_offline_keeps_the_numbers_in_the_folder_of_the_run(tmp_path: Path):
    pytest.importorskip("wandb")
    here = origin(tmp_path)
    config = LogConfig(wandb=WandbConfig(project="dance", mode="offline"))
    sinks = open_sinks(config, here)
    sinks.write(1, {"reward/foot": 0.5})
    sinks.close(finished=True)
    (written,) = (here.folder / "wandb").glob("offline-run-*/run-*.wandb")

    def kept() -> bool:
        content = written.read_bytes()
        return b"reward/foot" in content and b"salsa/rl" in content

    # W&B's own process writes the file, and may do so after it has said that it is done.
    wait_until(kept, WRITTEN, "the numbers in W&B's file")
    first = known_run(here.folder, "wandb")
    open_sinks(config, here, done=1).close(finished=True)
    assert known_run(here.folder, "wandb") == first
