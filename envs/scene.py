"""Scene: everything of the picked windows but the follower, stacked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.errors import InputError
from duet_rl.rewards.base import RewardInput
from duet_rl.tokenizers.duet import DecodedFollower, MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN


class Pick(NamedTuple):
    """Where a dance is cut from: which clip, and its first frame there, any frame."""

    clip: int
    frame: int


class Scene(NamedTuple):
    """`B` windows of `T` frames: the leader, the true follower, the beats and the holds due.

    The leader of soloists is the stage, and no reward hears of it.
    """

    leader: MotionBatch
    partner: Float[Tensor, "B T 55 3"]
    beats: Bool[Tensor, "B T"]
    hold: Bool[Tensor, "B T 2 4"]
    solo: bool = False

    @classmethod
    def cut(cls, clips: Sequence[DuetClip], picks: Sequence[Pick], tokens: int) -> "Scene":
        """Return the windows of `tokens` steps that `picks` name."""
        frames = tokens * FRAMES_PER_TOKEN
        cuts = [clips[pick.clip].slice(pick.frame, pick.frame + frames) for pick in picks]
        leaders = [cut.duet.leader for cut in cuts]
        return cls(
            MotionBatch(
                torch.stack([leader.joints for leader in leaders]),
                torch.stack([leader.rotations for leader in leaders]),
            ),
            torch.stack([cut.duet.follower.joints for cut in cuts]),
            torch.stack([cut.beats for cut in cuts]),
            torch.stack([cut.hold for cut in cuts]),
            all(cut.solo for cut in cuts),
        )

    def steps(self, start: int, stop: int) -> "Scene":
        """Return the token steps from `start` up to `stop` of every window."""
        view = slice(start * FRAMES_PER_TOKEN, stop * FRAMES_PER_TOKEN)
        leader = MotionBatch(self.leader.joints[:, view], self.leader.rotations[:, view])
        rest = (self.partner[:, view], self.beats[:, view], self.hold[:, view])
        return Scene(leader, *rest, self.solo)

    def with_follower(self, follower: DecodedFollower) -> RewardInput:
        """Return what the rewards look at when `follower` dances here."""
        return RewardInput(
            follower=follower.joints,
            leader=None if self.solo else self.leader.joints,
            beats=self.beats,
            fps=FPS,
            hold=None if self.solo else self.hold,
            partner=self.partner,
            root_velocity=follower.root_velocity,
        )


class Picker:
    """Draws windows so that every window of every clip is as likely as any other.

    Args:
        clips: to draw from.
        tokens: steps of a window.
        apart: frames between the beginnings of windows that are drawn, the first at frame 0.

    Raises:
        InputError: there is no clip, or none is long enough.
    """

    def __init__(self, clips: Sequence[DuetClip], tokens: int, apart: int = 1) -> None:
        if not clips:
            raise InputError("there are no clips to dance to; choose another split, or give clips")
        frames = tokens * FRAMES_PER_TOKEN
        self._starts = np.array([clip.frames - frames + 1 for clip in clips])
        if not (self._starts > 0).any():
            longest = max(clip.seconds for clip in clips)
            raise InputError(
                f"no clip lasts the {frames / FPS:.1f} s of an episode; the "
                f"longest of {len(clips)} lasts {longest:.1f} s: set a shorter `seconds`"
            )
        self._apart, self._counts = apart, -(-self._starts.clip(min=0) // apart)
        self._ends = np.cumsum(self._counts)

    def draw(self, rng: np.random.Generator) -> Pick:
        """Return one window, uniformly."""
        number = int(rng.integers(self._ends[-1]))
        clip = int(np.searchsorted(self._ends, number, side="right"))
        return Pick(clip, self._apart * (number - int(self._ends[clip] - self._counts[clip])))

    def check(self, pick: Pick) -> Pick:
        """Return `pick` if there is such a window.

        Raises:
            InputError: there is no such clip, or the window leaves it.
        """
        if not 0 <= pick.clip < len(self._starts):
            raise InputError(f"there is no clip {pick.clip}; there are {len(self._starts)}")
        if not 0 <= pick.frame < self._starts[pick.clip]:
            raise InputError(
                f"clip {pick.clip} has no window from frame {pick.frame} on; "
                f"windows start at frames 0 to {self._starts[pick.clip] - 1}"
            )
        return pick
