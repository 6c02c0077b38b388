"""Small followers and the clips that they dance to, for the tests of the models."""

from typing import Any

import torch
from torch import Tensor

from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig

CLASSES = (20, 12, 33)
MUSIC = ConditionConfig(name="music", channels=5, look_ahead=6)
LEADER = ConditionConfig(name="leader", kind="tokens", classes=(7, 9), look_ahead=3)
EVERY_KIND = [
    {"layout": layout, "positions": positions, "heads_see": heads_see}
    for layout in ("fused", "interleaved")
    for positions in ("rotary", "learned")
    for heads_see in ("none", "earlier")
]


def name_of(kind: dict[str, str]) -> str:
    return "-".join(kind.values())


def small_gpt(**changes: Any) -> MultiStreamGPT:
    """Return a follower of two layers and three streams, ready for evaluation."""
    settings: dict[str, Any] = {
        "classes": CLASSES,
        "conditions": (MUSIC, LEADER),
        "width": 32,
        "layers": 2,
        "heads": 2,
        "context": 8,
    }
    torch.manual_seed(0)
    config = MultiStreamGPTConfig(**(settings | changes))
    return MultiStreamGPT(config).eval()


def small_conditions(batch: int = 2, steps: int = 20, seed: int = 0) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    music = torch.randn(batch, 4 * steps, 5, generator=random)
    return {"music": music, "leader": small_tokens(batch, steps, seed, LEADER.classes)}


def small_tokens(
    batch: int = 2, steps: int = 20, seed: int = 0, classes: tuple[int, ...] = CLASSES
) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    streams = [torch.randint(0, n, (batch, steps), generator=random) for n in classes]
    return torch.stack(streams, dim=-1)
