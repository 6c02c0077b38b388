"""What every trainable part of a codec has: a folder, and codebooks that learn."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.config import Config, validate
from duet_rl.errors import InputError
from duet_rl.tokenizers.quantizers import CodebookStatistics, add_statistics, reduce_statistics
from duet_rl.tokenizers.workers import current_micro_batch

ARCHITECTURE = "architecture"  # key of a codec's settings that says which kind it is
DUET, SOLO, READABLE, OWN = "duet", "solo", "readable", "own"
POSE, TRANSLATION = "pose", "translation"  # kinds of parts, and their sub-folders in a codec's
REFINE = "refine"  # kind and sub-folder of the refiner of a readable codec

AnyPart = TypeVar("AnyPart", bound="CodecPart")


@runtime_checkable
class Learns(Protocol):
    """A quantizer whose codebooks follow what joined batches say of them."""

    def update(self, statistics: Sequence[CodebookStatistics]) -> None:
        """Move the codebooks."""


class CodecPart(nn.Module):
    """Base of what is trained by itself and lies in a folder of its own in a codec's."""

    kind: ClassVar[str]
    architecture: ClassVar[str]
    config_class: ClassVar[type[Config]]
    config: Config

    def __init__(self) -> None:
        super().__init__()
        self._settling = False
        self._gathered: list[CodebookStatistics] = []  # of the micro batches of this step so far

    def save(self, folder: Path | str, meta: Mapping[str, Any]) -> Path:
        """Write a checkpoint folder of this part's kind and return its path."""
        return checkpoint.save(
            folder, kind=self.kind, tensors=self.state_dict(), config=self.config, meta=meta
        )

    @classmethod
    def load(cls: type[AnyPart], folder: Path | str) -> AnyPart:
        """Return the part saved in `folder`, in evaluation mode.

        Raises:
            InputError: no checkpoint of this kind, a part of another architecture of codec, or
                weights that do not fit its config.
        """
        stored = checkpoint.load(folder, cls.kind)
        found = architecture_in(stored.config)
        if found != cls.architecture:
            raise InputError(
                f"{folder} holds the {cls.kind} part of a {found} codec, and that of a "
                f"{cls.architecture} codec is wanted; train it with "
                f"codec.architecture={cls.architecture}"
            )
        config = validate(cls.config_class, stored.config, source=str(stored.path))
        part = cls(config)  # type: ignore[call-arg]
        part.make_room(stored.tensors)
        checkpoint.load_module(part, stored.tensors, stored.path)
        return part.eval()

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the sizes of stored tensors where no setting tells them; few parts need it."""

    @torch.no_grad()
    def settle(self, *batch: Any) -> None:
        """Let the first batch fill the means and the codebooks, as a first step would.

        Micro batches cannot do so one by one: what they begin from is that of the whole batch.
        """
        self._settling = True
        self(*batch)
        self._settling = False

    def _learn_codebooks(
        self, learned: Iterable[tuple[Learns, Sequence[CodebookStatistics]]]
    ) -> None:
        """Move all codebooks by the joined batch of all workers, told in one message.

        Of several micro batches the last one moves them, by what all of them say.

        Args:
            learned: quantizers, each with what this batch says of its codebooks.
        """
        if self._settling:
            return
        pairs = [(quantizer, list(batches)) for quantizer, batches in learned]
        own = [batch for _, batches in pairs for batch in batches]
        self._gathered = add_statistics(self._gathered, own)
        if not current_micro_batch().is_last:
            return
        joined, self._gathered = reduce_statistics(self._gathered), []
        for quantizer, batches in pairs:
            own, joined = joined[: len(batches)], joined[len(batches) :]
            quantizer.update(own)


def architecture_in(config: Mapping[str, Any]) -> str:
    """Return which kind of codec stored settings are of; those that do not say so are a duet's."""
    return str(config.get(ARCHITECTURE, DUET))
