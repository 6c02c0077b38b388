"""Names and sizes of the convolutional VQ-VAEs that Bailando and Duolando share (spec 3.3)."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duet_rl.compat.state import numbers_in, size_of, values_in
from duet_rl.errors import InputError
from duet_rl.tokenizers.vqvae import PartVQVAE, PartVQVAEConfig

_ENCODER = "encoders.0.level_blocks.0"
_CODES = "bottleneck.level_blocks.0.k"
_CODEBOOK = "quantizer.levels.0"
_BLOCK_LAYERS = {1: "wide", 3: "narrow"}  # of a residual block; the others are activations
_STORED = {  # our settings that the stored config tells, and its names for them
    "dilation_growth": ("dilation_growth_rate", "dilation_growth"),
    "decay": ("l_mu", "mu"),
    "commit": ("commit",),
}
_UNLIKE = {  # settings of theirs under which the layers would mean something else
    "dilation_cycle": lambda value: value is not None,
    "reverse_decoder_dilation": lambda value: value is False,
    "vqvae_reverse_decoder_dilation": lambda value: value is False,
}


def halvings_in(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return how often the encoder under `prefix` halves the frames."""
    count = 0
    while f"{prefix}{_ENCODER}.model.{count}.0.weight" in tensors:
        count += 1
    return count


def part_sizes(
    tensors: Mapping[str, Tensor],
    prefix: str,
    stored: Any,
    base: PartVQVAEConfig,
    halvings: int,
) -> dict[str, Any]:
    """Return the settings of one part's VQ-VAE, as far as its tensors and config tell.

    Args:
        tensors: the original's, by name.
        prefix: of the part's names.
        stored: the config in the original's file.
        base: what holds where nobody tells.
        halvings: how often the frames are halved.

    Raises:
        InputError: the stored config contradicts itself or has layers that mean something else.
    """
    encoder, decoder = f"{prefix}{_ENCODER}.model", f"{prefix}decoders.0.level_blocks.0.model"
    depth = 0
    while any(key.startswith(f"{encoder}.0.1.model.{depth}.") for key in tensors):
        depth += 1
    ends = (f"{encoder}.0.0.weight", f"{encoder}.0.0.bias", f"{decoder}.0.bias")
    latents = (f"{encoder}.{halvings}.weight", f"{encoder}.{halvings}.bias")
    sizes = {
        "width": size_of(tensors, *((key, 0) for key in ends)),
        "code_width": size_of(tensors, *((key, 0) for key in latents), (f"{decoder}.0.weight", 1)),
        "codes": size_of(tensors, (f"{prefix}{_CODES}", 0)),
    }
    known = {name: size for name, size in sizes.items() if size is not None}
    told = {name: _told(stored, names, getattr(base, name)) for name, names in _STORED.items()}
    for name, unlike in _UNLIKE.items():
        if any(unlike(value) for value in values_in(stored, (name,))):
            raise InputError(f"the stored config has another {name} than usual; not supported")
    return {**known, "depth": depth, **told}


def part_keys(vqvae: PartVQVAE, decoders: Mapping[str, str], halvings: int) -> dict[str, str]:
    """Return our key by the original's, of one part's VQ-VAE.

    Args:
        vqvae: ours.
        decoders: the original's name of each head's decoder.
        halvings: how often the frames are halved.
    """
    keys = _conv_keys(_encoder_layers(vqvae.config.depth, halvings))
    for head in vqvae.heads:
        theirs, ours = decoders[head], f"decoders.{head}"
        keys |= decoder_keys(theirs, ours, vqvae.config.depth, halvings)
    return keys | {_CODES: f"{_CODEBOOK}.codebook"}


def decoder_keys(theirs: str, ours: str, depth: int, halvings: int) -> dict[str, str]:
    """Return our key by the original's, of one decoder: a start, blocks and upsamplings, the end.

    Args:
        theirs: the original's name of the decoder, e.g. `decoders_root`.
        ours: our name of it.
        depth: residual blocks a stage.
        halvings: how often the frames are halved.
    """
    block, chain = f"{theirs}.0.level_blocks.0.model", f"{ours}.layers"
    layers = {f"{block}.0": f"{chain}.0"}
    for stage in range(halvings):
        first = 1 + stage * (depth + 1)
        layers |= _blocks(f"{block}.{stage + 1}.0", chain, first, depth)
        layers[f"{block}.{stage + 1}.1"] = f"{chain}.{first + depth}"
    return _conv_keys(layers | {f"{theirs}.0.out": f"{chain}.{1 + halvings * (depth + 1)}"})


def begin_averages(state: MutableMapping[str, Tensor], prefix: str, vqvae: PartVQVAE) -> None:
    """Let the moving averages, which the original does not save, begin anew at the codes.

    Args:
        state: ours, changed in place; its codes are those of the original.
        prefix: of the part's names in it.
        vqvae: the part.
    """
    codebook = f"{prefix}.{_CODEBOOK}"
    codes = state[f"{codebook}.codebook"]
    state[f"{codebook}.ema_sum"] = codes.clone()
    state[f"{codebook}.ema_count"] = torch.ones(len(codes))
    # Not zero, or the first training batch would overwrite the codes.
    state[f"{codebook}.updates"] = torch.tensor(1)
    for mean in ("input_mean", *(f"head_means.{head}" for head in vqvae.heads)):
        state[f"{prefix}.{mean}.settled"] = torch.tensor(1)  # at zero: it has none


def _told(stored: Any, names: Sequence[str], default: float) -> float:
    """Return the one number that the stored config has under `names`, or else the default."""
    found = numbers_in(stored, names) or {default}
    if len(found) > 1:
        raise InputError(
            f"the stored config has {names[0]} = {sorted(found)}; give a file of one training"
        )
    return found.pop()


def _encoder_layers(depth: int, halvings: int) -> dict[str, str]:
    """Return our layer by the original's: strides and residual blocks in turn, then the end."""
    layers: dict[str, str] = {}
    for stage in range(halvings):
        first = stage * (depth + 1)
        layers[f"{_ENCODER}.model.{stage}.0"] = f"encoder.layers.{first}"
        layers |= _blocks(f"{_ENCODER}.model.{stage}.1", "encoder.layers", first + 1, depth)
    return layers | {f"{_ENCODER}.model.{halvings}": f"encoder.layers.{halvings * (depth + 1)}"}


def _blocks(theirs: str, ours: str, first: int, depth: int) -> dict[str, str]:
    return {
        f"{theirs}.model.{block}.model.{number}": f"{ours}.{first + block}.{name}"
        for block in range(depth)
        for number, name in _BLOCK_LAYERS.items()
    }


def _conv_keys(layers: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{theirs}.{kind}": f"{ours}.conv.{kind}"
        for theirs, ours in layers.items()
        for kind in ("weight", "bias")
    }
