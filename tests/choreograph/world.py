"""A soloist and a follower of leaders who know nothing yet, and songs of a few seconds."""

from pathlib import Path

import torch

from duet_rl import checkpoint
from duet_rl.audio.files import write_wav
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.choreograph.settings import ChoreographConfig, GuardConfig
from duet_rl.models.bailando import BailandoGPTConfig
from duet_rl.models.follower import build_gpt
from duet_rl.models.multistream_gpt import MultiStreamGPT
from duet_rl.rl.settings import RLConfig
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from tests.envs.dancers import small_codec
from tests.rl.world import GPT, SETTINGS

SECONDS = 4.0  # of a song
LOOKS = GuardConfig(every=1, seeds=2)
# No pictures, no processes.
QUICK = ChoreographConfig(iterations=2, guard=LOOKS, seeds=3, files=("npz",), parallel=False)
PART = {"width": 16, "depth": 1, "codes": 16, "code_width": 8}  # of a small solo codec
RL: RLConfig = SETTINGS.model_copy(update={"new_groups": 1, "batch_groups": 1})


def write_dancer(folder: Path, told: tuple[str, ...] = ("music",)) -> Path:
    """Write a follower that wants to be told of these, with its codec, and return its folder."""
    codec = small_codec(causal=False)
    channels = {"music": 54, "leader": codec.leader_channels}
    conditions = tuple(
        one.model_copy(update={"channels": channels[one.name]})
        for one in GPT.conditions
        if one.name in told
    )
    gpt = GPT.model_copy(update={"classes": codec.spec.classes, "conditions": conditions})
    torch.manual_seed(0)
    tensors = MultiStreamGPT(gpt).state_dict()
    checkpoint.save(folder, kind="follower", tensors=tensors, config=gpt, meta={})
    codec.save(folder, {})
    return folder


def write_song(path: Path, tempo: float = 120.0, seconds: float = SECONDS) -> Path:
    """Write a band that plays, and return the file."""
    write_wav(path, render_rhythm(tempo, 4, seconds, "tango", seed=0), SAMPLE_RATE)
    return path


def write_bailando(folder: Path) -> Path:
    """Write a small dancer of Bailando's kind, codec and all, that knows nothing yet."""
    torch.manual_seed(0)
    codec = SoloCodec(SoloCodecConfig.model_validate({"upper": PART, "lower": PART}))
    for name, buffer in codec.named_buffers():
        if name.endswith("codebook"):
            buffer.normal_()
    config = BailandoGPTConfig(
        classes=codec.spec.classes,
        width=16,
        heads=2,
        base_layers=1,
        head_layers=1,
        critic_layers=1,
        hears="bailando_fixed",
        start_tokens=(1, 1),
    )
    tensors = build_gpt(config).state_dict()
    checkpoint.save(folder, kind="follower", tensors=tensors, config=config, meta={})
    codec.save(folder, {})
    return folder
