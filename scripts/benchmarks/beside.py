"""What do `generate`'s start, hold and best-of do beside leaders of the test split?

    python scripts/benchmarks/beside.py --data RUN/data --follower RUN/rl [--clips 12] [--name demo]
    python scripts/benchmarks/beside.py ... --live

Held-out leaders, each danced with several seeds; numbers are means. With `--live` the leaders come
frame by frame, as with `duet-rl live`, and are danced with once.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import print_table, write_results
from live_quality import dance as live
from torch import Tensor

from duet_rl.body.contact import foot_slide
from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.generate.follower import Follower, generate, load_follower
from duet_rl.generate.judged import judged, measured
from duet_rl.generate.ranking import TOTAL, holds_agreed, ranked, rewards_of
from duet_rl.generate.start import ChosenStart, Start
from duet_rl.live.settings import LiveConfig
from duet_rl.rewards.base import RewardMix, RewardMixConfig

SEED, SEEDS, DANCES = 7, 2, 8
HOLDS = (0.0, 0.5, 1.0, 1.5, 2.0)
SHOWN = ("hold_f1", "hold_recall", "hold_share", "foot_slide", "jerk")
LONGEST = 600  # frames of a clip that count
BEGINNING = 45  # frames in which a start could leap
SLIDE = 60  # frames in which a start could slide

Dancer = Callable[[DuetClip, Start | None], Motion]


def numbers(joints: Tensor, clips: Sequence[DuetClip], mix: RewardMix) -> dict[str, float]:
    """Return reward and measures of a dance for each clip, by the true followers."""
    data = judged(joints, clips)
    terms, found = mix(data).means(), measured(data)
    told = {name: float(found[name].nanmean()) for name in SHOWN}
    return {"total": terms["total"], "contact": terms["contact"], **told}


def mean(rows: Sequence[Mapping[str, float]]) -> dict[str, str]:
    return {name: f"{np.nanmean([row[name] for row in rows]):.3f}" for name in rows[0]}


def holds(follower: Follower, clips: Sequence[DuetClip], mix: RewardMix) -> list[dict[str, Any]]:
    """Return what each firmness gives, of the same tokens."""
    leaders = [clip.duet.leader for clip in clips]
    music = torch.stack([follower.music_of(clip) for clip in clips])
    sampling, rows = follower.usual_sampling, []
    for hold in HOLDS:
        held = follower.holding(hold)
        dances = [held.dance(leaders, music, seed, sampling).joints for seed in range(SEEDS)]
        told = mean([numbers(joints, clips, mix) for joints in dances])
        rows.append({"what": f"hold {hold:g}", **told})
    return rows


def best_of(follower: Follower, clips: Sequence[DuetClip], mix: RewardMix) -> list[dict[str, Any]]:
    """Return the true reward of the dance that is ranked first, in two ways, and of others."""
    rows, rewards = [], rewards_of(follower.meta)
    for clip in clips:
        leader, sampling = clip.duet.leader, follower.usual_sampling
        dances = generate(follower, leader, follower.music_of(clip), SEED, sampling, DANCES)
        true = [mix(judged(one.joints[None], [clip])).means()["total"] for one in dances]
        first = ranked(dances, leader, clip.music, rewards, holds_agreed(dances, leader))[0]
        alone = [
            ranked([one], leader, clip.music, rewards, holds_agreed([one], leader))[0].scores[TOTAL]
            for one in dances
        ]
        agreed = next(i for i, one in enumerate(dances) if one is first.motion)
        rows.append(
            {
                "mean": float(np.mean(true)),
                "by own holds": true[int(np.argmax(alone))],
                "by agreed holds": true[agreed],
                "best": max(true),
            }
        )
    return [{"what": f"total of {DANCES} dances", **mean(rows)}]


def live_holds(
    follower: Follower, clips: Sequence[DuetClip], mix: RewardMix
) -> list[dict[str, Any]]:
    """Return what each firmness gives beside leaders who come frame by frame."""
    rows = []
    for hold in HOLDS:
        config = LiveConfig(hold=hold)
        joints = torch.stack([live(follower, clip, config).joints for clip in clips])
        rows.append({"what": f"hold {hold:g}", **mean([numbers(joints, clips, mix)])})
    return rows


def starts(dance: Dancer, clips: Sequence[DuetClip]) -> list[dict[str, Any]]:
    """Return how dances begin that were left to themselves, or given a pose."""
    rows = []
    for what, seconds in (("found", None), ("true first pose", 0.0), ("pose a second later", 1.0)):
        told = []
        for clip in clips:
            start = None if seconds is None else Start.of(clip.duet.follower, seconds)
            true = Start.of(clip.duet.follower, seconds or 0.0).pose
            told.append(_beginning(dance(clip, start), true))
        rows.append({"what": f"start {what}", **mean(told)})
    return rows


def _beginning(dance: Motion, pose: Motion) -> dict[str, float]:
    farthest = dance.joints.diff(dim=0).norm(dim=-1).amax(-1)
    slide = foot_slide(dance.joints, FPS).mean(-1)
    return {
        "first root off, m": float((dance.root[0] - pose.root[0]).norm()),
        "fastest joint at first, m/s": float(farthest[:BEGINNING].max() * FPS),
        "fastest joint later, m/s": float(farthest[BEGINNING:].max() * FPS),
        "slide at first, m/s": float(slide[:SLIDE].mean()),
        "slide later, m/s": float(slide[SLIDE:].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of a clip store")
    parser.add_argument("--follower", type=Path, required=True, help="folder of a follower")
    parser.add_argument("--clips", type=int, default=12, help="how many leaders, at most")
    parser.add_argument("--live", action="store_true", help="leaders come frame by frame")
    parser.add_argument("--name", default="", help="of the data, for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    follower, mix = load_follower(options.follower), RewardMix(RewardMixConfig())
    clips = DuetStore.open(options.data).clips("test")
    frames = min(LONGEST, *(clip.frames for clip in clips)) // 4 * 4
    clips = [clip.slice(0, frames) for clip in clips][: options.clips]

    def as_a_whole(clip: DuetClip, start: Start | None) -> Motion:
        music, sampling = follower.music_of(clip), follower.usual_sampling
        return generate(follower, clip.duet.leader, music, SEED, sampling, 1, None, start)[0]

    def frame_by_frame(clip: DuetClip, start: Start | None) -> Motion:
        chosen = None if start is None else ChosenStart(start)
        return live(follower, clip, LiveConfig(), chosen)

    if options.live:
        parts = {
            "live_hold": live_holds(follower, clips, mix),
            "live_start": starts(frame_by_frame, clips),
        }
    else:
        parts = {
            "hold": holds(follower, clips, mix),
            "best_of": best_of(follower, clips, mix),
            "start": starts(as_a_whole, clips),
        }
    for rows in parts.values():
        print_table(rows)
    ending = f"_{options.name}" if options.name else ""
    for part, rows in parts.items():
        print(write_results(f"beside_{part}{ending}", rows, SEED))


if __name__ == "__main__":
    main()
