"""Small duets for the store and what reads it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import default_skeleton
from duet_rl.datasets.clip import DuetClip, align
from duet_rl.meshes.stand_in import write_stand_in


def sway(frames: int, seed: int, fps: float = 30.0) -> Motion:
    """A dancer who stands and sways a little, differently for each seed."""
    generator = torch.Generator().manual_seed(seed)
    start, end = 0.2 * torch.randn(2, 55, 3, generator=generator)
    phase = torch.linspace(0, 1, frames)[:, None, None]
    root = torch.tensor([0.0, 0.93, 0.0]) + 0.3 * torch.randn(3, generator=generator)
    rotations = axis_angle_to_matrix(start * (1 - phase) + end * phase)
    return Motion.from_rotations(root.expand(frames, 3), rotations, default_skeleton(), fps)


def make_clip(
    name: str = "take", frames: int = 40, seed: int = 0, audio: Path | None = None, **facts: str
) -> DuetClip:
    generator = torch.Generator().manual_seed(seed)
    music = torch.rand(frames, 54, generator=generator)
    music[:, 53] = (torch.arange(frames) % 15 == 0).float()
    return align(
        Duet(sway(frames, 2 * seed), sway(frames, 2 * seed + 1)),
        music,
        torch.rand(frames, 2, 4, generator=generator) > 0.5,
        name=name,
        choreography=facts.get("choreography", name),
        audio=audio,
        music_source="recorded",
        style=facts.get("style", "waltz"),
        tempo=90.0,
        source="a test",
    )


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Two seconds of a beep as a sound file."""
    path = tmp_path / "song.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(2 * 22050) / 10), 22050)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our stand-ins for the licensed body models."""
    return write_stand_in(tmp_path_factory.mktemp("models"))
