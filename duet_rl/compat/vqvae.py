"""Duolando's VQ-VAEs: their state dicts become our tokenizers, and back (spec 3.3 and 4)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from duet_rl.body.skeleton import PARTS
from duet_rl.compat.jukebox import begin_averages, part_keys, part_sizes
from duet_rl.compat.state import plain_state, require_shapes, single_precision
from duet_rl.config import load_preset, merge, validate
from duet_rl.errors import InputError
from duet_rl.mocap.axes import UpAxis
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
        for theirs, ours in part_keys(vqvae, _DECODERS, HALVINGS).items()
    }


def _filled(tokenizer: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the tokenizer with the tensors in it, after a check of every key and shape."""
    state = tokenizer.state_dict()
    keys = original_keys(tokenizer)
    require_shapes(tensors, {theirs: state[ours].shape for theirs, ours in keys.items()})
    state |= {ours: single_precision(tensors[theirs]) for theirs, ours in keys.items()}
    for prefix, vqvae in _vqvaes(tokenizer).items():
        begin_averages(state, prefix, vqvae)
    tokenizer.load_state_dict(state)
    return tokenizer.eval()


def _sizes(tensors: Mapping[str, Tensor], prefix: str, stored: Any) -> dict[str, Any]:
    base = _codec_config({}).placement.vqvae
    return part_sizes(tensors, prefix, stored, base, HALVINGS)


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
