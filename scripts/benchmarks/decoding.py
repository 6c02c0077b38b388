"""What do planted feet and held hands change? The same tokens, decoded in several ways.

    python scripts/benchmarks/decoding.py --data RUN/data --follower RUN/rl

Measures what comes back of the true followers' tokens, and what a follower dances with leaders of
the `test` split; beside them the nearest neighbour, as it is and with planted feet.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import print_table, write_results
from torch import Tensor

from duet_rl.body.kinematics import Posed, forward_kinematics
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.generate.follower import load_follower
from duet_rl.metrics.duet import measure_duet
from duet_rl.metrics.retrieval import RetrievalFollower
from duet_rl.models.policy import DEFAULT_SAMPLING
from duet_rl.rewards.base import RewardInput, RewardMix, RewardMixConfig
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.holding import HoldingConfig
from duet_rl.tokenizers.planting import PlantingConfig, plant_feet
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

Dance = Callable[[DuetClip], Tensor]

SEED = 0
WAYS: dict[str, dict[str, Any]] = {
    "as decoded": {"planting": None, "holding": None},
    "feet planted": {"planting": PlantingConfig(), "holding": None},
    "and hands held": {"planting": PlantingConfig(), "holding": HoldingConfig()},
}
SHOWN = ("foot_slide", "jerk", "hold_f1", "beat_f1", "root_error")


def row(name: str, dance: Dance, clips: Sequence[DuetClip], rewards: RewardMix) -> dict[str, Any]:
    """Return the mean of every number over the clips that have it."""
    found: dict[str, list[float]] = {}
    for clip in clips:
        joints, leader, partner = (
            x[None] for x in (dance(clip), clip.duet.leader.joints, clip.duet.follower.joints)
        )
        beats, hold = clip.beats[None], clip.hold[None]
        terms = rewards(RewardInput(joints, leader, beats, FPS, hold, partner))
        numbers = {"total": terms.total(1)} | dict(terms.per_frame)
        measured = measure_duet(joints, leader, beats, FPS, hold, partner)
        numbers |= {key: measured[key] for key in SHOWN}
        for key, value in numbers.items():
            found.setdefault(key, []).append(float(value.mean()))
    # NaN: the measure does not apply to that clip.
    return {"dance": name, **{key: f"{np.nanmean(values):.3f}" for key, values in found.items()}}


def whole_tokens(clip: DuetClip) -> DuetClip:
    return clip.slice(0, clip.frames // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN)


def planted(clip: DuetClip, memory: RetrievalFollower) -> Tensor:
    """Return what is remembered, with its feet planted by its own motion."""
    motion = memory.follow(clip.duet.leader)
    root, offsets = motion.joints[:, 0], motion.skeleton.offsets
    pose = forward_kinematics(motion.rotations, root, offsets)
    travel = torch.diff(root, dim=0, prepend=root[:1]) * FPS
    posed = Posed(*(x[None] for x in (motion.rotations, *pose)))
    return plant_feet(posed, travel[None], offsets, FPS, PlantingConfig()).joints[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of a clip store")
    parser.add_argument("--follower", type=Path, required=True, help="folder of a follower")
    parser.add_argument("--name", default="", help="of the data, for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store, follower = DuetStore.open(options.data), load_follower(options.follower)
    clips = [whole_tokens(clip) for clip in store.clips("test")]
    rewards, codec = RewardMix(RewardMixConfig()), follower.codec
    memory = RetrievalFollower([clip.duet for clip in store.clips("train")])
    rows = [
        row("true partner", lambda clip: clip.duet.follower.joints, clips, rewards),
        row("remembered", lambda clip: memory.follow(clip.duet.leader).joints, clips, rewards),
        row("remembered, feet planted", lambda clip: planted(clip, memory), clips, rewards),
    ]

    def there_and_back(clip: DuetClip) -> Tensor:
        leader, own = (
            MotionBatch(motion.joints[None], motion.rotations[None])
            for motion in (clip.duet.leader, clip.duet.follower)
        )
        return codec.decode(codec.encode(leader, own), leader).joints[0]

    def danced(clip: DuetClip) -> Tensor:
        music = clip.music[None]
        return follower.dance([clip.duet.leader], music, SEED, DEFAULT_SAMPLING).joints[0]

    plain = codec.config
    for way, settings in WAYS.items():
        decoding = plain.decoding.model_copy(update=settings)
        codec.config = plain.model_copy(update={"decoding": decoding})
        rows.append(row(f"true tokens, {way}", there_and_back, clips, rewards))
        rows.append(row(f"danced, {way}", danced, clips, rewards))
    print_table(rows)
    print(write_results(f"decoding{options.name and '_'}{options.name}", rows, SEED))


if __name__ == "__main__":
    main()
