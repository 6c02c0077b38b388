"""Successive halving in which a trial that failed is compared with none."""

from typing import Any

from ray.tune.schedulers import ASHAScheduler


class Halving(ASHAScheduler):
    """Ray Tune's scheduler, which would go on to measure others by what a failed trial had."""

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Forget the measurements of a trial that failed."""
        super().on_trial_error(tune_controller, trial)
        for bracket in self._brackets:
            for _, measured in bracket._rungs:
                measured.pop(trial.trial_id, None)
