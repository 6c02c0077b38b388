"""The names of PGR2M's tokenizer in its own checkpoints and in ours."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duet_rl.compat.state import (
    numbers_in,
    plain_state,
    require_shapes,
    single_precision,
    size_of,
)
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.mocap.humanml3d import FEATURES
from duet_rl.tokenizers.codes_vq import CodesVQConfig, CodesVQVAE
from duet_rl.tokenizers.pgr2m import new_tokenizer

_CODES = "pc_encoder.codebook.weight"
_START = "encoder.model.0"
_LEVEL = "rvq.layers"
_SOFT = ".attn.to_q.weight"  # end of a key that soft levels alone have
_SOFT_LAYERS = {  # ours -> theirs, within a level
    "query": "attn.to_q",
    "key": "attn.to_k",
    "value": "attn.to_v",
    "query_norm": "attn.norm_q",
    "key_norm": "attn.norm_k",
}
_NORMS = ("query_norm", "key_norm")
_BLOCK_LAYERS = {"conv1": "wide", "conv2": "narrow"}
_FIRST_STAGE = 2  # number of the first stage in their encoder and decoder
_DILATION_GROWTH = ("dilation_growth_rate", "dilation_growth")
_KINDS = ("weight", "bias")
_LIKE_THEIRS = {  # how the weights were trained: PGR2M's recipe
    "straight_through": "levels",
    "rows": "first",
    "restart": "jukebox",
    "detach_pose": True,
}


def pgr2m_tokenizer(
    state: Mapping[str, Any], classes: Sequence[int], stored: Any = None
) -> CodesVQVAE:
    """Return the tokenizer of an original state dict, ready to use or to train on.

    Sizes are those of the tensors. It sees motion as the original does, normalised by mean and
    standard deviation that lie in files of their own; see `CodesVQVAE.set_normalisation`.

    Args:
        state: the original's tensors, with or without the prefix `module.`.
        classes: of each group of pose codes, which the tensors do not tell apart.
        stored: the options that the original was trained with.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape.
    """
    tensors = plain_state(state)
    config = _config(tensors, stored)
    channels = size_of(tensors, (f"{_START}.weight", 1)) or FEATURES
    vqvae = new_tokenizer(config, channels, tuple(classes))
    ours, keys = vqvae.state_dict(), original_keys(config)
    require_shapes(tensors, {theirs: ours[name].shape for theirs, name in keys.items()})
    ours |= {name: single_precision(tensors[theirs]) for theirs, name in keys.items()}
    for level in range(config.levels):
        _begin(ours, f"quantizer.levels.{level}")
    vqvae.load_state_dict(ours)
    return vqvae.eval()


def original_state(vqvae: CodesVQVAE) -> dict[str, Tensor]:
    """Return our tensors under the original's names; the reverse of `pgr2m_tokenizer`.

    Raises:
        InputError: the motion is normalised within, as it is not in the original.
    """
    if bool((vqvae.mean != 0).any()) or bool((vqvae.std != 1).any()):
        raise InputError(
            "the tokenizer normalises its motion and the original does not; set mean 0 and "
            "standard deviation 1, and give it normalised motion"
        )
    own = vqvae.state_dict()
    return {theirs: own[ours] for theirs, ours in original_keys(vqvae.config).items()}


def original_keys(config: CodesVQConfig) -> dict[str, str]:
    """Return our key by the original's key, for every tensor that the original saves."""
    layers = dict(_conv_layers(config))
    keys = {f"{a}.{kind}": f"{b}.conv.{kind}" for a, b in layers.items() for kind in _KINDS}
    keys[_CODES] = "pose.table.weight"
    for level in range(config.levels):
        theirs, ours = f"{_LEVEL}.{level}", f"quantizer.levels.{level}"
        keys[f"{theirs}.codebook"] = f"{ours}.codebook"
        if config.quantizer == "soft":
            for name, original in _SOFT_LAYERS.items():
                for kind in _KINDS[:1] if name in _NORMS else _KINDS:
                    keys[f"{theirs}.{original}.{kind}"] = f"{ours}.{name}.{kind}"
    return keys


def _conv_layers(config: CodesVQConfig) -> Iterator[tuple[str, str]]:
    """Yield the original's name of every convolution, and ours."""
    depth, stages = config.depth, config.halvings
    yield _START, "encoder.layers.0"
    yield "decoder.model.0", "decoder.layers.0"
    for stage in range(stages):
        number = _FIRST_STAGE + stage
        down = 2 + stage * (depth + 1)  # the stride, then the blocks
        yield f"encoder.model.{number}.0", f"encoder.layers.{down}"
        yield from _blocks(f"encoder.model.{number}.1", "encoder.layers", down + 1, depth)
        up = 2 + stage * (depth + 2)  # the blocks, the repeated frames, their filter
        yield from _blocks(f"decoder.model.{number}.0", "decoder.layers", up, depth)
        yield f"decoder.model.{number}.2", f"decoder.layers.{up + depth + 1}"
    last = 2 + stages * (depth + 2)
    yield f"encoder.model.{_FIRST_STAGE + stages}", f"encoder.layers.{2 + stages * (depth + 1)}"
    yield f"decoder.model.{_FIRST_STAGE + stages}", f"decoder.layers.{last}"
    yield f"decoder.model.{_FIRST_STAGE + stages + 2}", f"decoder.layers.{last + 2}"


def _blocks(theirs: str, ours: str, first: int, depth: int) -> Iterator[tuple[str, str]]:
    for block in range(depth):
        for original, name in _BLOCK_LAYERS.items():
            yield f"{theirs}.model.{block}.{original}", f"{ours}.{first + block}.{name}"


def _begin(state: dict[str, Tensor], level: str) -> None:
    """Let a level, whose codes are there, not be filled anew by the first training batch."""
    if f"{level}.filled" in state:
        state[f"{level}.filled"] = torch.tensor(1)
        return
    codes = state[f"{level}.codebook"]
    state[f"{level}.ema_sum"] = codes.clone()
    state[f"{level}.ema_count"] = torch.ones(len(codes))
    state[f"{level}.updates"] = torch.tensor(1)


def _config(tensors: Mapping[str, Tensor], stored: Any) -> CodesVQConfig:
    """Return the sizes that the tensors tell."""
    halvings = depth = levels = 0
    while f"encoder.model.{_FIRST_STAGE + halvings}.0.weight" in tensors:
        halvings += 1
    while f"encoder.model.{_FIRST_STAGE}.1.model.{depth}.conv1.weight" in tensors:
        depth += 1
    while f"{_LEVEL}.{levels}.codebook" in tensors:
        levels += 1
    if not levels:
        raise InputError(
            f"there is no {_LEVEL}.0.codebook; give the checkpoint of PGR2M's tokenizer"
        )
    books = [f"{_LEVEL}.{level}.codebook" for level in range(levels)]
    growth = numbers_in(stored, _DILATION_GROWTH) or {CodesVQConfig().dilation_growth}
    sizes = {
        "width": size_of(tensors, (f"{_START}.weight", 0), (f"{_START}.bias", 0)),
        "code_width": size_of(tensors, *((key, 1) for key in books), (_CODES, 1)),
        "codes": size_of(tensors, *((key, 0) for key in books)),
    }
    values = {name: size for name, size in sizes.items() if size is not None} | {
        "halvings": halvings,
        "depth": depth,
        "levels": levels,
        "dilation_growth": min(growth),
        "quantizer": "soft" if any(key.endswith(_SOFT) for key in tensors) else "hard",
    }
    return validate(CodesVQConfig, values | _LIKE_THEIRS, "the original's tensors")
