"""A small readable codec that knows the poses of `going_round`, and was trained no further."""

import torch

from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from tests.edit.dancers import going_round

SMALL = {
    "pose": {"body": {"width": 8, "depth": 1, "codes": 8, "code_width": 8, "levels": 2}},
}


def tiny_codec(bank: bool = True) -> ReadableCodec:
    """Return the codec, in evaluation mode."""
    torch.manual_seed(0)
    codec = ReadableCodec(ReadableCodecConfig.model_validate(SMALL)).eval()
    if bank:
        codec.pose.remember([going_round().joints])
    return codec
