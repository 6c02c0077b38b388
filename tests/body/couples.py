"""Small made-up dancers with known answers, for the tests of the body."""

import torch

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import axis_angle_to_matrix, yaw_matrix
from duet_rl.body.skeleton import NUM_JOINTS, default_skeleton


def dancer(frames: int = 40, fps: float = 30.0, yaw: float = 0.0, seed: int = 0) -> Motion:
    """A dancer who sways smoothly and walks along +X while facing `yaw`."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames)[:, None, None] / fps  # s
    amount, phase = torch.randn(2, NUM_JOINTS, 3, generator=generator)
    rotations = axis_angle_to_matrix(0.4 * amount * (2 * time + phase).sin())
    rotations[:, 0] = yaw_matrix(torch.tensor(yaw)) @ axis_angle_to_matrix(
        0.1 * (time[:, 0] + phase[0]).sin()
    )
    root = torch.stack([time[:, 0, 0], torch.full((frames,), 0.93), 0 * time[:, 0, 0]], dim=-1)
    return Motion.from_rotations(root, rotations, default_skeleton(), fps)


def couple(frames: int = 40, fps: float = 30.0) -> Duet:
    """Two dancers face to face, a metre apart."""
    follower = dancer(frames, fps, yaw=torch.pi, seed=1)
    return Duet(dancer(frames, fps), follower.moved((0.0, 0.0, 1.0)))
