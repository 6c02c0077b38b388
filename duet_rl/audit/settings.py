"""The settings of the audit."""

from pydantic import Field, field_validator

from duet_rl.config import Config
from duet_rl.datasets.split import Split
from duet_rl.metrics.attacks import ATTACKS
from duet_rl.metrics.set_features import WINDOW_SECONDS


class AuditConfig(Config):
    """On what the judges are tried, and with which attacks."""

    attacks: tuple[str, ...] = Field(tuple(ATTACKS), min_length=1)
    split: Split | None = None  # None: all clips, for nothing is learned from them
    seconds: float = Field(8.0, ge=WINDOW_SECONDS)  # of a window; all have one length
    max_windows: int = Field(128, ge=4)  # at most, spread over all clips
    seed: int = 0  # of the noise and of the bootstrap

    @field_validator("attacks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in ATTACKS]
        if unknown:
            raise ValueError(f"no attack is called {unknown[0]!r}; there are {', '.join(ATTACKS)}")
        return tuple(dict.fromkeys(names))
