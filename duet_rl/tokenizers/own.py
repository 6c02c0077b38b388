"""A codec whose tokenizer of bodies is one's own: a class that settings name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from duet_rl import checkpoint
from duet_rl.config import Config, import_named, validate
from duet_rl.errors import InputError
from duet_rl.tokenizers.body_tokenizer import BodyTokenizer
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.part import OWN, POSE
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

_KEY = "codec.own.tokenizer"


class OwnTokenizerConfig(Config):
    """Which class it is, and what it is told."""

    tokenizer: str | None = None  # `package.module:Class` of a subclass of `OwnTokenizer`
    settings: dict[str, Any] = Field(default_factory=dict)  # whatever it reads of `self.settings`


class OwnCodecConfig(DuetCodecConfig):
    """Everything about motion tokens whose bodies a class of one's own makes.

    Of `pose` there are the weights of the losses, for tokenizers that take them.
    """

    architecture: Literal["own"] = "own"  # type: ignore[assignment]
    own: OwnTokenizerConfig = OwnTokenizerConfig()


class OwnTokenizer(BodyTokenizer):
    """Base of tokenizers of bodies of one's own; `docs/howto/tokenizer.md` writes one.

    A subclass is made from an `OwnCodecConfig` alone and has `streams`, `encode`, `decode` and
    `loss`. Its weights are kept as those of any module.
    """

    architecture: ClassVar[str] = OWN
    config_class: ClassVar[type[Config]] = OwnCodecConfig
    config: OwnCodecConfig

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `codec.own.settings` says."""
        return self.config.own.settings


class OwnPlacement(PlacementTokenizer):
    """The placement tokenizer beside a tokenizer of one's own."""

    architecture: ClassVar[str] = OWN
    config_class: ClassVar[type[Config]] = OwnCodecConfig


class OwnCodec(DuetCodec):
    """Follower motion to tokens and back, bodies by a class that settings name."""

    placement_class: ClassVar[type[PlacementTokenizer]] = OwnPlacement
    pose: OwnTokenizer
    config: OwnCodecConfig

    def __init__(self, config: OwnCodecConfig) -> None:
        self.pose_class = tokenizer_of(config.own)  # type: ignore[misc]
        super().__init__(config)

    @classmethod
    def pose_class_in(cls, folder: Path) -> type[BodyTokenizer]:
        """Return the class whose weights a folder holds.

        Raises:
            InputError: it cannot be imported; the message names it.
        """
        stored = checkpoint.load(folder, POSE)
        config = validate(OwnCodecConfig, stored.config, source=str(stored.path))
        return tokenizer_of(config.own, f"{stored.path}: own.tokenizer")


def tokenizer_of(config: OwnTokenizerConfig, key: str = _KEY) -> type[OwnTokenizer]:
    """Return the class that settings name.

    Args:
        config: what they say.
        key: where, for errors.

    Raises:
        InputError: none is named, there is no such class, or it is no subclass of `OwnTokenizer`.
    """
    if config.tokenizer is None:
        raise InputError(
            f"codec.architecture is own, and {key} names none; write {key}=package.module:Class"
        )
    found = import_named(config.tokenizer, key)
    if not (isinstance(found, type) and issubclass(found, OwnTokenizer)):
        raise InputError(
            f"{key} is {config.tokenizer!r}, which is no class of tokenizers; derive it from "
            "duet_rl.tokenizers.own.OwnTokenizer"
        )
    return found
