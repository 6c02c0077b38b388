"""What the golden tests of Bailando's and Bailando++'s GPT share."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from duet_rl.compat import bailando_gpt as compat
from duet_rl.models.bailando import BailandoGPT

Arrays = dict[str, np.ndarray]
TOLERANCE = 1e-4  # absolute and relative, as the golden set suggests


def read(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def state_of(golden: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    names = (name for name in golden if name.startswith("sd/"))
    return {name.removeprefix("sd/"): torch.from_numpy(golden[name].copy()) for name in names}


def model_of(state: Mapping[str, Tensor], heads: int) -> BailandoGPT:
    config, tensors = compat.bailando_gpt(state, {"n_head": heads})
    model = BailandoGPT(config).eval()
    model.load_state_dict(tensors)
    return model


def halves(golden: Mapping[str, np.ndarray], name: str) -> Tensor:
    """Return what is stored of the upper and the lower half, side by side."""
    both = [golden[name.format(half)] for half in compat.STREAMS]
    return torch.from_numpy(np.stack(both, axis=-1))


def frames_of(rows: np.ndarray | Tensor, rate: int) -> Tensor:
    """Return rows of tokens as music of frames: each stands for all of its token."""
    return torch.as_tensor(rows).repeat_interleave(rate, dim=1)


def assert_close(found: Tensor, wanted: np.ndarray | Tensor, tolerance: float = TOLERANCE) -> None:
    wanted = torch.as_tensor(wanted)
    torch.testing.assert_close(found.detach(), wanted, atol=tolerance, rtol=tolerance)


def by_original_name(
    model: BailandoGPT, tensors: Mapping[str, Tensor | None]
) -> Iterator[tuple[str, Tensor | None]]:
    """Yield what belongs to each of our parameters by the original's names, cut where ours joins.

    The positions keep our shape.
    """
    critic = model.critic is not None
    for name, sources in compat._keys(model.config, critic).items():
        tensor = tensors.get(name)
        for i, source in enumerate(sources):
            yield source, None if tensor is None else tensor.chunk(len(sources))[i]
