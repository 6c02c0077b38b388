"""Write a tiny checkpoint of today's format, and what it dances.

`python -m tests.data.make_checkpoint` is done once for every format, and never again: that stored
folders go on to dance the same is what tests/test_checkpoint_formats.py is about.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.body.stage import stage
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from tests.tiny_run import save_follower

FOLDER = Path(__file__).parent / "checkpoints"
DANCE = "dance.npz"  # beside the files of the follower
FRAMES = 24
_PART = {"width": 4, "depth": 1, "codes": 8, "code_width": 4}
_CODEC = {
    "pose": {"upper": _PART, "lower": _PART, "hand": _PART},
    "placement": {"vqvae": _PART},
    "decoding": {"planting": None, "holding": None},  # may be improved; what tokens mean may not
}


def leader() -> Motion:
    """A body that walks a quarter of a circle, without moving a limb."""
    still = stage(FRAMES)
    steps = [still.slice(i, i + 1).moved((1.0, 0.0, 0.0)).turned(0.06 * i) for i in range(FRAMES)]
    joints = torch.cat([step.joints for step in steps])
    return Motion(joints, torch.cat([step.rotations for step in steps]), still.skeleton)


def music(channels: int) -> Tensor:
    """Features by a formula, `(FRAMES, channels)`."""
    place = torch.arange(FRAMES)[:, None] * 0.7 + torch.arange(channels) * 1.3
    return place.sin()


def danced(follower: Follower) -> dict[str, np.ndarray]:
    """Return the likeliest tokens of a follower beside `leader`, and the joints that they mean."""
    channels = next(c.channels for c in follower.model.config.conditions if c.name == "music")
    led = follower._stacked([leader()])
    conditions = follower.conditions(led, music(channels)[None])
    tokens = follower.sample(conditions, None, sampling=SamplingConfig(temperature=0)).tokens
    with torch.no_grad():
        joints = follower.codec.decode(tokens, led).joints
    return {"tokens": tokens[0].numpy().astype(np.int16), "joints": joints[0].numpy()}


def main() -> None:
    """Write the folder, if there is none of this format."""
    folder = FOLDER / f"format_{checkpoint.FORMAT}"
    if folder.exists():
        raise SystemExit(f"{folder} is there, and stays as it is")
    save_follower(folder, DuetCodecConfig.model_validate(_CODEC))
    np.savez_compressed(folder / DANCE, **danced(load_follower(folder)))


if __name__ == "__main__":
    main()
