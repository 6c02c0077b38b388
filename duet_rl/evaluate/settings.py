"""Settings of an evaluation."""

from pydantic import Field

from duet_rl.config import Config
from duet_rl.datasets.split import Split
from duet_rl.models.sampling import SamplingConfig


class EvaluateConfig(Config):
    """On what and how often to measure."""

    split: Split = "test"
    seeds: int = Field(3, ge=1)  # dances sampled for each clip
    max_clips: int | None = Field(None, ge=1)  # the first so many clips of the split
    sampling: SamplingConfig = SamplingConfig()
    look_ahead: int | None = Field(None, ge=0)  # tokens; None is all that the follower knows
    # A follower that has to be given its first tokens gets the true ones, as Duolando's does.
    true_start: bool = True
    reference: Split = "train"  # whose true partners are what sets of dances are compared with
    probe_clips: int = Field(16, ge=0)  # clips danced again with other music, leader and future
    surface_every: int | None = Field(None, ge=1)  # frames; how often surfaces are held together
    workers: int | None = Field(None, ge=1)  # processes; None: all processors, 1: this one alone
