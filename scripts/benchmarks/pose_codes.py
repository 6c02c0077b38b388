"""How long do the codes of 10,000 frames take, and what do they say of true couples?

    python scripts/benchmarks/pose_codes.py
    python scripts/benchmarks/pose_codes.py --data RUN/data --name salsa

With a clip store: how well the hold that is read is the hold that is due, and how well followers
who are wrong in a known way agree with the true ones. One thread; best of several runs.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench import best_ms, print_table, write_results
from torch import Tensor

from duet_rl.body.contact import hold_due
from duet_rl.datasets.clip import FPS
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.synthetic import synthesize
from duet_rl.metrics.duet import HOLD_WITHIN
from duet_rl.metrics.holds import hold_f1
from duet_rl.posecodes.agreement import duet_agreement
from duet_rl.posecodes.catalogue import CATALOGUES, DUET_CODES

SEED = 0
FRAMES = 10_000
BESIDE = 0.05  # m
HANDS_TOUCH = 8  # groups: four of hand on hand, then each hand on the partner's shoulders and waist
TARGETS = [0, 1, 4, 5, 2, 3, 6, 7]  # their order in holds: left hand on all, then right hand
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "the true one": lambda joints: joints,
    "5 cm to the side": lambda joints: joints + joints.new_tensor([BESIDE, 0.0, 0.0]),
    "half a second late": lambda joints: joints.roll(round(FPS / 2), 1),
    "five seconds late": lambda joints: joints.roll(round(5 * FPS), 1),
    "of another take": lambda joints: joints.roll(1, 0),
}


def couple(frames: int) -> tuple[Tensor, Tensor]:
    """Return follower and leader of a dance of the synthetic world, repeated to `frames`."""
    duet = synthesize(SEED).duet
    repeats = -(-frames // duet.frames)
    follower, leader = (
        motion.joints.repeat(repeats, 1, 1)[:frames] for motion in (duet.follower, duet.leader)
    )
    return follower, leader


def speed() -> list[dict[str, Any]]:
    """Return how long each catalogue takes."""
    follower, leader = couple(FRAMES)
    rows = []
    for name, catalogue in CATALOGUES.items():
        dancers = (follower, leader) if catalogue.of_couple else (follower,)
        ms = best_ms(partial(catalogue.codes, *dancers), 20, warm_up=2)
        rows.append(
            {
                "catalogue": name,
                "groups": len(catalogue),
                "codes": catalogue.size,
                "frames": FRAMES,
                "ms": round(ms, 1),
                "frames_per_s": round(1e3 * FRAMES / ms),
            }
        )
    return rows


def hold_read(follower: Tensor, leader: Tensor) -> float:
    """Return the F1 of the hold that codes say against the hold that is due, a single clip."""
    said = DUET_CODES.codes(follower, leader)[..., :HANDS_TOUCH] == 0
    held = said[..., TARGETS].unflatten(-1, (2, 4))
    due = hold_due(leader, follower, FPS, threshold=HOLD_WITHIN)
    return float(hold_f1(held, due))


def agreement(data: Path, name: str) -> list[dict[str, Any]]:
    """Return how well each kind of wrong follower agrees with the true one, means over clips."""
    clips = [clip.duet for clip in DuetStore.open(data).clips()]
    holds = [hold_read(duet.follower.joints[None], duet.leader.joints[None]) for duet in clips]
    frames = min(duet.frames for duet in clips)
    follower, leader = (
        torch.stack([motion.joints[:frames] for motion in motions])
        for motions in zip(*((duet.follower, duet.leader) for duet in clips), strict=True)
    )
    rows = []
    for told, change in CHANGES.items():
        found = duet_agreement(change(follower), leader, follower)
        rows.append(
            {
                "couples": name,
                "clips": len(clips),
                "follower": told,
                "share": round(float(found.share.nanmean()), 3),
                "kappa": round(float(found.kappa.nanmean()), 3),
                "hold_read_f1": round(float(torch.tensor(holds).nanmean()), 3),
            }
        )
    return rows


def _shown(cell: Any) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of a clip store")
    parser.add_argument("--name", default="couples", help="of the data, for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    question, rows = "pose_codes", speed()
    if options.data is not None:
        question, rows = f"pose_codes_{options.name}", agreement(options.data, options.name)
    print_table([{key: _shown(cell) for key, cell in row.items()} for row in rows])
    print(write_results(question, rows, SEED))


if __name__ == "__main__":
    main()
