"""The names of PGR2M's base transformer in its own checkpoints and in ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duet_rl.compat.gpt import count_layers, layer_keys
from duet_rl.compat.state import (
    numbers_in,
    plain_state,
    require_shapes,
    single_precision,
    size_of,
)
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.models.pgr2m import PoseCodeGPT, PoseCodeGPTConfig, PoseCodePromptConfig
from duet_rl.models.pgr2m_rows import sinusoids

POSITIONS = "pos_embed.embed"  # end of the name of their fixed positions
_MASK = ".attn.mask"  # end of the names of buffers of theirs, recomputed here
_UNUSED = "trans_base.pos_embedding.weight"  # positions that they have and never add
_TRUNK, _HEAD = "trans_base.blocks", "trans_head.blocks"  # one trunk of ours
_KINDS = ("weight", "bias")
_CLASSIFY = "trans_head.head.weight"
_PAPER = PoseCodeGPTConfig()
_CLOSE = 1e-4  # how far fixed positions may be from those of the formula


def pgr2m_gpt(
    state: Mapping[str, Any],
    classes: Sequence[int],
    stored: Any = None,
    heads: int | None = None,
    prompt_steps: int = _PAPER.prompt_steps,
) -> PoseCodeGPT:
    """Return the base transformer of an original state dict, ready to use or to train on.

    Args:
        state: the original's tensors, with or without the prefix `module.`; masks may be left out.
        classes: of each group of pose codes, which the tensors do not tell apart.
        stored: the options that the original was trained with.
        heads: of attention, if the options do not say so; by default, of a model as wide as the
            published one, as many as that has.
        prompt_steps: vectors of a prompt.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape, or says which size
            is not told.
    """
    tensors = {k: v for k, v in plain_state(state).items() if not k.endswith(_MASK)}
    layers = (count_layers(tensors, f"{_TRUNK}."), count_layers(tensors, f"{_HEAD}."))
    positions = size_of(tensors, (f"trans_base.{POSITIONS}", 0), (_UNUSED, 0))
    widths = [(f"trans_base.{name}.bias", 0) for name in ("tok_emb", "cond_emb")]
    width = size_of(tensors, *widths, (_CLASSIFY, 1))
    values = {
        "classes": tuple(classes),
        "prompt_channels": size_of(tensors, ("trans_base.cond_emb.weight", 1)),
        "prompt_steps": prompt_steps,
        # Also without key words, the original leaves them their places (spec 12, 14).
        "steps": None if positions is None else positions - _PAPER.prompt_steps,
        "width": width,
        "heads": heads_of(stored, heads, _PAPER if width == _PAPER.width else None),
        "layers": sum(layers) or None,
    }
    known = {name: value for name, value in values.items() if value is not None}
    gpt = PoseCodeGPT(validate(PoseCodeGPTConfig, known, "the original's tensors"))
    ours, keys = gpt.state_dict(), original_keys(*layers)
    shapes = shapes_of(ours, keys)
    rows = positions or 0
    shapes[_UNUSED] = (rows, gpt.config.width)
    shapes[f"trans_base.{POSITIONS}"] = (rows, 1, gpt.config.width)
    require_shapes(tensors, shapes)
    require_positions(tensors[f"trans_base.{POSITIONS}"])
    gpt.load_state_dict(joined(tensors, keys))
    return gpt.eval()


def original_keys(trunk_layers: int, head_layers: int) -> dict[str, tuple[str, ...]]:
    """Return for each of our tensors the original ones that it is made of, joined row by row."""
    keys: dict[str, tuple[str, ...]] = {"classify.weight": (_CLASSIFY,)}
    for kind in _KINDS:
        keys[f"embed_prompt.{kind}"] = (f"trans_base.cond_emb.{kind}",)
        keys[f"embed_rows.{kind}"] = (f"trans_base.tok_emb.{kind}",)
        keys[f"trunk.norm.{kind}"] = (f"trans_head.ln_f.{kind}",)
    theirs = [f"{_TRUNK}.{i}" for i in range(trunk_layers)]
    theirs += [f"{_HEAD}.{i}" for i in range(head_layers)]
    for i, name in enumerate(theirs):
        keys |= layer_keys(f"trunk.layers.{i}", name)
    return keys


def heads_of(stored: Any, heads: int | None, usual: PoseCodePromptConfig | None = None) -> int:
    """Return the number of attention heads, which no tensor tells.

    Args:
        stored: the options that the original was trained with.
        heads: what the caller says.
        usual: a model that has as many, if neither tells.

    Raises:
        InputError: neither the options nor the caller say it, or they disagree.
    """
    told = numbers_in(stored, ("num_heads", "n_head", "n_heads", "heads"))
    if heads is not None and len(told) == 1 and told != {heads}:
        raise InputError(
            f"the stored options say {told.pop():g} heads of attention, and {heads} were given; "
            "leave the number out"
        )
    if heads is None and not told and usual is not None:
        return usual.heads
    if heads is None and len(told) != 1:
        raise InputError(
            f"the stored options tell {len(told)} numbers of attention heads; say how many there "
            "are (--base-heads, --refine-heads): PGR2M's base transformer has 16, its refine "
            "transformer 8"
        )
    return int(min(told)) if heads is None else heads


def shapes_of(
    ours: Mapping[str, Tensor], keys: Mapping[str, Sequence[str]]
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every original tensor, from ours that are made of them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, sources in keys.items():
        rows, *rest = ours[name].shape
        shapes |= {source: (rows // len(sources), *rest) for source in sources}
    return shapes


def joined(tensors: Mapping[str, Tensor], keys: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Return our tensors, each made of the original ones."""
    return {
        name: torch.cat([single_precision(tensors[source]) for source in sources])
        for name, sources in keys.items()
    }


def require_positions(found: Tensor) -> None:
    """Refuse fixed positions `(N, 1, D)` other than those that this project computes.

    Raises:
        InputError: they differ.
    """
    wanted = sinusoids(found.shape[0], found.shape[-1])
    if float((found[:, 0].float() - wanted).abs().max()) > _CLOSE:
        raise InputError(
            f"the fixed positions ({POSITIONS}) are no sines and cosines of the usual speeds; "
            "give a checkpoint of the published code"
        )
