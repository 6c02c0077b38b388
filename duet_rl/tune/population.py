"""Population based training in which the loss of a member does not stop the others."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining


class Population(PopulationBasedTraining):
    """Ray Tune's synchronous scheduler, whose members would wait for a failed one for ever."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide what becomes of a member that was measured; failed ones count as arrived."""
        for other in tune_controller.get_trials():
            if other.status == Trial.ERROR:
                self._trial_state[other].last_train_time = int(self._next_perturbation_sync)
        return super().on_trial_result(tune_controller, trial, result)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return who goes on; where all wait for one that failed, this exchange is left out."""
        chosen = super().choose_trial_to_run(tune_controller)
        status = {trial.status for trial in tune_controller.get_trials()}
        while chosen is None and Trial.PAUSED in status and Trial.RUNNING not in status:
            self._next_perturbation_sync += int(self._perturbation_interval)
            chosen = super().choose_trial_to_run(tune_controller)
        return chosen
