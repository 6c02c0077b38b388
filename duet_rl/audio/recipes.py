"""In what versions of librosa differ, as far as the music features go."""

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import field_validator

from duet_rl.config import Config
from duet_rl.errors import InputError

Compat = Literal["0.11", "0.8"]
"""The librosa whose numbers the features are: 0.11 is today's, 0.8 that of Duolando's authors."""

OCTAVE_BINS = 36  # of the constant-Q transform under the chroma
PadMode = Literal["constant", "reflect"]
"""What lies before and after a track, in the words of numpy."""

_SOXR, _KAISER = "soxr_hq", "kaiser_fast"  # resamplers inside the constant-Q transform
_KAISER_PACKAGE = "resampy"


class MusicConfig(Config):
    """How music becomes features."""

    compat: Compat = "0.11"  # whose numbers: those of librosa 0.11 or of librosa 0.8

    @field_validator("compat", mode="before")
    @classmethod
    def _as_word(cls, value: Any) -> Any:
        """Take the number that YAML makes of an unquoted 0.8."""
        return str(value) if isinstance(value, float) else value


@dataclass(frozen=True)
class Recipe:
    """What a version of librosa does in its own way."""

    compat: Compat
    pad_mode: PadMode
    onset_fmax: float | None  # Hz; end of the mel bands of the onset strength; None: of all sound
    filter_scale: float  # length of the constant-Q filters, times that of librosa 0.11
    resampler: str  # inside the constant-Q transform

    @property
    def packages(self) -> dict[str, str]:
        """The package besides librosa that takes part, and its version."""
        return {_KAISER_PACKAGE: version(_KAISER_PACKAGE)} if self.resampler == _KAISER else {}


def recipe(compat: Compat) -> Recipe:
    """Return the recipe of a version.

    The resampler of 0.8 is in the package `resampy` (the extra `compat08`). Without it, that of
    0.11 takes its place, which changes the chroma by up to 2.5e-3 of its largest value, 1.

    Raises:
        InputError: there is no such version.
    """
    if compat == "0.11":
        return Recipe("0.11", "constant", None, 1.0, _SOXR)
    if compat != "0.8":
        raise InputError(f"no music features are known of librosa {compat!r}; give '0.11' or '0.8'")
    return Recipe("0.8", "reflect", 11025.0, _old_filter_scale(), _old_resampler())


def _old_filter_scale() -> float:
    """Return the filter length of librosa 0.8 over that of 0.11, from their bandwidths."""
    ratio = 2 ** (1 / OCTAVE_BINS)
    old, new = 1 / (ratio - 1), (ratio**2 + 1) / (ratio**2 - 1)
    return old / new


def _old_resampler() -> str:
    return _SOXR if find_spec(_KAISER_PACKAGE) is None else _KAISER
