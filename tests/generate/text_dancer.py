"""A dancer to words who has learned nothing, and whose words matter all the same."""

from pathlib import Path
from typing import Any

import torch

from duet_rl import checkpoint
from duet_rl.generate.follower import KIND
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.models.streams import STOP_CLASSES
from duet_rl.models.text import TextConfig
from duet_rl.tokenizers.readable import ReadableCodec
from tests.tokenizers.test_readable import readable_config

WORDS = TextConfig(buckets=64, width=16, layers=1, heads=2)


def small_readable_codec(relative_to: str = "start") -> ReadableCodec:
    """Return a readable codec with something in its codebooks."""
    torch.manual_seed(0)
    codec = ReadableCodec(readable_config(relative_to)).eval()
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):
            codebook.normal_()
    return codec


def write_text_dancer(folder: Path, stop: bool = True, told: float | None = None) -> Path:
    """Write a dancer to words and return its folder.

    Args:
        folder: where.
        stop: whether it ends its dances.
        told: None: of words alone; else it is told of music and leader too, this share of its
            training without.
    """
    codec = small_readable_codec("start" if told is None else "leader")
    conditions: tuple[ConditionConfig, ...] = ()
    if told is not None:
        sizes = {"music": 54, "leader": codec.leader_channels}
        conditions = tuple(
            ConditionConfig(name=name, channels=size, look_ahead=2, look_back=2, dropout=told)
            for name, size in sizes.items()
        )
    settings: dict[str, Any] = {
        "classes": codec.spec.classes + ((STOP_CLASSES,) if stop else ()),
        "conditions": conditions,
        "text": WORDS,
        "stop": stop,
        "width": 16,
        "layers": 1,
        "heads": 2,
        "context": 8,
    }
    config = MultiStreamGPTConfig(**settings)
    gpt = MultiStreamGPT(config)
    with torch.no_grad():
        gpt.heads.classify.weight.mul_(3.0)  # its dances differ
        if stop:  # it stops after some eight steps
            gpt.heads.classify.weight[-STOP_CLASSES:] = 0
            gpt.heads.classify.bias[-STOP_CLASSES:] = torch.tensor([1.0, -1.0])
    checkpoint.save(folder, kind=KIND, tensors=gpt.state_dict(), config=config, meta={})
    codec.save(folder, {})
    return folder
