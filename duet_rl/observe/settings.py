"""Where the numbers of a run go, beside its own log."""

from typing import Literal

from duet_rl.config import Config


class WandbConfig(Config):
    """Weights & Biases; it needs the extra `wandb`, and `wandb login` once unless offline."""

    project: str | None = None  # None: nothing goes there
    entity: str | None = None  # team or user; None: the one that is logged in
    mode: Literal["online", "offline"] = "online"  # offline: to a folder, for `wandb sync`


class MlflowConfig(Config):
    """MLflow; it needs the extra `mlflow`."""

    tracking_uri: str | None = None  # `http://server:5000` or `sqlite:///file.db`; None: nowhere
    experiment: str = "duet_rl"  # made if it is not there


class LogConfig(Config):
    """TensorBoard and `metrics.jsonl` are always written; this is what comes on top."""

    prometheus: bool = True  # metrics of each node of Ray, `ray_duet_rl_*`
    wandb: WandbConfig = WandbConfig()
    mlflow: MlflowConfig = MlflowConfig()
