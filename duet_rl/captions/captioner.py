"""Captions: which facts are worth saying, and how they are said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.captions.facts import Caption, Stated


@dataclass(frozen=True)
class Captioner:
    """Says what is rare and lasts.

    Args:
        often: for the key of a fact the share of training windows in which it holds.
        windows: how many training windows that was counted on.
    """

    often: Mapping[str, float]
    windows: int = 0

    @classmethod
    def fit(
        cls,
        joints: Sequence[Float[Tensor, "_ _ 3"]],
        partners: Sequence[Float[Tensor, "_ _ 3"]] | None = None,
    ) -> "Captioner":
        """Return a captioner that knows how often each fact holds in training clips."""
        raise NotImplementedError

    def caption(
        self,
        joints: Float[Tensor, "T J 3"],
        generator: torch.Generator,
        partner: Float[Tensor, "T J 3"] | None = None,
    ) -> Caption:
        """Return one caption of a motion; the generator chooses facts, order and words."""
        raise NotImplementedError


def caption_of(
    stated: Sequence[Stated],
    frames: int,
    generator: torch.Generator,
    often: Mapping[str, float] | None = None,
) -> Caption:
    """Return a caption of 1 to 4 of these facts of a motion of so many frames."""
    raise NotImplementedError
