"""Checkpoint files as Duolando's training writes them: DataParallel keys, an EasyDict config."""

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from duet_rl.compat.gpt import original_shapes
from duet_rl.compat.vqvae import original_state
from duet_rl.config import load_preset, merge, validate
from duet_rl.models.duolando import DuolandoGPTConfig
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

VQ_STORED = {"structure": {"l_mu": 0.99, "commit": 0.02, "dilation_growth_rate": 3, "vel": 1}}
GPT_STORED = {"structure_generate": {"n_head": 2, "attn_pdrop": 0.1}}
GPT = DuolandoGPTConfig(
    classes=(8, 8, 8, 8, 8), width=8, heads=2, base_layers=1, head_layers=1, condition_layers=1
)


class Files(NamedTuple):
    """Where the three checkpoints are."""

    pose: Path
    translation: Path
    gpt: Path

    @property
    def options(self) -> tuple[object, ...]:
        """As the command line takes them."""
        return ("--pose", self.pose, "--translation", self.translation, "--gpt", self.gpt)


def small_codec(**part: int) -> DuetCodecConfig:
    """Duolando's codec with few channels; codes of another width than the layers."""
    sizes = {"width": 6, "code_width": 4, "codes": 8, "depth": 1, **part}
    parts = dict.fromkeys(("upper", "lower", "hand"), sizes)
    change = {"pose": parts, "placement": {"vqvae": sizes}}
    return validate(DuetCodecConfig, merge(load_preset("duolando")["codec"], change))


def small_states(**part: int) -> list[dict[str, Tensor]]:
    """Original weights of a pose, a translation and a follower model, drawn at random."""
    torch.manual_seed(0)
    config = small_codec(**part)
    states = []
    for tokenizer in (PoseTokenizer(config), PlacementTokenizer(config)):
        for name, codebook in tokenizer.named_buffers():
            if name.endswith("codebook"):
                codebook.normal_()
        states.append(original_state(tokenizer))
    shapes = original_shapes(GPT)
    return [*states, {name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}]


def write_small(folder: Path) -> Files:
    """Write three small checkpoints that fit each other."""
    stored = (VQ_STORED, VQ_STORED, GPT_STORED)
    return write_all(folder, small_states(), stored)


def write_all(
    folder: Path, states: list[dict[str, Tensor]], stored: tuple[Mapping[str, Any], ...]
) -> Files:
    """Write three checkpoints and return where they are."""
    folder.mkdir(exist_ok=True)
    files = Files(*(folder / f"{name}.pt" for name in Files._fields))
    for path, state, config in zip(files, states, stored, strict=True):
        write(path, state, config)
    return files


def write(path: Path, state: Mapping[str, Tensor], config: Mapping[str, Any]) -> Path:
    """Write one checkpoint; the package of its config is gone afterwards."""
    with _easydict() as easy:
        model = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"model": model, "config": easy(config), "epoch": 500}, path)
    return path


@contextmanager
def _easydict() -> Iterator[type]:
    """Have a package `easydict`, whose mappings keep each value as an item and an attribute."""

    class EasyDict(dict):
        def __init__(self, values: Mapping[str, Any]) -> None:
            for key, value in values.items():
                kept = EasyDict(value) if isinstance(value, Mapping) else value
                setattr(self, key, kept)
                self[key] = kept

    EasyDict.__module__, EasyDict.__qualname__ = "easydict", "EasyDict"
    module = types.ModuleType("easydict")
    module.EasyDict = EasyDict  # type: ignore[attr-defined]
    before = sys.modules.get("easydict")
    sys.modules["easydict"] = module
    try:
        yield EasyDict
    finally:
        del sys.modules["easydict"]
        if before is not None:
            sys.modules["easydict"] = before
