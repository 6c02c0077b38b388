"""A follower that dances one step at a time: for rollouts, and live beside a leader."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.attention import Rotation
from duet_rl.models.condition_feed import ConditionFeed
from duet_rl.models.conditions import LookAhead
from duet_rl.models.kv_cache import KVCache
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig, choose, stack_logits
from duet_rl.models.prompt import Heard
from duet_rl.models.streams import GOES_ON, check_tokens
from duet_rl.models.text import check_batch

ROTATIONS = 256  # positions whose rotary angles are computed at once
ENDLESS = 1 << 30  # steps that are ready where no condition has to come


class SampledStep(NamedTuple):
    """Tokens of one step of a batch of clips and what the policy thought of them."""

    tokens: Int[Tensor, "B S"]
    log_probs: Float[Tensor, "B S"]  # of the tokens, under the policy that sampled them
    values: Float[Tensor, "B S"]  # the model's expected returns


class StepDecoder:
    """A follower that dances step by step; every step costs the same, however long the dance.

    Conditions are encoded once, when they come; keys and values of past positions are kept in a
    ring. What it computes equals the model's forward pass over the whole clip. It always runs in
    evaluation mode and without gradients; its answers are ordinary tensors.

    Args:
        model: the follower; its weights may be replaced between two dances.
        look_ahead: tokens of future that the conditions may use, for all or by name; None is
            their maximum.
        dtype: `torch.bfloat16` runs the matrix products in that type.

    A recording: `start(conditions)`, then `sample()` while `ready`. A live leader:
    `start({"music": song}, live={"leader"})`, then `feed` and `sample` by turns. Words alone:
    `start({}, text=read)`, then `sample()` as long as one likes.
    """

    def __init__(
        self,
        model: MultiStreamGPT,
        look_ahead: LookAhead = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.model = model
        self.look_ahead = look_ahead
        self.dtype = dtype
        self.position = 0  # steps decoded so far
        self._feed = ConditionFeed(model.conditions, look_ahead)
        self._told: Tensor | None = None  # (B, n, D), conditions of the steps to come
        self._rest: Tensor | None = None  # (B, D), told at every step where no condition comes
        self._texts: int | None = None  # how many clips have words
        self._heard: Sequence[Heard] = ()  # keys and values of the words, for each layer
        self._cache: KVCache | None = None
        self._previous: Tensor | None = None  # (B, S), tokens of the last step
        self._rotations: Rotation | None = None
        self._rotations_from = 0

    def start(
        self,
        conditions: Mapping[str, Tensor],
        live: Collection[str] = (),
        text: Tensor | None = None,
    ) -> None:
        """Begin a new batch of dances.

        Args:
            conditions: by name, `(B, T, C)` or tokens `(B, N, S)`, of the entire clips. Optional
                ones may be missing.
            live: names of conditions that are still being made: what is given of them, if
                anything, is their beginning, and `feed` brings the rest.
            text: of each clip, from the `TextReader` of the model's settings; None says nothing.

        Raises:
            InputError: conditions or a text that do not fit the model or each other, or NaN.
        """
        self.position = 0
        self._previous = self._told = self._rest = None
        if self._cache is not None:
            self._cache.clear()
        names = self.model.conditions.names
        self.model.conditions.require(conditions, set(names) - set(live))
        absent = set(names) - set(conditions) - set(live)
        self._feed = ConditionFeed(self.model.conditions, self.look_ahead, absent)
        self._hear(text)
        if self._feed.endless:
            if self._texts is None:
                raise InputError(
                    "no condition and no text is given, so that nobody knows how many clips are "
                    "wanted; give one text for each, which may be empty"
                )
            with self._running():
                self._rest = self._feed.rest.expand(self._texts, -1)
        for last in (True, False):
            given = {name: x for name, x in conditions.items() if (name not in live) == last}
            self.feed(given, last)

    def feed(self, conditions: Mapping[str, Tensor], last: bool = False) -> None:
        """Take in the next portion of some live conditions.

        Args:
            conditions: by name, right after what came before; a portion may be empty.
            last: no more of these comes, their last steps do without future.

        Raises:
            InputError: conditions that do not fit the model or hold NaN.
        """
        with self._running():
            self._feed.feed(conditions, last)
            if self._feed.ready:
                fresh = self._feed.take()
                if self._texts is not None:
                    check_batch(self._texts, len(fresh))
                old = self._told
                self._told = fresh if old is None else torch.cat([old, fresh], dim=1)

    def look(self, look_ahead: LookAhead) -> None:
        """Use so much future from the next `feed` on, also in the midst of a dance."""
        self.look_ahead = look_ahead
        self._feed.look(look_ahead)

    @property
    def ready(self) -> int:
        """How many steps can be decoded with the conditions that have come.

        `ENDLESS` where there are none but words.
        """
        if self._rest is not None:
            return ENDLESS
        return 0 if self._told is None else self._told.shape[1]

    def sample(
        self,
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        generator: torch.Generator | None = None,
        given: Int[Tensor, "B S"] | None = None,
    ) -> SampledStep:
        """Decode the next step and return its tokens.

        Args:
            sampling: temperature and cut-offs.
            generator: the source of chance.
            given: `(B, S)`, take these tokens instead of drawing; they become the past.

        Raises:
            InputError: no conditions are ready, or `given` tokens do not fit the model.
        """
        told = self._next_told()
        if given is not None:
            self._check(given, told)
        with self._running():
            step = self._sample(told, sampling, generator, given)
            self._finish(step.tokens)
        return SampledStep(*(part.clone() for part in step))

    def go_on(self) -> None:
        """Let dances that have just said that they are over go on, as if they had not."""
        if self.model.config.stop and self._previous is not None:
            with self._running():
                going = torch.full_like(self._previous[:, -1:], GOES_ON)
                self._previous = torch.cat([self._previous[:, :-1], going], dim=1)

    def step(self, previous: Int[Tensor, "B S"] | None = None) -> tuple[Tensor, ...]:
        """Return the logits `(B, V)` of every stream at the next step, for one's own sampler.

        Args:
            previous: `(B, S)`, the tokens that were taken at the step before; None at the first.

        Raises:
            InputError: the streams of a step see each other, so that `sample` has to choose.
        """
        if not self.model.streams_independent:
            raise InputError(
                "the streams of a step see each other in this model, so their logits do not "
                "exist before their tokens; use sample"
            )
        if (previous is None) != (self.position == 0):
            raise InputError(
                f"step {self.position} was asked for; give the tokens of the step before, and "
                "none at step 0"
            )
        told = self._next_told()
        if previous is not None:
            self._check(previous, told)
            self._previous = previous.clone()
        with self._running():
            logits = self.model.heads.independent(self._advance(told))
            self._finish(None)
        return tuple(part.clone() for part in logits)

    def _sample(
        self,
        told: Tensor,
        sampling: SamplingConfig,
        generator: torch.Generator | None,
        given: Tensor | None,
    ) -> SampledStep:
        model = self.model
        if model.streams_independent:
            hidden = self._advance(told)
            logits = stack_logits(model.heads.independent(hidden))
            tokens, likely = self._choose(0, logits, sampling, generator, given)
            return SampledStep(tokens, likely, model.value(hidden[:, None]).float())
        tokens = told.new_zeros(len(told), model.streams, dtype=torch.int64)
        likely_each, values = [], []
        seen = torch.zeros_like(told)
        for index, streams in enumerate(model.heads.blocks):
            if index == 0 or model.positions_per_step > 1:
                hidden = self._advance(told, index, tokens)
                value = model.value(hidden[:, None])
            columns = slice(streams.start, streams.stop)
            logits = stack_logits(model.heads.block(index, hidden, seen))
            picked = None if given is None else given[:, columns]
            tokens[:, columns], likely = self._choose(
                streams.start, logits, sampling, generator, picked
            )
            seen = model.heads.see(index, tokens, seen)
            likely_each.append(likely)
            values.append(value[:, columns])
        return SampledStep(tokens, torch.cat(likely_each, dim=1), torch.cat(values, dim=1).float())

    def _choose(
        self,
        first: int,
        logits: Tensor,
        sampling: SamplingConfig,
        generator: torch.Generator | None,
        given: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the tokens of the streams from `first` on, and their log-probabilities."""
        return choose(logits, sampling, generator, given)

    def _advance(self, told: Tensor, stream: int = 0, taken: Tensor | None = None) -> Tensor:
        """Run the trunk at one position; return its state `(B, D)`."""
        model, cache = self.model, self._cache_for(told)
        x = model.input_of_step(told, self.position, self._previous, stream, taken)
        rotation = self._rotation(cache.position)
        return model.trunk.step(x[:, None], rotation, cache, self._heard)[:, 0]

    def _hear(self, text: Tensor | None) -> None:
        """Compute keys and values of the words, once for all steps."""
        self._texts, self._heard = None if text is None else len(text), ()
        with self._running():
            prompt = self.model.prompt(text, self._texts or 1)
            if prompt is not None:
                self._heard = self.model.trunk.read(prompt)

    def _next_told(self) -> Tensor:
        """Return the encoded conditions of the next step, `(B, D)`."""
        if not self.ready:
            raise InputError(
                f"step {self.position} has no conditions yet: start a clip, or feed more of it "
                "(as far ahead as the model looks)"
            )
        self.model.check_steps(self.position + 1)
        if self._rest is not None:
            return self._rest
        assert self._told is not None
        return self._told[:, 0]

    def _finish(self, tokens: Tensor | None) -> None:
        if self._told is not None:
            self._told = self._told[:, 1:]
        self._previous = tokens
        self.position += 1

    def _check(self, tokens: Tensor, told: Tensor) -> None:
        check_tokens(tokens[:, None], self.model.config.classes, "the given tokens")
        if len(tokens) != len(told):
            raise InputError(f"tokens of {len(tokens)} clips were given; {len(told)} are dancing")

    def _cache_for(self, told: Tensor) -> KVCache:
        cache = self._cache
        if cache is None or cache.keys.shape[1] != len(told):
            assert self.position == 0
            config = self.model.config
            cache = self._cache = KVCache(
                layers=config.layers,
                batch=len(told),
                heads=config.heads,
                window=self.model.window,
                channels=config.width // config.heads,
                device=told.device,
                dtype=self.dtype,
            )
        return cache

    def _rotation(self, position: int) -> Rotation | None:
        first = position - position % ROTATIONS
        if self._rotations is None or self._rotations_from != first:
            places = torch.arange(first, first + ROTATIONS, device=self.model.start.device)
            self._rotations = self.model.rotation(places)
            self._rotations_from = first
        if self._rotations is None:
            return None
        row = slice(position - first, position - first + 1)
        return Rotation(self._rotations.cos[row], self._rotations.sin[row])

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Evaluation mode, no gradients, and the wanted type of the matrix products."""
        training = self.model.training
        if training:
            self.model.eval()
        half = self.dtype != torch.float32
        device = self.model.start.device.type
        try:
            with torch.inference_mode(), torch.autocast(device, self.dtype, enabled=half):
                yield
        finally:
            if training:
                self.model.train()
