"""Checkpoint files as Bailando's training writes them, of small random models."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from duet_rl.compat.bailando_gpt import original_gpt
from duet_rl.compat.bailando_vqvae import original_state
from duet_rl.config import load_preset, merge, validate
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from tests.compat.originals import write

HUNG = (".decoders_root.", ".decoders_rot.")  # in keys that the first stage does not have
VQ_STORED = {"structure": {"up_half": {"l_mu": 0.99, "commit": 0.02, "dilation_growth_rate": 3}}}
GPT_STORED = {"structure_generate": {"n_head": 2, "attn_pdrop": 0.1}}
GPT = BailandoGPTConfig(
    classes=(8, 8), width=8, heads=2, base_layers=1, head_layers=2, critic_layers=1, block=5
)


class Files(NamedTuple):
    """Where the three checkpoints are."""

    pose: Path
    root: Path
    gpt: Path

    @property
    def options(self) -> tuple[object, ...]:
        """As the command line takes them."""
        return ("--pose", self.pose, "--root", self.root, "--gpt", self.gpt)


STORED: dict[str, dict[str, Any]] = {"pose": VQ_STORED, "root": VQ_STORED, "gpt": GPT_STORED}


def small_codec(rotations: bool = False, **part: int) -> SoloCodec:
    """Bailando's codec with few channels, drawn at random."""
    sizes = {"width": 6, "code_width": 6, "codes": 8, "depth": 1, **part}
    change = {"upper": sizes, "lower": sizes, "rotations": rotations}
    values = merge(load_preset("bailando")["codec"], change)
    torch.manual_seed(0)
    codec = SoloCodec(validate(SoloCodecConfig, values))
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):
            codebook.normal_()
    return codec


def small_states(critic: bool = True, rotations: bool = False, **part: int) -> dict[str, Any]:
    """Original weights of the three models."""
    codec = original_state(small_codec(rotations, **part))
    torch.manual_seed(1)
    config = GPT.model_copy(update={"classes": (part.get("codes", 8),) * 2})
    gpt = original_gpt(config, BailandoGPT(config).state_dict(), critic)
    poses = {name: x for name, x in codec.items() if not any(mark in name for mark in HUNG)}
    return {"pose": poses, "root": codec, "gpt": gpt}


def write_all(folder: Path, states: dict[str, dict[str, Tensor]]) -> Files:
    """Write three checkpoints and return where they are."""
    folder.mkdir(exist_ok=True)
    names = Files._fields
    return Files(*(write(folder / f"{name}.pt", states[name], STORED[name]) for name in names))
