"""The names of Bailando's and Bailando++'s GPT in their own checkpoints and in ours (spec 4, 7)."""

from collections.abc import Iterator, Mapping
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
from duet_rl.models.attention import make_band
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig

STREAMS = ("up", "down")
_SEQUENCES = 1 + len(STREAMS)  # with the music
_NETWORKS = ("gpt_base", "gpt_head", "critic_net", "music_trans")
_MASK = ".attn.mask"  # end of the names of buffers of theirs, recomputed here
_WINDOW_POSITIONS = "music_trans.pos_emb"  # that the original has and never uses
_POSITIONS = "gpt_base.pos_emb"
_KINDS = ("weight", "bias")
_HEADS = ("n_head", "n_heads", "num_heads", "heads")  # what configs may call the number of heads
_DROPOUT = "attn_pdrop"
_CRITIC_SEED = 0  # of the critic that a checkpoint of the third stage is given
_MOMENTS_A_TOKEN = 8  # of Bailando++'s music, at 60 fps
_MOMENTS_A_ROW = 2  # of ours, at 30 fps
_PAPER = BailandoGPTConfig()


def bailando_gpt(
    state: Mapping[str, Any], stored: Any = None, heads: int | None = None
) -> tuple[BailandoGPTConfig, dict[str, Tensor]]:
    """Return config and tensors of an original GPT, of the third stage or refined by RL.

    Sizes are those of the tensors. A checkpoint of the third stage has no critic; it is given a
    new one, always the same. `start_tokens` are left for the caller to set.

    Args:
        state: the original's tensors, with or without the prefix `module.`; masks may be left out.
        stored: the config in the original's file.
        heads: of attention, if the stored config does not say so.

    Raises:
        InputError: lists the keys that are missing, extra or of another shape, or says which size
            is not told.
    """
    tensors = {k: v for k, v in plain_state(state).items() if not k.endswith(_MASK)}
    config, judged = _config_of(tensors, stored, heads), has_critic(tensors)
    require_shapes(tensors, original_shapes(config, judged))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_CRITIC_SEED)
        ours = BailandoGPT(config).state_dict()
    for name, sources in _keys(config, judged).items():
        joined = torch.cat([single_precision(tensors[source]) for source in sources])
        ours[name] = joined.reshape(ours[name].shape)
    return config, ours


def original_gpt(
    config: BailandoGPTConfig, tensors: Mapping[str, Tensor], critic: bool = True
) -> dict[str, Tensor]:
    """Return our tensors under the original's names, masks included; the reverse of `bailando_gpt`.

    Args:
        config: of the model.
        tensors: its state dict.
        critic: whether to write the critic too; a checkpoint of the third stage has none.

    Raises:
        InputError: the model does what the original does not: it normalises its music, has other
            streams, or its window is of music that the original does not hear.
    """
    if config.normalise or len(config.classes) != len(STREAMS) or not _is_theirs(config):
        raise InputError(
            "the original has two streams and raw music, one row a token or, in a window, two "
            "moments a frame; only a follower trained with the preset 'bailando' becomes one of it"
        )
    judged = critic and config.critic_layers > 0
    shapes = original_shapes(config, judged)
    state = {}
    for name, sources in _keys(config, judged).items():
        for part, source in zip(tensors[name].chunk(len(sources)), sources, strict=True):
            state[source] = part.reshape(shapes[source]).clone()
    if _WINDOW_POSITIONS in shapes:
        state[_WINDOW_POSITIONS] = torch.zeros(shapes[_WINDOW_POSITIONS])
    return state | _masks(config, judged)


def original_shapes(config: BailandoGPTConfig, critic: bool) -> dict[str, tuple[int, ...]]:
    """Return every key of an original checkpoint of these sizes, without masks and `module.`."""
    with torch.device("meta"):
        ours = BailandoGPT(config).state_dict()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, sources in _keys(config, critic).items():
        rows, *rest = ours[name].shape
        for source in sources:
            shapes[source] = (rows // len(sources), *rest)
    shapes[_POSITIONS] = (1, _SEQUENCES * config.block, config.width)
    if config.music == "window":
        shapes[_WINDOW_POSITIONS] = (1, _window_moments(config), config.width)
    return shapes


def has_critic(state: Mapping[str, Any]) -> bool:
    """Return whether a state dict is that of the actor-critic stage."""
    return any("critic_net." in key for key in state)


def _keys(config: BailandoGPTConfig, critic: bool) -> dict[str, tuple[str, ...]]:
    """Return for each of our tensors the original ones that it is made of, joined row by row."""
    names: dict[str, tuple[str, ...]] = {"positions": (_POSITIONS,)}
    for i, stream in enumerate(STREAMS):
        names[f"tables.{i}.weight"] = (f"gpt_base.tok_emb_{stream}.weight",)
        names[f"classify.{i}.weight"] = (f"gpt_head.head_{stream}.weight",)
        if critic:
            names[f"critic.read.{i}.weight"] = (f"critic_net.head_{stream}.weight",)
    simple = {"embed_music": "gpt_base.cond_emb", "norm": "gpt_head.ln_f"}
    if config.music == "window":
        simple |= {f"mixer.{x}": f"music_trans.{y}" for x, y in _MIXER.items()}
    if critic:
        simple["critic.norm"] = "critic_net.ln_f"
    for ours, theirs in simple.items():
        names |= {f"{ours}.{kind}": (f"{theirs}.{kind}",) for kind in _KINDS}
    for ours, theirs in _layers(config, critic):
        names |= layer_keys(ours, theirs)
    return names


_MIXER = {"embed": "cond_emb", "downsample": "downsample"}


def _layers(config: BailandoGPTConfig, critic: bool) -> Iterator[tuple[str, str]]:
    """Yield the names of every transformer layer, ours and theirs."""
    counts = {
        "base": ("gpt_base", config.base_layers),
        "head": ("gpt_head", config.head_layers),
        "critic.layers": ("critic_net", config.critic_layers if critic else 0),
        "mixer.layers": ("music_trans", config.condition_layers * (config.music == "window")),
    }
    for ours, (theirs, count) in counts.items():
        for i in range(count):
            yield f"{ours}.{i}", f"{theirs}.blocks.{i}"


def _masks(config: BailandoGPTConfig, critic: bool) -> dict[str, Tensor]:
    """Return the buffers that say who sees whom, by their original names."""
    causal = torch.ones(config.block, config.block).tril()
    masks = {}
    for _, theirs in _layers(config, critic):
        mask = causal
        if theirs.startswith("music_trans"):
            mask = _window_mask(config)
        masks[f"{theirs}{_MASK}"] = mask[None, None].clone()
    return masks


def _window_mask(config: BailandoGPTConfig) -> Tensor:
    moments, reach = _window_moments(config), config.reach * _MOMENTS_A_TOKEN
    blocks = make_band(moments, reach, reach, torch.device("cpu")).blocks
    mask = torch.zeros(moments, moments)
    for block in blocks:
        mask[block.queries, block.keys] = block.mask[0, 0].float()
    return mask


def _window_moments(config: BailandoGPTConfig) -> int:
    return _MOMENTS_A_TOKEN * (config.block + 2 * config.reach)


def _is_theirs(config: BailandoGPTConfig) -> bool:
    moments = config.frames_per_token * config.side_by_side
    return config.music == "rows" or moments == _MOMENTS_A_TOKEN


def _config_of(state: Mapping[str, Tensor], stored: Any, heads: int | None) -> BailandoGPTConfig:
    """Return the sizes of an original GPT from its tensors, and from its config what they hide.

    Where tensors contradict each other, most of them decide; a size that none of them tells is
    the paper's. So `original_shapes` of what is returned tells which tensors are wrong.
    """
    tables = [f"gpt_base.tok_emb_{name}.weight" for name in STREAMS]
    width = size_of(state, *((key, 1) for key in tables), (_POSITIONS, 2)) or _PAPER.width
    positions = size_of(state, (_POSITIONS, 1)) or _SEQUENCES * _PAPER.block
    block = positions // _SEQUENCES
    window = any(key.startswith("music_trans.") for key in state)
    heard = "music_trans.cond_emb.weight" if window else "gpt_base.cond_emb.weight"
    channels = size_of(state, (heard, 1)) or _PAPER.music_channels
    values: dict[str, Any] = {
        "classes": [
            size_of(state, (table, 0), (f"gpt_head.head_{name}.weight", 0)) or 1
            for table, name in zip(tables, STREAMS, strict=True)
        ],
        "width": width,
        "heads": _heads(stored, heads, width),
        "base_layers": count_layers(state, "gpt_base.blocks."),
        "head_layers": count_layers(state, "gpt_head.blocks."),
        "critic_layers": count_layers(state, "critic_net.blocks.") or _PAPER.critic_layers,
        "dropout": max(numbers_in(stored, (_DROPOUT,)) or {_PAPER.dropout}),
        "block": block,
        "music_channels": channels,
    }
    if window:
        moments = size_of(state, (_WINDOW_POSITIONS, 1)) or _window_moments(_PAPER)
        values |= {
            "hears": "bailando_pp",
            "music": "window",
            "music_channels": _MOMENTS_A_ROW * channels,
            "condition_layers": count_layers(state, "music_trans.blocks."),
            "reach": (moments // _MOMENTS_A_TOKEN - block) // 2,
        }
    return validate(BailandoGPTConfig, values, "the sizes of the GPT")


def _heads(stored: Any, heads: int | None, width: int) -> int:
    """Return the number of heads that the stored config, the caller or the paper tells.

    Raises:
        InputError: none does, or they contradict each other.
    """
    found = numbers_in(stored, _HEADS)
    if heads is not None and len(found) == 1 and found != {heads}:
        raise InputError(
            f"the stored config says {found.pop():g} heads of attention, and {heads} were given; "
            "leave --heads out"
        )
    if heads is None and not found and width == _PAPER.width:
        heads = _PAPER.heads
    if heads is None and len(found) != 1:
        raise InputError(
            f"the stored config names {sorted(found) or 'no'} heads of attention; say how many it "
            "has (--heads)"
        )
    heads = int(found.pop()) if heads is None else heads
    if heads < 1 or width % heads:
        raise InputError(f"width {width} does not divide into {heads} heads; mend --heads")
    return heads
