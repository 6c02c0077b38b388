"""The names of Duolando's follower GPT in its own checkpoints and in ours (spec 5.1)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duet_rl.compat.state import size_of
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.models.duolando import LEADER_STREAMS, DuolandoGPT, DuolandoGPTConfig

STREAMS = ("up", "down", "lhand", "rhand", "transl")
_MIXERS = {"music": "music_trans"} | {
    f"leader.{i}": f"leader_{name}_trans" for i, name in enumerate(STREAMS[:LEADER_STREAMS])
}
_LAYER = {  # ours -> theirs, within a layer; query, key and value are one matrix here
    "attend.norm": "ln1",
    "norm": "ln2",
    "attend.attention.project": "attn.proj",
    "feed_forward.expand": "mlp.0",
    "feed_forward.project": "mlp.2",
}
_JOINED = "attend.attention.query_key_value"
_SPLIT = ("attn.query", "attn.key", "attn.value")
_MASK = "attn.mask"  # a buffer of theirs, recomputed here
_KINDS = ("weight", "bias")
_PAPER_CLASSES = 512  # codes of each codebook (spec 5)


def gpt_keys(config: DuolandoGPTConfig) -> dict[str, tuple[str, ...]]:
    """Return for each of our tensors the original ones that it is made of, joined row by row."""
    names: dict[str, tuple[str, ...]] = {
        "positions": ("gpt_base.pos_emb",),
    }
    for i, name in enumerate(STREAMS):
        names[f"tables.{i}.weight"] = (f"tok_emb_{name}.weight",)
        names[f"classify.{i}.weight"] = (f"gpt_head.head_{name}.weight",)
    for ours, theirs in _MIXERS.items():
        for kind in _KINDS:
            names[f"{ours}.embed.{kind}"] = (f"{theirs}.cond_emb.{kind}",)
            names[f"{ours}.downsample.{kind}"] = (f"{theirs}.downsample.{kind}",)
    for ours, theirs in _layers(config):
        names |= layer_keys(ours, theirs)
    if config.unused_weights:
        names |= _unused_keys()
    return names


def layer_keys(ours: str, theirs: str) -> dict[str, tuple[str, ...]]:
    """Return for each tensor of our transformer layer the original ones of theirs."""
    names: dict[str, tuple[str, ...]] = {}
    for kind in _KINDS:
        names[f"{ours}.{_JOINED}.{kind}"] = tuple(f"{theirs}.{x}.{kind}" for x in _SPLIT)
        names |= {f"{ours}.{k}.{kind}": (f"{theirs}.{v}.{kind}",) for k, v in _LAYER.items()}
    return names


def mask_keys(config: DuolandoGPTConfig) -> dict[str, tuple[int, ...]]:
    """Return the original's mask buffers with their shapes; ours are computed."""
    seen = config.block + config.look_forward
    shapes: dict[str, tuple[int, ...]] = {}
    for ours, theirs in _layers(config):
        side = config.block
        if ours.startswith(("music", "leader")):
            side = seen * (config.frames_per_token if ours.startswith("music") else 1)
        shapes[f"{theirs}.{_MASK}"] = (1, 1, side, side)
    return shapes


def original_shapes(config: DuolandoGPTConfig) -> dict[str, tuple[int, ...]]:
    """Return every key of an original checkpoint of these sizes, without `module.`."""
    with torch.device("meta"):
        ours = DuolandoGPT(config.model_copy(update={"unused_weights": True})).state_dict()
    shapes = dict(mask_keys(config))
    for name, sources in gpt_keys(config.model_copy(update={"unused_weights": True})).items():
        rows, *rest = ours[name].shape
        if sources[0].endswith("pos_emb"):
            shape = tuple(ours[name].shape)
            shapes[sources[0]] = (
                1,
                shape[0] * shape[1] if len(shape) == 3 else shape[0],
                shape[-1],
            )
            continue
        for source in sources:
            shapes[source] = (rows // len(sources), *rest)
    return shapes


def from_original(state: Mapping[str, Tensor], config: DuolandoGPTConfig) -> dict[str, Tensor]:
    """Return our tensors from the original's, whose keys and shapes have been checked."""
    tensors = {}
    for name, sources in gpt_keys(config).items():
        joined = torch.cat([state[source] for source in sources])
        if sources[0].endswith("pos_emb"):
            joined = joined[0]
        if name == "positions":
            joined = joined.unflatten(0, (-1, config.block))
        tensors[name] = joined.float().clone()
    return tensors


def read_gpt(
    state: Mapping[str, Tensor], options: Mapping[str, Any], source: str = "the GPT"
) -> DuolandoGPTConfig:
    """Return the sizes of an original GPT from its tensors, and from its options what they hide.

    Where tensors contradict each other, most of them decide; a size that none of them tells is
    the paper's. So `original_shapes` of what is returned tells which tensors are wrong.

    Args:
        state: original state dict, without `module.`.
        options: what the checkpoint's config says of the model: `n_head` and dropout.
        source: names the file in errors.

    Raises:
        InputError: the number of heads is missing, or the sizes make no model.
    """
    heads = options.get("n_head")
    if not isinstance(heads, int):
        raise InputError(f"the config in {source} does not say n_head; it has {sorted(options)}")
    paper = DuolandoGPTConfig()
    leaders = [f"leader_{name}_trans" for name in STREAMS[:LEADER_STREAMS]]
    block = _size(state, paper.block, [f"gpt_{x}.blocks.0.{_MASK}" for x in ("base", "head")], 3)
    width = _size(state, paper.width, [f"tok_emb_{name}.weight" for name in STREAMS], 1)
    seen = _size(
        state, paper.block + paper.look_forward, [f"{name}.pos_emb" for name in leaders], 1
    )
    frames = _size(state, paper.frames_per_token * seen, ["music_trans.pos_emb"], 1)
    values = {
        "classes": [
            _size(state, _PAPER_CLASSES, [f"tok_emb_{x}.weight", f"gpt_head.head_{x}.weight"], 0)
            for x in STREAMS
        ],
        "width": width,
        "heads": heads,
        "base_layers": count_layers(state, "gpt_base.blocks."),
        "head_layers": count_layers(state, "gpt_head.blocks."),
        "condition_layers": count_layers(state, "music_trans.blocks."),
        "dropout": options.get("attn_pdrop", paper.dropout),
        "block": block,
        "look_forward": seen - block,
        "frames_per_token": max(1, frames // seen),
    }
    return validate(DuolandoGPTConfig, values, source)


def _size(state: Mapping[str, Tensor], default: int, keys: Sequence[str], axis: int) -> int:
    return size_of(state, *((key, axis) for key in keys)) or default


def _layers(config: DuolandoGPTConfig) -> Iterator[tuple[str, str]]:
    """Yield the names of every transformer layer, ours and theirs."""
    for ours, theirs in _MIXERS.items():
        for i in range(config.condition_layers):
            yield f"{ours}.layers.{i}", f"{theirs}.blocks.{i}"
    for ours, count in (("base", config.base_layers), ("head", config.head_layers)):
        for i in range(count):
            yield f"{ours}.{i}", f"gpt_{ours}.blocks.{i}"


def _unused_keys() -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {
        f"unused.{k.replace('.', '_')}": (f"{v}.pos_emb",) for k, v in _MIXERS.items()
    }
    told = ("cond_emb", *(f"cond_{name}_emb" for name in STREAMS[:LEADER_STREAMS]))
    for i, theirs in enumerate(told):
        for kind in _KINDS:
            names[f"unused.condition_{i}_{kind}"] = (f"gpt_base.{theirs}.{kind}",)
    return names


def count_layers(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many numbered layers there are behind `prefix`."""
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})
