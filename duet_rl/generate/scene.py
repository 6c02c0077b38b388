"""What a page plays: one dance with its dancers, its music, and what it is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.errors import InputError


@dataclass(frozen=True, eq=False)
class DanceScene:
    """One dance to look at: a leader, one or more followers to choose from, and the music.

    Args:
        name: of the dance.
        leader: whose length and frame rate hold for all; None where each of the others dances
            alone, and one of them is seen at a time.
        followers: by the name on the button, e.g. `true partner`, `before RL`, `after RL`; none
            shows the leader alone.
        audio: the sound file.
        beats: times of the music's beats, seconds, drawn above the scrub bar; None listens to
            `audio` for them.
        note: one line below the legend.
        leader_name: in the legend.
        together: everybody is on the floor at once, any number of dancers; a button chooses whose
            scores are shown.
        hold: the holds that are due between leader and follower, which the contact score asks for
            (`duet_rl.body.contact.hold_due`); None asks of each follower what he holds himself.
        audio_start: second of `audio` at which the first frame is.

    Raises:
        InputError: a follower has another length or frame rate than the leader, or there is
            nobody.
    """

    name: str
    leader: Motion | None
    followers: Mapping[str, Motion] = field(default_factory=dict)
    audio: Path | None = None
    beats: Sequence[float] | None = None
    note: str = ""
    leader_name: str = "leader"
    together: bool = False
    hold: Bool[Tensor, "T 2 4"] | None = None
    audio_start: float = 0.0

    def __post_init__(self) -> None:
        if self.leader is None and not self.followers:
            raise InputError(f"nobody dances in {self.name!r}; give a dancer")
        for follower in self.followers.values():
            Duet(self.first, follower)  # refuses a pair that does not fit

    @property
    def first(self) -> Motion:
        """The leader, or else the first of those who dance alone."""
        return next(iter(self.followers.values())) if self.leader is None else self.leader
