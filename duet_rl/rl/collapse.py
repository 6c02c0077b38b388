"""Collapse: a follower that uses few codes, stands frozen or shakes, and earns reward by that."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Integer

CODES = "diversity/codes_"  # and the stream: tag of its effective codes
FROZEN, JITTER = "motion/frozen", "motion/jitter"  # tags of the shares of such frames
CODES_LEFT = 0.3  # of the effective codes at first; with fewer, a stream has collapsed
SHARE_LIMITS = {FROZEN: 0.5, JITTER: 0.2}  # of the frames of fresh rollouts
_MOTIONS = {FROZEN: "stand frozen", JITTER: "shake"}


def effective_codes(tokens: Integer[np.ndarray, "*batch S"]) -> Float[np.ndarray, "S"]:
    """Return how many codes each stream uses: the perplexity of its histogram.

    It is 1 where all tokens are one code, and K where K codes are used equally often.

    Example:
        >>> effective_codes(np.array([[0, 7], [1, 7], [2, 7], [3, 7]])).tolist()
        [4.0, 1.0]
    """
    streams = tokens.reshape(-1, tokens.shape[-1])
    return np.array([_perplexity(stream) for stream in streams.T])


def diversity(
    tokens: Sequence[Integer[np.ndarray, "R N S"]], streams: Sequence[str]
) -> dict[str, float]:
    """Return the effective codes of each stream in all of `tokens` together, by tag."""
    flat = np.concatenate([group.reshape(-1, len(streams)) for group in tokens])
    codes = effective_codes(flat)
    return {f"{CODES}{stream}": float(count) for stream, count in zip(streams, codes, strict=True)}


class CollapseWatch:
    """Says, once each, which streams have collapsed and whether the dances freeze or shake.

    Args:
        earlier: the numbers of earlier iterations, the oldest first, of a run that goes on.
    """

    def __init__(self, earlier: Sequence[Mapping[str, float]] = ()) -> None:
        self._first: dict[str, float] = {}
        self._said: set[str] = set()
        for numbers in earlier:
            self._remember(numbers)

    def warnings(self, numbers: Mapping[str, float]) -> list[str]:
        """Return what is to be said of the numbers of one iteration: mostly nothing."""
        found = self.collapsed(numbers)
        new = [line for tag, line in found.items() if tag not in self._said]
        self._said |= found.keys()
        return new

    def collapsed(self, numbers: Mapping[str, float]) -> dict[str, str]:
        """Return what is wrong with the numbers of one iteration, whether said before or not.

        It is by tag: the stream that has collapsed, or the share of frozen or shaking frames.
        """
        self._remember(numbers)
        return {tag: line for tag in numbers if (line := self._line(tag, numbers[tag]))}

    def _remember(self, numbers: Mapping[str, float]) -> None:
        for tag, value in numbers.items():
            if tag.startswith(CODES) or tag in SHARE_LIMITS:
                self._first.setdefault(tag, value)

    def _line(self, tag: str, value: float) -> str | None:
        if tag.startswith(CODES) and value < CODES_LEFT * self._first[tag]:
            return (
                f"the stream {tag.removeprefix(CODES)} has collapsed to {value:.1f} effective "
                f"codes, from {self._first[tag]:.1f} at first; raise the weight of the entropy or "
                "of the KL to the start, or lower rl.lr"
            )
        if tag in SHARE_LIMITS and value > SHARE_LIMITS[tag]:
            return (
                f"the dances {_MOTIONS[tag]} in {value:.0%} of their frames, at first in "
                f"{self._first[tag]:.0%}; look at one (rl.show_every), and at the reward that "
                "pays for it"
            )
        return None


def _perplexity(stream: np.ndarray) -> float:
    _, counts = np.unique(stream, return_counts=True)
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
