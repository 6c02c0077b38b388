"""The last look at a follower's frames: finite, and never thrown across the floor."""

from collections import Counter

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.live.roads import Decoded

_FORGET = 0.9  # share of the distance held back that is left a frame later
_TINY = 1e-9  # keeps 0 / 0 at 0


class Guard:
    """Lets frames pass as they are, unless they hold NaN or the root outruns its bound.

    A frame that is no body becomes the one before it, moved along with the leader. A root that
    would go more than `step` metres farther than the leader does is held back, and comes after.
    """

    def __init__(self, step: float, counts: Counter[str]) -> None:
        self.step = step
        self.counts = counts
        self._last: Decoded | None = None  # one frame
        self._leader: Tensor | None = None  # his root then
        self._behind: Tensor | None = None  # m, how far the body is held back

    def check(self, danced: Decoded, leader: Float[Tensor, "T 55 3"]) -> Decoded:
        """Return frames that may be shown, beside those of the leader."""
        frames = [
            self._one(Decoded(danced.joints[t : t + 1], danced.rotations[t : t + 1]), root)
            for t, root in enumerate(leader[:, 0])
        ]
        if not frames:
            return danced
        joints, rotations = zip(*frames, strict=True)
        return Decoded(torch.cat(joints), torch.cat(rotations))

    def _one(self, frame: Decoded, leader: Float[Tensor, "3"]) -> Decoded:
        led = torch.zeros_like(leader) if self._leader is None else leader - self._leader
        self._leader = leader
        if not bool(frame.joints.isfinite().all() and frame.rotations.isfinite().all()):
            self.counts["not finite"] += 1
            if self._last is None:
                frame = Decoded(torch.zeros_like(frame.joints) + leader, frame.rotations * 0)
                frame = Decoded(
                    frame.joints, torch.eye(3).to(leader).expand_as(frame.rotations).clone()
                )
            else:
                frame = Decoded(self._last.joints + led, self._last.rotations)
            self._last = frame
            return frame
        frame = self._held_back(frame, float(led.norm()))
        self._last = frame
        return frame

    def _held_back(self, frame: Decoded, led: float) -> Decoded:
        if self._last is None:
            return frame
        behind = 0 if self._behind is None else self._behind * _FORGET
        wanted = frame.joints[0, 0] + behind
        step = wanted - self._last.joints[0, 0]
        length = float(step.norm())
        most = self.step + led
        if length > most:
            self.counts["held back"] += 1
            wanted = self._last.joints[0, 0] + step * (most / max(length, _TINY))
        elif self._behind is None:
            return frame
        self._behind = wanted - frame.joints[0, 0]
        moved = Decoded(frame.joints + self._behind, frame.rotations)
        if float(self._behind.norm()) < 1e-4:  # m; the body has caught up
            self._behind = None
        return moved
