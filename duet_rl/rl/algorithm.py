"""DuetRL: RLlib's algorithm with the follower's training step."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ray.exceptions import RayError
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.annotations import override
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    FAULT_TOLERANCE_STATS,
    LEARNER_RESULTS,
    TIMERS,
)
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.models.follower import read_gpt_config
from duet_rl.models.window_gpt import WindowGPTConfig
from duet_rl.rl.attendance import Attendance
from duet_rl.rl.collector import Collector, RolloutError
from duet_rl.rl.dances import dances_of, make_dances
from duet_rl.rl.env_runner import TOKENS_PER_SECOND, FollowerEnvRunner
from duet_rl.rl.learner import FollowerLearner, RolloutsToBatch, Skips, WindowCut
from duet_rl.rl.losses import METRICS
from duet_rl.rl.module import FollowerRLModule
from duet_rl.rl.replay import Replay, RolloutGroup
from duet_rl.rl.settings import RLConfig
from duet_rl.rl.tags import HEALTHY, RESTARTS
from duet_rl.rl.weights import Weights
from duet_rl.rl.windows import WindowSizes

STATE = "rl_state"  # kind of checkpoint that holds an unfinished run
FOLLOWER_RESULTS = "follower"  # where the results of `train()` hold what is ours
_REPLAY = "replay."  # prefix in a checkpoint
_MOST_SKIPS = 3  # gradient steps in a row that may fail for want of numbers
_UNLIMITED = -1  # restarts, to Ray
_TIMED = ("collect", "learn", "sync")  # parts of a training step
_LEARNED = {  # name among the results of the learner -> TensorBoard tag
    "total_loss": "loss/total",
    "gradients_policy_global_norm": "gradient_norm",
    **{name: name for name in METRICS},
}
_FAULTS = {  # name among RLlib's counts of faults -> TensorBoard tag
    "num_healthy_workers": HEALTHY,
    "num_remote_worker_restarts": RESTARTS,
}


class LearnerLostError(RuntimeError):
    """The actor of the learner is gone; only a saved state brings it back."""


class NotANumberError(RuntimeError):
    """The loss or its gradient was no number, again and again.

    Args:
        message: how often.
        groups: the rollouts of the last step that was not taken.
    """

    def __init__(self, message: str, groups: Sequence[RolloutGroup] = ()) -> None:
        super().__init__(message)
        self.groups = groups


class DuetRLConfig(AlgorithmConfig):
    """RLlib's configuration of `DuetRL`, made from ours by `of`."""

    env_runner_cls: Any  # RLlib declares it by its default, None

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        super().__init__(algo_class=algo_class or DuetRL)
        self.settings = RLConfig()
        self.follower = ""  # folder of the follower to start from
        self.gpt: dict[str, Any] = {}  # settings of its model
        self.env_runner_cls = FollowerEnvRunner
        self.batch_mode = "complete_episodes"
        self.gym_env_vectorize_mode = "vector_entry_point"
        self.add_default_connectors_to_learner_pipeline = False

    @classmethod
    def of(
        cls,
        settings: RLConfig,
        follower: Path | str,
        gpt: dict[str, Any],
        env_settings: dict[str, Any],
        runners: int,
    ) -> "DuetRLConfig":
        """Return the configuration of a run.

        Args:
            settings: ours.
            follower: folder of the follower to start from.
            gpt: settings of its model.
            env_settings: keyword arguments of the environment.
            runners: env runner actors; 0 rolls out in the driver.
        """
        config = cls()
        config.settings, config.follower, config.gpt = settings, str(follower), gpt
        config.environment(settings.env, env_config=env_settings)
        config.env_runners(
            num_env_runners=runners,
            num_envs_per_env_runner=settings.leaders * settings.rollouts,
            create_local_env_runner=runners == 0,
            num_gpus_per_env_runner=settings.hardware.runner_gpus,
            custom_resources_per_env_runner=dict(settings.hardware.runner_resources),
            max_requests_in_flight_per_env_runner=settings.collect.queue,
            validate_env_runners_after_construction=settings.min_env_runners is None,
        )
        lookup = partial(_lookup, settings, gpt, env_settings)
        hardware = settings.hardware
        config.learners(
            num_learners=int(hardware.remote_learner),
            num_gpus_per_learner=hardware.learner_gpus,
            custom_resources_per_learner=dict(hardware.learner_resources),
            learner_connector=lookup,
        )
        config.training(lr=settings.lr, grad_clip=settings.grad_clip)
        elastic = settings.min_env_runners is not None
        config.fault_tolerance(
            restart_failed_env_runners=True,
            # Ray gives up on an actor that it restarted so often; a lost node is no fault of it.
            max_num_env_runner_restarts=_UNLIMITED if elastic else settings.max_restarts,
            delay_between_env_runner_restarts_s=settings.restart_delay,
        )
        config.debugging(seed=settings.seed, log_level="ERROR")
        config._dont_auto_sync_env_runner_states = True  # there are no connector states
        return config

    @override(AlgorithmConfig)
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        return RLModuleSpec(
            module_class=FollowerRLModule,
            model_config={
                "gpt": self.gpt,
                "temperature": self.settings.temperature,
                "look_ahead": self.settings.look_ahead,
                "dropout": self.settings.dropout,
                "reference": self.settings.reference,
                "checkpointing": self.settings.checkpointing,
                "half": self.settings.precision == "bfloat16",
                "frozen_layers": self.settings.frozen_layers,
                "proximal": self.settings.loss == "ppo",
            },
        )

    @override(AlgorithmConfig)
    def get_default_learner_class(self) -> type[FollowerLearner]:
        return FollowerLearner


def _lookup(
    settings: RLConfig,
    gpt: dict[str, Any],
    env_settings: dict[str, Any],
    *spaces: Any,
    **kwargs: Any,
) -> RolloutsToBatch:
    """Return the connector that looks features up in an environment of its own."""
    dances = dances_of(make_dances(settings.env, settings.rollouts, env_settings))
    config, cut = read_gpt_config(gpt), None
    if isinstance(config, WindowGPTConfig):
        sizes = WindowSizes(
            config.block, config.tokens_ahead, config.frames_per_token, config.tokens_before
        )
        cut = WindowCut(
            sizes, settings.window_stride, settings.drop_last_window, settings.batch_windows
        )
    return RolloutsToBatch(dances, cut)


class DuetRL(Algorithm):
    """Collect packed rollouts, mix them with remembered ones, learn, send the weights out."""

    # RLlib declares these as possibly None, which they are not once `setup` has run.
    config: Any
    metrics: Any
    learner_group: Any
    attendance: Attendance | None = None  # of runners that may come and go
    _runners: Any = None
    _spaces: dict[str, Any] | None = None  # of runners that may come and go

    @classmethod
    @override(Algorithm)
    def get_default_config(cls) -> DuetRLConfig:
        return DuetRLConfig()

    @property
    def env_runner_group(self) -> Any:
        """RLlib's group of the runners; none before it is made."""
        return self._runners

    @env_runner_group.setter
    def env_runner_group(self, group: Any) -> None:
        """Take note of who is there, before RLlib waits for one that may have no place."""
        self._runners = group
        if group is not None and self._spaces is not None:
            self.attendance = Attendance(group, self._spaces)

    @override(Algorithm)
    def setup(self, config: DuetRLConfig) -> None:
        fewest = config.settings.min_env_runners
        if config.num_env_runners > 0:
            spaces = rehearse(config)
            self._spaces = None if fewest is None else spaces
        try:
            super().setup(config)
        except (IndexError, RayError) as error:  # RLlib looks at the first of no runners
            raise RolloutError(
                f"the env runners did not come up ({type(error).__name__}: {error}); they start in "
                "the present folder: see above, or the logs of Ray, for what they met there"
            ) from error
        self.weights = Weights(self, config.settings.collect.half_weights)
        if self.attendance is not None and fewest is not None:
            self.attendance.wait_for(
                fewest, lambda: self.restore_env_runners(self.env_runner_group)
            )
        self.collector = Collector(self)
        self.replay = Replay(config.settings.replay)
        self.fresh: list[RolloutGroup] = []  # of the last iteration
        self.iterations_done = 0
        self.updates_done = 0
        self.token_steps = 0
        self.skips = Skips(0, 0)

    @override(Algorithm)
    def training_step(self) -> None:
        collecting, learning, syncing = ((TIMERS, name) for name in _TIMED)
        with self.metrics.log_time(collecting):
            fresh = self.collector.collect()
        with self.metrics.log_time(learning):
            self._learn(fresh)
        with self.metrics.log_time(syncing):
            self.weights.send(wait=self.config.settings.collect.synchronous)
        self.replay.add(fresh)
        self._log(fresh)
        self.iterations_done += 1

    def _learn(self, fresh: Sequence[RolloutGroup]) -> None:
        """Take gradient steps on the fresh groups and on remembered ones."""
        settings, done = self.config.settings, self.iterations_done
        self._learner(lambda learner: learner.begin_iteration(done))
        rng = np.random.default_rng([settings.seed, self.iterations_done])
        staleness = [self.updates_done - group.version for group in fresh]
        for _ in range(settings.passes):
            for groups in self.replay.batches(fresh, settings.batch_groups, rng):
                self._update(groups)
        self.metrics.log_value((FOLLOWER_RESULTS, "staleness"), float(np.mean(staleness)), window=1)

    def _update(self, groups: list[RolloutGroup]) -> None:
        """Take one gradient step.

        Raises:
            NotANumberError: this was the third step in a row without numbers to step by.
        """
        done = self.updates_done
        if self.config.settings.dropout:
            self._learner(lambda learner: learner.begin_update(done))
        try:
            results = self.learner_group.update(episodes=groups)
        except (IndexError, RayError) as error:  # RLlib looks at the first of no results
            raise LearnerLostError(f"the learner was lost ({type(error).__name__})") from error
        self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self.updates_done += 1
        self.skips = self._learner(lambda learner: learner.skips)
        if self.skips.in_a_row >= _MOST_SKIPS:
            count = self.skips.in_a_row
            raise NotANumberError(
                f"{count} gradient steps in a row had no numbers to step by", groups
            )

    def _log(self, fresh: Sequence[RolloutGroup]) -> None:
        """Log the rewards of the fresh rollouts, term by term, and how the run stands."""
        terms = defaultdict(list)
        for group in fresh:
            for name, mean in group.means.items():
                terms[f"reward/{name}"].append(mean)
            for name, mean in group.watched.items():
                terms[f"motion/{name}"].append(mean)
        self.fresh = list(fresh)
        self.token_steps += sum(len(group) for group in fresh)
        values = {name: float(np.mean(means)) for name, means in terms.items()}
        values["groups"] = float(len(fresh))
        values["updates"] = float(self.updates_done)
        values["requests"] = float(self.env_runner_group.num_in_flight_async_reqs())
        values["skipped_updates"] = float(self.skips.total)
        values["dropped_groups"] = float(self.collector.dropped)
        values |= {f"replay/{name}": value for name, value in self.replay.numbers().items()}
        self.metrics.log_dict(values, key=FOLLOWER_RESULTS, window=1)

    @override(Algorithm)
    def restore_env_runners(self, env_runner_group: Any) -> list[int]:
        restored: list[int] = super().restore_env_runners(env_runner_group)
        if restored:
            self.weights.share(restored)
        return restored

    def follower_tensors(self) -> dict[str, Tensor]:
        """Return the weights of the follower as it is now."""
        return self._learner(lambda learner: learner.follower.gpt.state_dict())

    @staticmethod
    def numbers(results: dict[str, Any]) -> dict[str, float]:
        """Return what a person looks at in the results of `train()`, by TensorBoard tag."""
        learned = results.get(LEARNER_RESULTS, {}).get(DEFAULT_MODULE_ID, {})
        timers, sampled = results.get(TIMERS, {}), results.get(ENV_RUNNER_RESULTS, {})
        found = dict(results.get(FOLLOWER_RESULTS, {}))
        found |= {_LEARNED[name]: value for name, value in learned.items() if name in _LEARNED}
        found |= {f"seconds/{name}": timers[name] for name in _TIMED if name in timers}
        found |= {name: sampled[name] for name in (TOKENS_PER_SECOND,) if name in sampled}
        faults = results.get(FAULT_TOLERANCE_STATS, {})
        found |= {tag: faults[name] for name, tag in _FAULTS.items() if name in faults}
        return {name: float(value) for name, value in found.items()}

    @override(Algorithm)
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write all that a resumed run needs: weights, optimizer, replay, counters; no pickles."""
        replay = {_REPLAY + name: tensor for name, tensor in self.replay.tensors().items()}
        learner = self._learner(lambda learner: learner.state_tensors())
        checkpoint.save(
            checkpoint_dir,
            kind=STATE,
            tensors={**learner, **replay},
            config=self.config.settings,
            meta={
                "iterations": self.iterations_done,
                "updates": self.updates_done,
                "token_steps": self.token_steps,
                "skips": self.skips._asdict(),
                "dropped_groups": self.collector.dropped,
            },
        )

    @override(Algorithm)
    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from where `save_checkpoint` left off."""
        state = checkpoint.load(checkpoint_dir, STATE)
        self.iterations_done = state.meta["iterations"]
        self.updates_done = state.meta["updates"]
        self.token_steps = state.meta["token_steps"]
        # Older states did not count these.
        self.skips = skips = Skips(**state.meta.get("skips", Skips(0, 0)._asdict()))
        self.collector.dropped = state.meta.get("dropped_groups", 0)
        replay = {k: v for k, v in state.tensors.items() if k.startswith(_REPLAY)}
        self.replay.load_tensors({k.removeprefix(_REPLAY): v for k, v in replay.items()})
        learner = {k: v for k, v in state.tensors.items() if k not in replay}
        version = self.updates_done
        self._learner(lambda one: one.load_state_tensors(learner, version, skips))
        self.weights.send(wait=True)

    @override(Algorithm)
    def cleanup(self) -> None:
        if self.attendance is not None:
            self.attendance.dismiss()
        super().cleanup()
        self.weights.close()
        self.replay.close()

    def _learner(self, function: Any) -> Any:
        """Return what `function` gives for the (first) learner, after it ran on all of them."""
        answers = self.learner_group.foreach_learner(function).result_or_errors
        if not answers:
            raise LearnerLostError("the learner was lost and answers no more")
        return answers[0].get()


def rehearse(config: DuetRLConfig) -> dict[str, Any]:
    """Roll out once in this process: what fails here would fail in every actor, less clearly.

    Returns:
        What the runner tells of its spaces, by RLlib's names.
    """
    small = config.copy(copy_frozen=False)
    small.env_runners(num_envs_per_env_runner=config.settings.rollouts)
    runner = FollowerEnvRunner(config=small, worker_index=None)
    runner.rehearse()
    spaces: dict[str, Any] = runner.get_spaces()
    runner.stop()
    return spaces
