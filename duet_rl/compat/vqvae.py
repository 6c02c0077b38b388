"""Duolando's VQ-VAEs: their state dicts become our tokenizers, and back (spec 3.3 and 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duet_rl.body.axes import UpAxis
from duet_rl.body.skeleton import PARTS
from duet_rl.compat.state import (
    numbers_in,
    plain_state,
    require_shapes,
    single_precision,
    size_of,
    values_in,
)
from duet_rl.config import load_preset, merge, validate
from duet_rl.errors import InputError
from duet_rl.tokenizers.conv import HALVINGS
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.tokenizer import DuetCodecConfig, Tokenizer
from duet_rl.tokenizers.vqvae import PartVQVAE

PRESET = "duolando"  # holds what the state dicts do not tell
PART_NAMES = dict(zip(PARTS, ("up", "down", "lhand", "rhand"), strict=True))
_DECODERS = {  # of each of our heads
    "positions": "decoders",
    "rotations": "decoders_rot",
    "velocity": "decoders_root",
    "placement": "decoders",
}
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


def pose_tokenizer(state: Mapping[str, Any], stored: Any = None, up: UpAxis = "z") -> PoseTokenizer:
    """Return the pose tokenizer of an original state dict (`SepVQVAEXM`), ready to train on.

    Sizes are those of the tensors. The moving averages, which the original does not save, begin
    anew at the codes.

    Args:
        state: the original's tensors, with or without the prefix `module.`.
        stored: the config in the original's file.
        up: the axis that pointed up in the data that it was trained on.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape.
    """
    tensors = plain_state(state)
    sizes = {part: _sizes(tensors, f"vqvae_{name}.", stored) for part, name in PART_NAMES.items()}
    parts = {"upper": sizes["upper"], "lower": sizes["lower"], "hand": sizes["left_hand"]}
    config = _codec_config({"frame": {"up": up}, "pose": {**parts, "zero_first_joints": True}})
    return _filled(PoseTokenizer(config), tensors)


def placement_tokenizer(
    state: Mapping[str, Any], stored: Any = None, up: UpAxis = "z"
) -> PlacementTokenizer:
    """Return the placement tokenizer of an original state dict (`VQVAE`), ready to train on.

    The original has no skeleton; a decoded follower has that of `default_skeleton`. Arguments and
    errors are those of `pose_tokenizer`.
    """
    tensors = plain_state(state)
    sizes = {"vqvae": _sizes(tensors, "", stored)}
    config = _codec_config({"frame": {"up": up}, "placement": sizes})
    return _filled(PlacementTokenizer(config), tensors)


def original_state(tokenizer: Tokenizer) -> dict[str, Tensor]:
    """Return a tokenizer's weights and codes under the original's names.

    Raises:
        InputError: it has layers or levels that the original does not have.
    """
    own = tokenizer.state_dict()
    keys = original_keys(tokenizer)
    centred = any(vqvae.config.centre for vqvae in _vqvaes(tokenizer).values())
    if centred or not own.keys() >= set(keys.values()):
        raise InputError(
            "the original has one decoder a head, one level, narrow ends and no means; "
            f"only a tokenizer trained with the preset {PRESET!r} becomes one of it"
        )
    return {theirs: own[ours] for theirs, ours in keys.items()}


def original_keys(tokenizer: Tokenizer) -> dict[str, str]:
    """Return our key by the original's key, for every tensor that the original saves."""
    return {
        f"{_their_prefix(prefix)}{theirs}": f"{prefix}.{ours}"
        for prefix, vqvae in _vqvaes(tokenizer).items()
        for theirs, ours in _part_keys(vqvae).items()
    }


def _filled(tokenizer: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the tokenizer with the tensors in it, after a check of every key and shape."""
    state = tokenizer.state_dict()
    keys = original_keys(tokenizer)
    require_shapes(tensors, {theirs: state[ours].shape for theirs, ours in keys.items()})
    state |= {ours: single_precision(tensors[theirs]) for theirs, ours in keys.items()}
    for prefix, vqvae in _vqvaes(tokenizer).items():
        codebook = f"{prefix}.{_CODEBOOK}"
        codes = state[f"{codebook}.codebook"]
        state[f"{codebook}.ema_sum"] = codes.clone()
        state[f"{codebook}.ema_count"] = torch.ones(len(codes))
        # Not zero, or the first training batch would overwrite the codes.
        state[f"{codebook}.updates"] = torch.tensor(1)
        for mean in ("input_mean", *(f"head_means.{head}" for head in vqvae.heads)):
            state[f"{prefix}.{mean}.settled"] = torch.tensor(1)  # at zero: it has none
    tokenizer.load_state_dict(state)
    return tokenizer.eval()


def _sizes(tensors: Mapping[str, Tensor], prefix: str, stored: Any) -> dict[str, Any]:
    """Return the settings of one part's VQ-VAE, as far as its tensors and config tell."""
    encoder, decoder = f"{prefix}{_ENCODER}.model", f"{prefix}decoders.0.level_blocks.0.model"
    depth = 0
    while any(key.startswith(f"{encoder}.0.1.model.{depth}.") for key in tensors):
        depth += 1
    ends = (f"{encoder}.0.0.weight", f"{encoder}.0.0.bias", f"{decoder}.0.bias")
    latents = (f"{encoder}.2.weight", f"{encoder}.2.bias")
    sizes = {
        "width": size_of(tensors, *((key, 0) for key in ends)),
        "code_width": size_of(tensors, *((key, 0) for key in latents), (f"{decoder}.0.weight", 1)),
        "codes": size_of(tensors, (f"{prefix}{_CODES}", 0)),
    }
    known = {name: size for name, size in sizes.items() if size is not None}
    base = _codec_config({}).placement.vqvae
    told = {name: _told(stored, names, getattr(base, name)) for name, names in _STORED.items()}
    for name, unlike in _UNLIKE.items():
        if any(unlike(value) for value in values_in(stored, (name,))):
            raise InputError(f"the stored config has another {name} than Duolando; not supported")
    return {**known, "depth": depth, **told}


def _told(stored: Any, names: Sequence[str], default: float) -> float:
    """Return the one number that the stored config has under `names`, or else the default."""
    found = numbers_in(stored, names) or {default}
    if len(found) > 1:
        raise InputError(
            f"the stored config has {names[0]} = {sorted(found)}; give a file of one training"
        )
    return found.pop()


def _codec_config(values: Mapping[str, Any]) -> DuetCodecConfig:
    return validate(DuetCodecConfig, merge(load_preset(PRESET)["codec"], values), PRESET)


def _vqvaes(tokenizer: Tokenizer) -> dict[str, PartVQVAE]:
    """Return the VQ-VAEs of a tokenizer by their prefix in its state dict."""
    return {
        name: module for name, module in tokenizer.named_modules() if isinstance(module, PartVQVAE)
    }


def _their_prefix(prefix: str) -> str:
    _, dot, part = prefix.rpartition(".")
    return f"vqvae_{PART_NAMES[part]}." if dot else ""


def _part_keys(vqvae: PartVQVAE) -> dict[str, str]:
    """Return our key by the original's, of one part's VQ-VAE."""
    layers = _encoder_layers(vqvae.config.depth)
    for head in vqvae.heads:
        layers |= _decoder_layers(f"{_DECODERS[head]}.0", f"decoders.{head}", vqvae.config.depth)
    keys = {
        f"{theirs}.{kind}": f"{ours}.conv.{kind}"
        for theirs, ours in layers.items()
        for kind in ("weight", "bias")
    }
    return keys | {_CODES: f"{_CODEBOOK}.codebook"}


def _encoder_layers(depth: int) -> dict[str, str]:
    """Return our layer by the original's: twice a stride and residual blocks, then the end."""
    layers: dict[str, str] = {}
    for stage in range(HALVINGS):
        first = stage * (depth + 1)
        layers[f"{_ENCODER}.model.{stage}.0"] = f"encoder.layers.{first}"
        layers |= _blocks(f"{_ENCODER}.model.{stage}.1", "encoder.layers", first + 1, depth)
    return layers | {f"{_ENCODER}.model.{HALVINGS}": f"encoder.layers.{HALVINGS * (depth + 1)}"}


def _decoder_layers(theirs: str, ours: str, depth: int) -> dict[str, str]:
    """Return our layer by the original's: a start, twice blocks and an upsampling, the end."""
    block, chain = f"{theirs}.level_blocks.0.model", f"{ours}.layers"
    layers = {f"{block}.0": f"{chain}.0"}
    for stage in range(HALVINGS):
        first = 1 + stage * (depth + 1)
        layers |= _blocks(f"{block}.{stage + 1}.0", chain, first, depth)
        layers[f"{block}.{stage + 1}.1"] = f"{chain}.{first + depth}"
    return layers | {f"{theirs}.out": f"{chain}.{1 + HALVINGS * (depth + 1)}"}


def _blocks(theirs: str, ours: str, first: int, depth: int) -> dict[str, str]:
    return {
        f"{theirs}.model.{block}.model.{number}": f"{ours}.{first + block}.{name}"
        for block in range(depth)
        for number, name in _BLOCK_LAYERS.items()
    }
