"""Checkpoint files as PGR2M's training writes them, of small random models."""

import json
from pathlib import Path

import torch
from torch import Tensor

from duet_rl.compat.pgr2m import original_keys
from duet_rl.compat.pgr2m_files import OPTIONS
from duet_rl.compat.pgr2m_refine import original_keys as refine_keys
from duet_rl.compat.pgr2m_tokenizer import original_state
from duet_rl.mocap.humanml3d import FEATURES
from duet_rl.models.pgr2m import PoseCodeGPT, PoseCodeGPTConfig
from duet_rl.models.pgr2m_refine import RefineConfig, RefineTransformer
from duet_rl.models.pgr2m_rows import sinusoids
from duet_rl.posecodes.catalogue import PGR2M392
from duet_rl.tokenizers.codes_vq import CodesVQConfig, CodesVQVAE

PROMPT, ROWS, WIDTH, HEADS, LEVELS, CODES = 12, 6, 8, 2, 2, 4
SIZES = {
    "classes": PGR2M392.classes,
    "prompt_channels": 3,
    "steps": ROWS,
    "width": WIDTH,
    "heads": HEADS,
    "layers": 2,
}
Files = dict[str, Path]


def tokenizer_state(codes: int = CODES, channels: int = FEATURES) -> dict[str, Tensor]:
    config = CodesVQConfig(
        width=WIDTH, code_width=WIDTH, depth=1, levels=LEVELS, codes=codes, quantizer="soft"
    )
    vqvae = CodesVQVAE(config, channels, PGR2M392.classes)
    for level in vqvae.quantizer.levels:
        torch.nn.init.normal_(level.codebook)
    return original_state(vqvae)


def split(tensors: dict[str, Tensor], keys: dict[str, tuple[str, ...]]) -> dict[str, Tensor]:
    """Return our tensors under the original's names."""
    return {
        source: part.clone()
        for name, sources in keys.items()
        for source, part in zip(sources, tensors[name].chunk(len(sources)), strict=True)
    }


def base_state(**changes: int) -> dict[str, Tensor]:
    gpt = PoseCodeGPT(PoseCodeGPTConfig(**(SIZES | changes)))
    return split(gpt.state_dict(), original_keys(1, 1)) | {
        "trans_base.pos_embedding.weight": torch.zeros(PROMPT + ROWS, WIDTH),
        "trans_base.pos_embed.embed": sinusoids(PROMPT + ROWS, WIDTH)[:, None],
        "trans_base.blocks.0.attn.mask": torch.ones(1, 1, PROMPT + ROWS, PROMPT + ROWS),
    }


def refine_state(**changes: int) -> dict[str, Tensor]:
    config = RefineConfig(**(SIZES | {"levels": LEVELS, "codes": CODES, "shared": False} | changes))
    refine = RefineTransformer(config)
    return split(refine.state_dict(), refine_keys(config)) | {
        "proc_in.pos_embed.embed": sinusoids(PROMPT + ROWS, WIDTH)[:, None]
    }


def write_all(folder: Path) -> Files:
    """Write the three checkpoints, each into a folder of its own with its options."""
    torch.manual_seed(0)
    made = {
        "tokenizer": ({"net": tokenizer_state()}, {"dilation_growth_rate": 3}),
        "base": ({"trans": base_state()}, {"num_heads": HEADS}),
        "refine": ({"r_trans": refine_state(), "nb_iter": 7}, {"num_heads": HEADS}),
    }
    for name, (weights, options) in made.items():
        (folder / name).mkdir(parents=True)
        torch.save(weights, folder / name / "net_best.pth")
        (folder / name / OPTIONS).write_text(json.dumps(options))
    return {name: folder / name / "net_best.pth" for name in made}
