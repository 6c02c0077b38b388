"""The models that can be a follower, told apart by their `architecture`."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Tag
from torch import nn

from duet_rl.config import Config, validate
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig, Hearing
from duet_rl.models.duolando import DuolandoGPT, DuolandoGPTConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.models.window_gpt import WindowGPT, WindowGPTConfig

FollowerGPT: TypeAlias = MultiStreamGPT | WindowGPT
AnyGPTConfig: TypeAlias = MultiStreamGPTConfig | WindowGPTConfig
_ARCHITECTURE = "architecture"
_DEFAULT = "multistream"


def _architecture(values: Any) -> str:
    if isinstance(values, Config):
        return str(getattr(values, _ARCHITECTURE))
    return str(values.get(_ARCHITECTURE, _DEFAULT)) if isinstance(values, Mapping) else _DEFAULT


FollowerGPTConfig: TypeAlias = Annotated[
    Annotated[MultiStreamGPTConfig, Tag("multistream")]
    | Annotated[DuolandoGPTConfig, Tag("duolando")]
    | Annotated[BailandoGPTConfig, Tag("bailando")],
    Discriminator(_architecture),
]
"""Settings of any model; where `architecture` is not said, of a `MultiStreamGPT`."""


class _Holder(Config):
    gpt: FollowerGPTConfig


def read_gpt_config(values: Mapping[str, Any], source: str = "") -> AnyGPTConfig:
    """Return the settings of a follower's model from plain values.

    Raises:
        InputError: an unknown architecture or key, or a value of the wrong kind.
    """
    return validate(_Holder, {"gpt": dict(values)}, source).gpt


def build_gpt(config: AnyGPTConfig) -> FollowerGPT:
    """Return a model of these settings, untrained."""
    if isinstance(config, DuolandoGPTConfig):
        return DuolandoGPT(config)
    if isinstance(config, BailandoGPTConfig):
        return BailandoGPT(config)
    assert isinstance(config, MultiStreamGPTConfig)
    return MultiStreamGPT(config)


def hearing_of(config: AnyGPTConfig) -> Hearing:
    """Return which music features a model of these settings hears."""
    return config.hears if isinstance(config, BailandoGPTConfig) else "duolando"


def value_head(gpt: FollowerGPT) -> nn.Module | None:
    """Return what foretells rewards, if the model has such a part."""
    if isinstance(gpt, MultiStreamGPT):
        return gpt.value
    return gpt.critic if isinstance(gpt, BailandoGPT) else None
