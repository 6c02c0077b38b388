"""Settings of an edit."""

from pydantic import Field

from duet_rl.config import Config
from duet_rl.edit.nudge import NudgeConfig
from duet_rl.edit.retrieve import RetrieveConfig


class EditConfig(Config):
    """How an edit is made."""

    ease_seconds: float = Field(0.4, ge=0)  # in which the body goes over to an edit, and back
    retrieve: RetrieveConfig | None = RetrieveConfig()  # None: the take's own poses are nudged
    nudge: NudgeConfig = NudgeConfig()  # with no steps, poses stay as they were decoded

    def with_unseen(self, nearest: bool) -> "EditConfig":
        """Return these settings; `nearest`: where no real pose shows an edit, take the nearest."""
        if self.retrieve is None or not nearest:
            return self
        retrieve = self.retrieve.model_copy(update={"unseen": "nearest"})
        return self.model_copy(update={"retrieve": retrieve})
