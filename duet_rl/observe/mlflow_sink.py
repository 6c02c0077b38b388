"""The numbers of a run in MLflow, through its client."""
# mypy: disable-error-code="import-not-found,import-untyped"

import os
import time
from collections.abc import Mapping
from typing import Any

from duet_rl.errors import InputError
from duet_rl.observe.passwords import without_password
from duet_rl.observe.settings import MlflowConfig
from duet_rl.observe.sink import Origin, Sink
from duet_rl.observe.trackers import flat, keep_run, known_run

_PARAMS_A_CALL = 100  # MLflow's limit
_LONGEST_PARAM = 500  # characters
# MLflow by default asks a server that is gone for minutes, in which a training would stand still.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


class Mlflow(Sink):
    """One run of MLflow a stage; the same one when the stage goes on.

    Args:
        config: which server and experiment.
        origin: what the numbers are of.
        done: steps that count already; 0 begins a new run.

    Raises:
        InputError: the server cannot be reached or refuses.
    """

    name = "MLflow"

    def __init__(self, config: MlflowConfig, origin: Origin, done: int) -> None:
        for variable, value in _PATIENCE.items():
            os.environ.setdefault(variable, value)
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self.faults = (OSError, MlflowException)
        try:
            self._client: Any = MlflowClient(tracking_uri=config.tracking_uri)
            self._run = self._begin(config, origin, done)
        except (*self.faults, ImportError) as error:  # a kind of URI may need another package
            why = without_password(" ".join(str(error).split()))
            place = without_password(config.tracking_uri or "")
            raise InputError(
                f"MLflow at log.mlflow.tracking_uri={place} takes no run ({why}); "
                "see whether it is up, or leave log.mlflow out"
            ) from None  # whose text may hold a password

    def _begin(self, config: MlflowConfig, origin: Origin, done: int) -> str:
        known = known_run(origin.folder, "mlflow") if done else None
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            return known
        experiment = self._client.get_experiment_by_name(config.experiment)
        number = (
            self._client.create_experiment(config.experiment)
            if experiment is None
            else experiment.experiment_id
        )
        tags = {"run": origin.run, "stage": origin.stage}
        name = f"{origin.run}/{origin.stage}"
        run: str = self._client.create_run(number, tags=tags, run_name=name).info.run_id
        self._state_settings(run, origin.settings)
        keep_run(origin.folder, "mlflow", run)
        return run

    def _state_settings(self, run: str, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(k, str(v)[:_LONGEST_PARAM]) for k, v in flat(settings).items()]
        for first in range(0, len(params), _PARAMS_A_CALL):
            self._client.log_batch(run, params=params[first : first + _PARAMS_A_CALL])

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = round(1000 * time.time())  # ms
        metrics = [Metric(tag, float(number), now, step) for tag, number in numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")
