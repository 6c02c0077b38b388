"""A follower that listens harder: its words are weighed against what it dances without them."""

from collections.abc import Collection, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from duet_rl.models.conditions import LookAhead
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.policy import DEFAULT_SAMPLING, IMPOSSIBLE, SamplingConfig, choose
from duet_rl.models.step_decoder import SampledStep, StepDecoder


class GuidedDecoder(StepDecoder):
    """A `StepDecoder` with classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598).

    Every dance is decoded twice, once told its words and once told none, with the same tokens. The
    policy is that of the logits `untold + guidance x (told - untold)`, stream by stream; with a
    guidance of 1 it is the ordinary one. Training must have left clips untold (`text_dropout`).

    Args:
        model: the follower, one that hears words.
        guidance: 0 ignores the words, above 1 exaggerates them.
        look_ahead: tokens of future that the conditions may use; None is their maximum.
    """

    def __init__(
        self, model: MultiStreamGPT, guidance: float, look_ahead: LookAhead = None
    ) -> None:
        super().__init__(model, look_ahead)
        self.guidance = guidance

    def start(
        self,
        conditions: Mapping[str, Tensor],
        live: Collection[str] = (),
        text: Tensor | None = None,
    ) -> None:
        """Begin a new batch of dances; arguments and errors as for `StepDecoder.start`."""
        twice = None if text is None else torch.cat([text, torch.zeros_like(text)])
        super().start({name: _twice(x) for name, x in conditions.items()}, live, twice)

    def feed(self, conditions: Mapping[str, Tensor], last: bool = False) -> None:
        """Take in more of live conditions, as they are or each twice already."""
        texts = self._texts
        single = {
            name: _twice(x) if texts is not None and 2 * len(x) == texts else x
            for name, x in conditions.items()
        }
        super().feed(single, last)

    def sample(
        self,
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        generator: torch.Generator | None = None,
        given: Int[Tensor, "B S"] | None = None,
    ) -> SampledStep:
        """Decode the next step and return its tokens."""
        step = super().sample(sampling, generator, None if given is None else _twice(given))
        return SampledStep(*(part.chunk(2)[0] for part in step))

    def _choose(
        self,
        logits: Tensor,
        sampling: SamplingConfig,
        generator: torch.Generator | None,
        given: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        told, untold = logits.float().chunk(2)
        exists = untold > IMPOSSIBLE  # of smaller streams the rest is filled up
        apart = torch.where(exists, told - untold, 0.0)
        picked = None if given is None else given.chunk(2)[0]
        tokens, likely = choose(untold + self.guidance * apart, sampling, generator, picked)
        return _twice(tokens), _twice(likely)


def _twice(x: Tensor) -> Tensor:
    return torch.cat([x, x])
