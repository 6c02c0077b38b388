"""What the golden tests of Bailando's VQ-VAEs share."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from duet_rl.body.skeleton import NUM_SMPL_JOINTS
from duet_rl.tokenizers.smpl_body import SMPL_PARTS
from duet_rl.tokenizers.solo_pose import SoloPoseTokenizer
from tests.golden import vqvae
from tests.golden.files import GOLDEN

POSE, ROOT, MIX = (
    GOLDEN / "bailando" / f"{name}.npz"
    for name in ("sep_vqvae", "sep_vqvae_root", "pp_sep_vqvae_mix")
)
SHORT = {"upper": "up", "lower": "down"}  # the original's names of the parts


def states(*files: Path) -> dict[str, Tensor]:
    """The original's weights; later files replace what earlier ones hold."""
    joined: dict[str, Tensor] = {}
    for file in files:
        joined |= vqvae.original_state(vqvae.read(file))
    return joined


def body(rows: np.ndarray) -> Tensor:
    """Rows of 72 numbers as 24 joints."""
    return torch.from_numpy(rows).reshape(*rows.shape[:2], NUM_SMPL_JOINTS, 3)


def tokens(golden: vqvae.Golden, kind: str = "z") -> Tensor:
    return torch.stack([torch.from_numpy(golden[f"{kind}_{n}"]) for n in SHORT.values()], dim=-1)


def raw_decode(tokenizer: SoloPoseTokenizer, rows: Tensor) -> Tensor:
    """What the decoders give of every joint, the root among them, `(B, M, 72)`."""
    frames = rows.shape[1] * tokenizer.config.frames_per_token
    joints = torch.zeros(len(rows), frames, NUM_SMPL_JOINTS, 3)
    for index, (part, own) in enumerate(SMPL_PARTS.items()):
        with torch.no_grad():
            decoded = tokenizer.part(part).decode(rows[..., index : index + 1])["positions"]
        joints[:, :, list(own)] = decoded.unflatten(-1, (-1, 3))
    return joints.flatten(2)
