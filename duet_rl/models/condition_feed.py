"""Encode conditions as they come in, so that a follower can dance to a leader who still dances."""

from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.models.conditions import ConditionEncoder, Conditions, LookAhead


class ConditionFeed:
    """Turns conditions of any portion, a token or a whole clip, into vectors of finished steps.

    A step is finished when all the future that its look-ahead may use has come. Whole clip or
    portions, the vectors are the same; a portion costs only itself and its neighbourhood.

    Args:
        conditions: the encoders of a model.
        look_ahead: tokens of future to wait for, for all or by name; None is each one's maximum.
        absent: names of optional conditions that never come.
    """

    def __init__(
        self,
        conditions: Conditions,
        look_ahead: LookAhead = None,
        absent: Collection[str] = (),
    ) -> None:
        ahead = conditions.resolve(look_ahead)
        self.conditions = conditions
        self._inlets = {
            name: _Inlet(conditions[name], ahead[name])
            for name in conditions.names
            if name not in absent
        }

    def feed(self, conditions: Mapping[str, Tensor], last: bool = False) -> None:
        """Take in the next portion of some or all conditions.

        Args:
            conditions: by name, `(B, T, C)` or tokens `(B, N, S)`, right after what came before.
            last: nothing more of these comes; their last steps do without future.

        Raises:
            InputError: unknown or absent condition, wrong shape, another number of clips, or
                values that are not finite.
        """
        for name, features in conditions.items():
            self.conditions[name].config.check(features)
            if name not in self._inlets:
                raise InputError(
                    f"condition {name!r} was not told when the dance began; begin it with that "
                    "condition, or name it as one that comes live"
                )
            if features.is_floating_point() and not bool(features.isfinite().all()):
                raise InputError(f"condition {name!r} holds NaN or infinity; clean the clip first")
        sizes = {features.shape[0] for features in conditions.values()}
        sizes |= {inlet.batch for inlet in self._inlets.values() if inlet.batch is not None}
        if len(sizes) > 1:
            raise InputError(f"conditions of {sorted(sizes)} clips came together; give one number")
        for name, features in conditions.items():
            self._inlets[name].feed(features, last)

    def look(self, look_ahead: LookAhead) -> None:
        """Wait for so much future from the next portion on; vectors that exist stay as they are.

        Less future finishes several steps at once, more of it none for a while.

        Args:
            look_ahead: tokens of future, for all or by name; None is each one's maximum.
        """
        ahead = self.conditions.resolve(look_ahead)
        for name, inlet in self._inlets.items():
            inlet.ahead = ahead[name]

    @property
    def ready(self) -> int:
        """How many finished steps wait to be taken; 0 where no condition comes at all."""
        return min((inlet.ready for inlet in self._inlets.values()), default=0)

    @property
    def endless(self) -> bool:
        """Whether no condition comes at all, so that every step is told the same, `rest`."""
        return not self._inlets

    @property
    def rest(self) -> Float[Tensor, "D"]:
        """What a step is told where no condition comes."""
        return self.conditions({}, 1, {})[0, 0]

    def take(self) -> Float[Tensor, "B N D"]:
        """Return the summed vectors of all finished steps, and forget them."""
        steps, encoded = self.ready, []
        came = {name: inlet.take(steps) for name, inlet in self._inlets.items()}
        shape = next(iter(came.values())).shape
        for name in self.conditions.names:
            absent = name not in came
            encoded.append(self.conditions.absent(name).expand(shape) if absent else came[name])
        return torch.stack(encoded).sum(dim=0)


class _Inlet:
    """One condition: its features that are still needed, and its vectors not yet taken."""

    def __init__(self, encoder: ConditionEncoder, ahead: int) -> None:
        self.encoder = encoder
        self.ahead = ahead
        self.batch: int | None = None
        self.features: Tensor | None = None  # from step `first` on
        self.vectors: Tensor | None = None  # not yet taken
        self.first = 0
        self.encoded = 0  # steps whose vectors exist

    @property
    def ready(self) -> int:
        return 0 if self.vectors is None else self.vectors.shape[1]

    def feed(self, features: Tensor, last: bool) -> None:
        self.batch = features.shape[0]
        if self.features is not None:
            features = torch.cat([self.features, features], dim=1)
        rows = self.encoder.config.rows_per_token
        known = self.first + features.shape[1] // rows
        finished = known if last else known - self.ahead
        if finished > self.encoded:
            vectors = self.encoder(features, self.ahead)
            fresh = vectors[:, self.encoded - self.first : finished - self.first]
            old = self.vectors
            self.vectors = fresh if old is None else torch.cat([old, fresh], dim=1)
            self.encoded = finished
        forget = max(self.encoded - self.encoder.config.look_back - self.first, 0)
        self.features = features[:, forget * rows :]
        self.first += forget

    def take(self, steps: int) -> Tensor:
        assert self.vectors is not None
        taken, self.vectors = self.vectors[:, :steps], self.vectors[:, steps:]
        return taken
