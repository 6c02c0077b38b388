"""The settings of RL: what is rolled out, how it is learned from, and on what."""

from typing import Any, Literal

from pydantic import Field

from duet_rl.config import Config
from duet_rl.datasets.split import Split
from duet_rl.rewards.base import RewardMixConfig
from duet_rl.rl.losses import (
    ActorCriticConfig,
    BailandoLossConfig,
    DuolandoLossConfig,
    LossName,
    OAPLConfig,
    OwnLossConfig,
    PPOConfig,
    TOPRConfig,
    VTraceConfig,
)
from duet_rl.rl.replay import ReplayConfig


class CollectConfig(Config):
    """How rollouts come to the learner."""

    # False: runners go on with the weights they have while the learner learns. True: they begin
    # together with the newest weights and the learner waits for all of them, as one process would.
    synchronous: bool = False
    queue: int = Field(1, ge=1, le=8)  # rollouts that a runner is asked for ahead
    max_staleness: int | None = Field(None, ge=0)  # updates that rollouts may lag; None: any number
    stale: Literal["drop", "reweight"] = "drop"  # older ones; reweight: by the loss's ratios alone
    half_weights: bool = False  # send weights to the runners as bfloat16


class HardwareConfig(Config):
    """Where RL runs. GPUs of less than 1 share one: 0.3 for a runner beside 0.7 for the learner."""

    runner_gpus: float = Field(0.0, ge=0)  # of each runner, which then samples on the GPU
    learner_gpus: float = Field(0.0, ge=0)  # of the learner
    remote_learner: bool = False  # the learner is an actor of its own and not in the driver
    # Resources beside processors and GPUs, by name, e.g. to pin actors to certain nodes: of a
    # remote learner, and of each runner.
    learner_resources: dict[str, float] = Field(default_factory=dict)
    runner_resources: dict[str, float] = Field(default_factory=dict)


OURS = "envs:DuetDance-v0"  # the environment that this project brings


class RLConfig(Config):
    """Refine a follower by its rewards; the defaults suit a small follower and two cores."""

    env: str = OURS  # gymnasium id; anything with the interface of rl.dances
    # What an environment of one's own is told beside data, codec, split, rewards and dance.
    env_settings: dict[str, Any] = Field(default_factory=dict)
    rewards: RewardMixConfig = RewardMixConfig()
    iterations: int = Field(100, ge=1)
    seed: int = Field(0, ge=0)

    # Which clips are danced to. `rl` is a split of its own, which pretraining has not seen
    # (prepare.split.rl); `test` is what Bailando does, and leaves nothing to test with.
    split: Split = "train"

    # Rollouts
    env_runners: int | None = Field(None, ge=0)  # actors; None: what the cluster has room for
    # With how many the run begins, and goes on while nodes come and go; the others join when
    # there is room for them. None: all of `env_runners` must start.
    min_env_runners: int | None = Field(None, ge=1)
    leaders: int = Field(4, ge=1)  # windows that a runner follows at once
    rollouts: int = Field(8, ge=1)  # of each window: the group that is compared
    seconds: float = Field(8.5, gt=0)  # a rollout, 64 tokens
    temperature: float = Field(
        1.0, gt=0, allow_inf_nan=False
    )  # of sampling; tokens are judged at the same
    # Roll out the likeliest tokens, for the losses `duolando` and `bailando`; judged as above.
    greedy: bool = False
    look_ahead: int | None = Field(None, ge=0)  # tokens; None: the farthest of the follower

    collect: CollectConfig = CollectConfig()
    hardware: HardwareConfig = HardwareConfig()

    # Learning
    loss: LossName = "topr"
    actor_critic: ActorCriticConfig = ActorCriticConfig()
    bailando: BailandoLossConfig = BailandoLossConfig()
    duolando: DuolandoLossConfig = DuolandoLossConfig()
    vtrace: VTraceConfig = VTraceConfig()
    ppo: PPOConfig = PPOConfig()
    topr: TOPRConfig = TOPRConfig()
    oapl: OAPLConfig = OAPLConfig()
    own: OwnLossConfig = OwnLossConfig()
    # Bring the rewards of each stream to mean 0 and standard deviation 1, of the batch or of all
    # that was learned from so far. None: learn from them as they are.
    normalise_rewards: Literal["batch", "running"] | None = None
    # Layers that keep their pretrained weights, the lowest first, and all below them; Bailando
    # freezes half, the six of its base.
    frozen_layers: int = Field(0, ge=0)
    replay: ReplayConfig = ReplayConfig()
    lr: float = Field(5e-4, gt=0)
    value_lr: float = Field(1e-3, gt=0)  # of the value head, which starts from nothing
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam
    grad_clip: float | None = Field(1.0, gt=0)  # largest norm of all gradients; None: any
    new_groups: int = Field(4, ge=1)  # fresh groups that an iteration waits for
    batch_groups: int = Field(4, ge=1)  # fresh groups in one gradient step
    passes: int = Field(1, ge=1)  # over the fresh groups of an iteration
    milestones: tuple[int, ...] = ()  # iterations after which the rates fall
    decay: float = Field(0.1, gt=0, le=1)  # factor by which they fall
    dropout: bool = False  # drop while learning, though rollouts do not
    window_stride: int = Field(
        1, ge=1
    )  # tokens between the windows that a GPT of windows learns in
    drop_last_window: bool = False  # of each dance, as the original does
    batch_windows: int | None = Field(None, ge=1)  # of its windows that a step takes, at most
    reference: bool = True  # keep the follower that RL started from, to measure KL to it
    precision: Literal["float32", "bfloat16"] = "float32"  # in which the learner judges tokens
    checkpointing: bool = False  # forget what layers computed, and compute it again: less memory

    # What is seen
    line_every: int = Field(10, ge=1)  # iterations between lines where there is no terminal
    show_every: int | None = Field(None, ge=1)  # iterations between drawn dances; None: no dances

    # Running
    checkpoint_every: int = Field(20, ge=1)  # iterations between saved states
    wait_seconds: float = Field(120.0, gt=0)  # without any rollout, until it is an error
    # Of lost runners, all together, until it is an error; with `min_env_runners`, which expects
    # losses, between two rollouts.
    max_restarts: int = Field(5, ge=0)
    max_failures: int = Field(2, ge=0)  # lost learner actors, until it is an error
    restart_delay: float = Field(2.0, ge=1, le=5)  # s before a lost runner comes back
