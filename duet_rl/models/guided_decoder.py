"""A follower that listens harder: its words are weighed against what it dances without them."""

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.conditions import LookAhead
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.policy import DEFAULT_SAMPLING, IMPOSSIBLE, SamplingConfig, choose
from duet_rl.models.step_decoder import SampledStep, StepDecoder

_LEAST = -20.0  # nats; a class that is less likely still is no reason never to take a row


class GuidedDecoder(StepDecoder):
    """A `StepDecoder` with classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598).

    Every dance is decoded twice, once told its words and once told none, with the same tokens. The
    policy is that of the logits `untold + guidance x (told - untold)`, stream by stream; with a
    guidance of 1 it is the ordinary one. Training must have left clips untold (`text_dropout`).

    With `rows`, the first streams take values that go together, those of one of the rows: drawn by
    the sum of the streams' log-probabilities over the `row_temperature`. Streams that say the same
    in many ways are counted many times in that sum, which is why it is high.

    Args:
        model: the follower, one that hears words.
        guidance: 0 ignores the words, above 1 exaggerates them.
        look_ahead: tokens of future that the conditions may use; None is their maximum.
        rows: `(R, G)`, of which the first G streams take one; these are sampled together.
    """

    def __init__(
        self,
        model: MultiStreamGPT,
        guidance: float,
        look_ahead: LookAhead = None,
        rows: Int[Tensor, "R G"] | None = None,
    ) -> None:
        super().__init__(model, look_ahead)
        self.guidance, self.rows = guidance, rows
        self._bits: Tensor | None = None  # (G * V, R), one-hot classes of the rows
        if rows is not None:
            blocks = model.heads.blocks
            together = blocks[0].stop if model.heads.see_earlier else model.streams
            if model.positions_per_step > 1 or rows.shape[1] > together:
                raise InputError(
                    f"the first {rows.shape[1]} streams are to be rows that are known, and this "
                    f"model samples {together} together; train one with head_blocks that begin "
                    "with all of them, or draw the streams freely"
                )

    def start(
        self,
        conditions: Mapping[str, Tensor],
        live: Collection[str] = (),
        text: Tensor | None = None,
    ) -> None:
        """Begin a new batch of dances; arguments and errors as for `StepDecoder.start`."""
        twice = None if text is None else torch.cat([text, torch.zeros_like(text)])
        super().start(conditions, live, twice)

    def feed(self, conditions: Mapping[str, Tensor], last: bool = False) -> None:
        """Take in more of some conditions; arguments and errors as for `StepDecoder.feed`."""
        super().feed({name: _twice(x) for name, x in conditions.items()}, last)

    def sample(
        self,
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        generator: torch.Generator | None = None,
        given: Int[Tensor, "B S"] | None = None,
    ) -> SampledStep:
        """Decode the next step and return its tokens."""
        step = super().sample(sampling, generator, None if given is None else _twice(given))
        return SampledStep(*(part.chunk(2)[0] for part in step))

    def step(self, previous: Int[Tensor, "B S"] | None = None) -> tuple[Tensor, ...]:
        """Return the guided logits of every stream; arguments and errors as for `StepDecoder`."""
        logits = super().step(None if previous is None else _twice(previous))
        return tuple(self._guided(part) for part in logits)

    def _choose(
        self,
        first: int,
        logits: Tensor,
        sampling: SamplingConfig,
        generator: torch.Generator | None,
        given: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        guided = self._guided(logits)
        picked = None if given is None else given.chunk(2)[0]
        if first == 0 and self.rows is not None and picked is None:
            picked = self._with_known_row(guided, sampling, generator)
        tokens, likely = choose(guided, sampling, generator, picked)
        return _twice(tokens), _twice(likely)

    def _guided(self, logits: Tensor) -> Tensor:
        """Return the logits of each dance, of those that are told and untold."""
        told, untold = logits.float().chunk(2)
        exists = untold > IMPOSSIBLE  # of smaller streams the rest is filled up
        return untold + self.guidance * torch.where(exists, told - untold, 0.0)

    def _with_known_row(
        self, logits: Tensor, sampling: SamplingConfig, generator: torch.Generator | None
    ) -> Tensor:
        """Return tokens of which the first streams are one of the rows."""
        assert self.rows is not None
        rows, groups = self.rows.to(logits.device), self.rows.shape[1]
        if self._bits is None or self._bits.device != logits.device:
            # As a product with the rows' bits: to gather them one by one takes far longer.
            self._bits = F.one_hot(rows).flatten(1).to(logits).T.contiguous()
        each = F.log_softmax(logits[:, :groups], dim=-1)[..., : len(self._bits) // groups]
        scores = each.clamp_min(_LEAST).flatten(1) @ self._bits
        heat = sampling.row_temperature if sampling.temperature else 0.0
        row, _ = choose(scores, SamplingConfig(temperature=heat), generator)
        rest, _ = choose(logits[:, groups:], sampling, generator)
        return torch.cat([rows[row], rest], dim=1)


def _twice(x: Tensor) -> Tensor:
    return torch.cat([x, x])
