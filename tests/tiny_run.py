"""A folder like one that somebody works in: an untrained run, a take, a song, a store."""

from pathlib import Path

import numpy as np
import torch

from duet_rl import checkpoint
from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.audio.files import write_wav
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.generate.follower import KIND
from duet_rl.mocap.bvh import write_bvh
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from tests.couple import stepping_couple
from tests.datasets.conftest import make_clip
from tests.edit.codecs import tiny_codec
from tests.tokenizers.conftest import small_config

SECONDS = 1.2  # of the take
RATE = 22_050  # Hz of the song
RUN, READABLE, TAKE, SONG, DATA = (
    "runs/mine",
    "runs/readable",
    "take.bvh",
    "song.wav",
    "data/world",
)


def make_place(folder: Path) -> Path:
    """Write all of it into a folder, and return the folder."""
    save_follower(folder / RUN / "follower")
    tiny_codec().save(folder / READABLE, {})
    write_bvh(folder / TAKE, stepping_couple(SECONDS).leader)
    write_wav(folder / SONG, clicks(SECONDS + 0.5), RATE)
    split = SplitConfig(given={"kept": "test"}, val=0)
    clips = [make_clip("kept", frames=40), make_clip("learned", frames=80, seed=1)]
    DuetStore.create(folder / DATA, clips, split)
    return folder


def clicks(seconds: float) -> np.ndarray:
    """A click every half second."""
    samples = np.zeros(round(seconds * RATE), dtype=np.float32)
    samples[:: RATE // 2] = 0.8
    return samples


def save_follower(folder: Path, config: DuetCodecConfig | None = None) -> Path:
    """Write a small follower that was never trained, with a codec of these settings."""
    torch.manual_seed(0)
    codec = DuetCodec(config or small_config())
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):  # an untrained one has one code for all
            codebook.normal_()
    conditions = (
        ConditionConfig(name="music", channels=MUSIC_DIMS, look_ahead=2),
        ConditionConfig(name="leader", channels=codec.leader_channels, look_ahead=2),
    )
    sizes = MultiStreamGPTConfig(
        classes=codec.spec.classes, conditions=conditions, width=8, layers=1, heads=2
    )
    tensors = MultiStreamGPT(sizes).state_dict()
    checkpoint.save(folder, kind=KIND, tensors=tensors, config=sizes, meta={"steps": 0})
    codec.save(folder, {})
    return folder
