"""The names of PGR2M's refine transformer in its own checkpoints and in ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from duet_rl.compat.gpt import count_layers, layer_keys
from duet_rl.compat.pgr2m import POSITIONS, heads_of, joined, require_positions, shapes_of
from duet_rl.compat.state import plain_state, require_shapes, size_of
from duet_rl.config import validate
from duet_rl.models.pgr2m_refine import RefineConfig, RefineTransformer
from duet_rl.models.pgr2m_rows import FLAGS

_SHARED = "embed_proj_shared_weight"  # there where one table reads and says a level
_READ, _SAID = "proc_in.token_embed_weight", "proc_out.output_proj_weight"
_SAID_BIAS = "proc_out.output_proj_bias"
_DEAD = ("proc_in.token_embed_weight_", "proc_out.output_proj_weight_")  # read by nothing
_ALIASES = "trans_base.proc_in."  # start of the names of the same tensors once more
_TIMES = 2.0  # how often the original with separate tables adds what it says
_POSITIONS = f"proc_in.{POSITIONS}"
_BLOCKS = "trans_base.blocks"
_EMBEDDINGS = {  # ours -> theirs
    "embed_prompt": "proc_in.cond_emb",
    "embed_rows": "proc_in.pose_tok_emb",
    "embed_level": "proc_in.quant_emb",
}
_KINDS = ("weight", "bias")
_PAPER = RefineConfig()


def pgr2m_refine(
    state: Mapping[str, Any],
    classes: Sequence[int],
    stored: Any = None,
    heads: int | None = None,
    prompt_steps: int = _PAPER.prompt_steps,
) -> RefineTransformer:
    """Return the refine transformer of an original state dict, ready to use or to train on.

    With separate tables, the original adds what it says twice and the bias once, so the table is
    doubled here.

    Args:
        state: the original's tensors, with or without the prefix `module.`; aliases may be left
            out.
        classes: of each group of pose codes, which the tensors do not tell apart.
        stored: the options that the original was trained with.
        heads: of attention, if the options do not say so.
        prompt_steps: vectors of a prompt.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape, or says which size
            is not told.
    """
    tensors = {k: v for k, v in plain_state(state).items() if not k.startswith(_ALIASES)}
    config = _config(tensors, classes, stored, heads, prompt_steps)
    refine = RefineTransformer(config)
    keys = original_keys(config)
    require_shapes(tensors, _shapes(refine, keys, size_of(tensors, (_POSITIONS, 0)) or 0))
    require_positions(tensors[_POSITIONS])
    ours = joined(tensors, keys)
    if not config.shared:
        ours["said"] *= _TIMES
    refine.load_state_dict(ours)
    return refine.eval()


def original_keys(config: RefineConfig) -> dict[str, tuple[str, ...]]:
    """Return for each of our tensors the original ones that it is made of, joined row by row."""
    keys: dict[str, tuple[str, ...]] = {
        f"{ours}.{kind}": (f"{theirs}.{kind}",)
        for ours, theirs in _EMBEDDINGS.items()
        for kind in _KINDS
    }
    if config.shared:
        keys["said"] = (_SHARED,)
    else:
        keys |= {"said": (_SAID,), "read": (_READ,), "said_bias": (_SAID_BIAS,)}
    for i in range(config.layers):
        keys |= layer_keys(f"layers.{i}", f"{_BLOCKS}.{i}")
    return keys


def _shapes(
    refine: RefineTransformer, keys: Mapping[str, Sequence[str]], positions: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of an original checkpoint, without aliases."""
    shapes = shapes_of(refine.state_dict(), keys)
    shapes[_POSITIONS] = (positions, 1, refine.config.width)
    if refine.config.shared:
        table = tuple(refine.said.shape)
        shapes |= dict.fromkeys((_READ, _SAID), table)
        shapes |= dict.fromkeys(_DEAD, (1, *table[1:]))
    return shapes


def _config(
    tensors: Mapping[str, Tensor],
    classes: Sequence[int],
    stored: Any,
    heads: int | None,
    prompt_steps: int,
) -> RefineConfig:
    """Return the sizes that the tensors tell, and what the options tell beside them."""
    shared = _SHARED in tensors
    tables = (_SHARED,) if shared else (_SAID, _SAID_BIAS)
    positions = size_of(tensors, (_POSITIONS, 0))
    said = size_of(tensors, *((name, 1) for name in tables))
    levels = [(name, 0) for name in tables]
    width = size_of(tensors, *((f"{name}.bias", 0) for name in _EMBEDDINGS.values()))
    values = {
        "classes": tuple(classes),
        "prompt_channels": size_of(tensors, ("proc_in.cond_emb.weight", 1)),
        "prompt_steps": prompt_steps,
        "steps": None if positions is None else positions - prompt_steps,
        "width": width,
        "heads": heads_of(stored, heads, _PAPER if width == _PAPER.width else None),
        "layers": count_layers(tensors, f"{_BLOCKS}.") or None,
        "levels": size_of(tensors, *levels, ("proc_in.quant_emb.weight", 1)),
        "codes": None if said is None else said - FLAGS,
        "shared": shared,
    }
    known = {name: value for name, value in values.items() if value is not None}
    return validate(RefineConfig, known, "the original's tensors")
