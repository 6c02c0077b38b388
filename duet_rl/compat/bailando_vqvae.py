"""Bailando's VQ-VAEs: their state dicts become our solo codec, and back (spec 2, 3 and 7)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from duet_rl.compat.jukebox import (
    begin_averages,
    decoder_keys,
    halvings_in,
    part_keys,
    part_sizes,
)
from duet_rl.compat.state import plain_state, require_shapes, single_precision
from duet_rl.config import load_preset, merge, validate
from duet_rl.errors import InputError
from duet_rl.tokenizers.smpl_body import SMPL_PARTS
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_pose import SoloPoseTokenizer, sizes_of
from duet_rl.tokenizers.solo_settings import FPS, SoloCodecConfig
from duet_rl.tokenizers.solo_translation import LEGS
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

PRESET = "bailando"  # holds what the state dicts do not tell
PART_NAMES = dict(zip(SMPL_PARTS, ("vqvae_up.", "vqvae_down."), strict=True))
_DECODERS = {"positions": "decoders"}  # of the head that every part has
_VELOCITY, _ROTATIONS = "decoders_root", "decoders_rot"
_POSE, _TRANSLATION = "pose.", "translation."  # prefixes of our codec's two parts


def pose_tokenizer(state: Mapping[str, Any], stored: Any = None) -> SoloPoseTokenizer:
    """Return the pose tokenizer of an original state dict (`SepVQVAE`), ready to train on.

    Sizes are those of the tensors. The moving averages, which the original does not save, begin
    anew at the codes.

    Args:
        state: the original's tensors, with or without the prefix `module.`.
        stored: the config in the original's file.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape.
    """
    tensors = plain_state(state)
    codec = SoloCodec(_config(tensors, stored))
    keys = {theirs: ours for theirs, ours in original_keys(codec).items() if ours.startswith(_POSE)}
    return _filled(codec, tensors, keys).pose


def solo_codec(state: Mapping[str, Any], stored: Any = None) -> SoloCodec:
    """Return the codec of an original state dict (`SepVQVAER` or `SepVQVAERmix`).

    The original has no skeleton and begins at the height 0; a decoded dancer has the bones of
    `default_skeleton` and begins at the height of its hips. Arguments and errors are those of
    `pose_tokenizer`.
    """
    tensors = plain_state(state)
    codec = SoloCodec(_config(tensors, stored))
    return _filled(codec, tensors, original_keys(codec))


def original_state(codec: SoloCodec) -> dict[str, Tensor]:
    """Return a codec's weights and codes under the original's names.

    Raises:
        InputError: it has layers or levels that the original does not have.
    """
    own, keys = codec.state_dict(), original_keys(codec)
    centred = any(size.centre for size in sizes_of(codec.config).values())
    learned = {name for name, _ in codec.named_parameters()}
    if centred or not own.keys() >= set(keys.values()) >= learned:
        raise InputError(
            "the original has one level, narrow ends and no means; only a codec trained with the "
            f"preset {PRESET!r} becomes one of it"
        )
    return {theirs: own[ours] for theirs, ours in keys.items()}


def original_keys(codec: SoloCodec) -> dict[str, str]:
    """Return our key by the original's key, for every tensor that the original saves."""
    halvings, keys = codec.config.halvings, dict[str, str]()
    for part, theirs in PART_NAMES.items():
        own = part_keys(codec.pose.part(part), _DECODERS, halvings)
        keys |= {f"{theirs}{key}": f"{_POSE}parts.{part}.{ours}" for key, ours in own.items()}
        hung = {_ROTATIONS: f"rotation_decoders.{part}"} if codec.config.rotations else {}
        if part == LEGS:
            hung[_VELOCITY] = "velocity_decoder"
        for name, ours in hung.items():
            depth = sizes_of(codec.config)[part].depth
            keys |= decoder_keys(f"{theirs}{name}", f"{_TRANSLATION}{ours}", depth, halvings)
    return keys


def _filled(codec: SoloCodec, tensors: Mapping[str, Tensor], keys: Mapping[str, str]) -> SoloCodec:
    """Return the codec with the tensors in it, after a check of every key and shape."""
    state = codec.state_dict()
    require_shapes(tensors, {theirs: state[ours].shape for theirs, ours in keys.items()})
    state |= {ours: single_precision(tensors[theirs]) for theirs, ours in keys.items()}
    for part in SMPL_PARTS:
        begin_averages(state, f"{_POSE}parts.{part}", codec.pose.part(part))
    codec.load_state_dict(state)
    return codec.eval()


def _config(tensors: Mapping[str, Tensor], stored: Any) -> SoloCodecConfig:
    """Return the settings of the codec that the tensors make."""
    base = _codec_config({})
    halvings = halvings_in(tensors, PART_NAMES[LEGS])
    rates = {base.fps: base.halvings, FPS: (FRAMES_PER_TOKEN).bit_length() - 1}
    fitting = [fps for fps, count in rates.items() if count == halvings]
    if halvings and not fitting:
        raise InputError(
            f"the encoder makes tokens of {2**halvings} frames; Bailando's are of "
            f"{2**base.halvings}"
        )
    values: dict[str, Any] = {
        part: part_sizes(tensors, theirs, stored, sizes_of(base)[part], halvings or base.halvings)
        for part, theirs in PART_NAMES.items()
    }
    if any(f".{_ROTATIONS}." in key for key in tensors):  # of which Bailando++ poses its body
        values |= {"rotations": True, "decoding": {"joints": "rotations"}}
    return _codec_config({**values, "fps": (fitting or [base.fps])[0]})


def _codec_config(values: Mapping[str, Any]) -> SoloCodecConfig:
    return validate(SoloCodecConfig, merge(load_preset(PRESET)["codec"], values), PRESET)
