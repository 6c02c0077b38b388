"""The kinds of codec, told apart by their `architecture`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Tag

from duet_rl import checkpoint
from duet_rl.config import Config, parse_yaml
from duet_rl.errors import InputError
from duet_rl.files import require_folder
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.own import OwnCodec, OwnCodecConfig
from duet_rl.tokenizers.part import ARCHITECTURE, DUET, OWN, POSE, READABLE, SOLO, architecture_in
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

AnyCodec: TypeAlias = DuetCodec | SoloCodec  # `ReadableCodec` and `OwnCodec` are `DuetCodec`s
_CODECS: dict[str, type[DuetCodec] | type[SoloCodec]] = {
    DUET: DuetCodec,
    READABLE: ReadableCodec,
    SOLO: SoloCodec,
    OWN: OwnCodec,
}


def _architecture(values: Any) -> str:
    if isinstance(values, Config):
        return str(getattr(values, ARCHITECTURE))
    return architecture_in(values) if isinstance(values, Mapping) else DUET


CodecConfig: TypeAlias = Annotated[
    Annotated[DuetCodecConfig, Tag(DUET)]
    | Annotated[ReadableCodecConfig, Tag(READABLE)]
    | Annotated[SoloCodecConfig, Tag(SOLO)]
    | Annotated[OwnCodecConfig, Tag(OWN)],
    Discriminator(_architecture),
]
"""Settings of any codec; where `architecture` is not said, of a `DuetCodec`."""


def build_codec(config: DuetCodecConfig | SoloCodecConfig) -> AnyCodec:
    """Return a codec of these settings, untrained."""
    return _CODECS[config.architecture](config)  # type: ignore[arg-type]


def load_codec(folder: Path | str) -> AnyCodec:
    """Return the codec saved in `folder`, of any kind, in evaluation mode.

    Raises:
        InputError: no codec is there, of a kind that there is not, or one that does not fit.
    """
    pose = require_folder(folder, "a codec") / POSE
    try:
        stored = parse_yaml((pose / checkpoint.CONFIG).read_text(), str(pose / checkpoint.CONFIG))
    except OSError as error:
        raise InputError(
            f"{folder} holds no codec: {pose / checkpoint.CONFIG} is missing; give a folder in "
            "which `duet-rl pretrain pose` and `translation` have finished"
        ) from error
    found = architecture_in(stored)
    if found not in _CODECS:
        raise InputError(
            f"{pose} is part of a codec of architecture {found!r}; this version knows "
            f"{', '.join(map(repr, _CODECS))}: update"
        )
    return _CODECS[found].load(folder)
