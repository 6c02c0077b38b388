"""The numbers of a run in Weights & Biases, through its library."""
# mypy: disable-error-code="import-not-found,import-untyped"

from collections.abc import Mapping
from typing import Any

from duet_rl.errors import InputError
from duet_rl.observe.passwords import without_password
from duet_rl.observe.settings import WandbConfig
from duet_rl.observe.sink import Origin, Sink
from duet_rl.observe.trackers import keep_run, known_run


class Wandb(Sink):
    """One run of W&B a stage, in the group of the run; the same one when the stage goes on.

    Args:
        config: which project.
        origin: what the numbers are of.
        done: steps that count already; 0 begins a new run.

    Raises:
        InputError: W&B cannot be reached, or nobody is logged in.
    """

    name = "W&B"

    def __init__(self, config: WandbConfig, origin: Origin, done: int) -> None:
        import wandb
        from wandb.errors import Error

        self.faults = (OSError, Error)
        known = known_run(origin.folder, "wandb") if done else None
        try:
            self._run: Any = wandb.init(
                project=config.project,
                entity=config.entity,
                mode=config.mode,
                dir=str(origin.folder),
                group=origin.run,
                name=f"{origin.run}/{origin.stage}",
                job_type=origin.stage,
                config=dict(origin.settings),
                id=known,
                resume=None if known is None else "allow",
                reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )
        except self.faults as error:
            why = without_password(" ".join(str(error).split()))
            raise InputError(
                f"W&B takes no run in log.wandb.project={config.project} ({why}); run `wandb "
                "login`, set log.wandb.mode=offline, or leave log.wandb out"
            ) from None  # whose text may hold a password
        keep_run(origin.folder, "wandb", self._run.id)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        # A stage that goes on repeats a few steps, which W&B leaves out.
        self._run.log(dict(numbers), step=step)

    def close(self, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)
