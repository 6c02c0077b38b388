"""Which extractor made music features: facts that stores and followers carry with them."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from duet_rl.audio.recipes import MusicConfig, recipe
from duet_rl.audio.spectra import HOP, SAMPLE_RATE

MusicFacts = Mapping[str, Any]
"""Plain values: `compat`, `sample_rate` (Hz), `hop` (samples), `resampler`, `librosa` (version)."""

META_KEY = "music"  # of the facts, among those about a follower's checkpoint

_DECISIVE = ("compat", "sample_rate", "hop")  # with another value the features are others
_FINE = "resampler"  # moves the chroma by some thousandths


def music_facts(config: MusicConfig = MusicConfig()) -> dict[str, Any]:
    """Return the facts of the extractor as it is installed here."""
    made_by = recipe(config.compat)
    return {
        "compat": made_by.compat,
        "sample_rate": SAMPLE_RATE,
        "hop": HOP,
        "resampler": made_by.resampler,
        "librosa": version("librosa"),
        **made_by.packages,
    }


UNSTATED: MusicFacts = {
    "compat": "0.11",
    "sample_rate": SAMPLE_RATE,
    "hop": HOP,
    "resampler": "soxr_hq",
}
"""The facts where none were written: there was one extractor then."""

AUTHORS: MusicFacts = {
    "compat": "0.8",
    "sample_rate": SAMPLE_RATE,
    "hop": HOP,
    "resampler": "kaiser_fast",
    "librosa": "0.8.0",
}
"""The facts of the feature files that Duolando's authors give out with DD100."""


def facts_in(meta: Mapping[str, Any]) -> MusicFacts:
    """Return the facts in the meta of a checkpoint: of the music that a follower learned from."""
    return meta.get(META_KEY) or UNSTATED


def describe(facts: MusicFacts) -> str:
    """Return the facts in words, for a message."""
    return (
        f"librosa {facts.get('compat')} at {facts.get('sample_rate')} Hz, {facts.get('hop')} "
        f"samples a frame, resampled by {facts.get('resampler')}"
    )


def are_alike(facts: MusicFacts, others: MusicFacts) -> bool:
    """Return whether a network that learned from the one features understands the others."""
    return all(facts.get(key) == others.get(key) for key in _DECISIVE)


def are_equal(facts: MusicFacts, others: MusicFacts) -> bool:
    """Return whether features are so alike that one store may hold both."""
    return are_alike(facts, others) and facts.get(_FINE) == others.get(_FINE)
