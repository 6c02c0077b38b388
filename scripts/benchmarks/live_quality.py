"""How well does a live follower dance, by how long it waits?

Leaders of a store's test clips are fed frame by frame, music and all, to a follower whose codec
never looks ahead (preset `live`) at several look-aheads, and to one whose codec does (preset
`tiny`, trained on the same clips) with several tokens of delay. The dances are measured by the
strict protocol of `duet-rl evaluate`. Delay is what a frame waits for beside computing.

    python scripts/benchmarks/live_quality.py --data STORE --causal RUN --window RUN
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from bench import print_table, write_results

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.evaluate.followers import Recorded, follower_in
from duet_rl.evaluate.run import evaluate
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.generate.start import ChosenStart
from duet_rl.live.follower import LiveFollower
from duet_rl.live.settings import LiveConfig
from duet_rl.mocap.npz import write_npz
from duet_rl.run import RunConfig

SEED = 0
LOOK_AHEADS = (0, 1, 2, 4, 8, 29)
WINDOWS = ((0, 0), (0, 1), (0, 2), (0, 4), (8, 1))  # look-ahead, delay
TRUE = "true partner"
MEASURES = (  # what is kept of the table
    *("reward/total", "root_error", "facing_error", "hold_f1", "contact_f1", "penetration"),
    *("foot_slide", "jerk", "boundary_jumps", "beat_f1", "beat_f1_shuffled", "fid_kinetic"),
    *("fid_duet", "frozen_share"),
)


def dance(
    follower: Follower, clip: DuetClip, config: LiveConfig, start: ChosenStart | None = None
) -> Motion:
    """Return the live follower of a clip."""
    live = LiveFollower(follower, config, seed=SEED, start=start)
    leader, joints, rotations = clip.duet.leader.joints, [], []
    for frame in range(clip.frames):
        cut = slice(frame, frame + 1)
        came = live.step(leader[cut], clip.music[cut])
        joints.append(came.joints)
        rotations.append(came.rotations)
    rest = live.finish()
    joined = [
        torch.cat([*parts, last]) for parts, last in ((joints, rest[1]), (rotations, rest[2]))
    ]
    return Motion(joined[0], joined[1], Skeleton(follower.codec.offsets, "live"), FPS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--causal", type=Path, required=True)
    parser.add_argument("--window", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=24)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    store = DuetStore.open(asked.data)
    clips = store.clips("test")[: asked.clips]
    runs = {
        name: load_follower(folder)
        for name in ("causal", "window")
        if (folder := follower_in(getattr(asked, name))) is not None
    }
    wanted = [("causal", LiveConfig(look_ahead=ahead)) for ahead in LOOK_AHEADS]
    wanted += [("window", LiveConfig(look_ahead=a, delay=d)) for a, d in WINDOWS]
    told: list[tuple[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as folder:
        entrants = []
        for kind, config in wanted:
            follower = runs[kind]
            lag = LiveFollower(follower, config).lag
            name = f"{kind} look-ahead {config.look_ahead} delay {config.delay}"
            place = Path(folder) / name
            place.mkdir()
            for clip in clips:
                write_npz(place / f"{clip.name}.npz", dance(follower, clip, config))
            entrants.append(Recorded(name, place))
            told.append(
                (
                    name,
                    {
                        "codec": kind,
                        "look_ahead": config.look_ahead,
                        "delay_tokens": config.delay if kind == "window" else 0,
                        "waits_ms": round(1e3 * lag / FPS),
                    },
                )
            )
            print(name, flush=True)
        rewards = RunConfig().rl.rewards.without_tokens()
        settings = EvaluateConfig(max_clips=len(clips), probe_clips=0, workers=1)
        found = evaluate(store, entrants, rewards, settings, progress=False)
    rows = []
    for name, row in [
        (TRUE, {"codec": TRUE, "look_ahead": None, "delay_tokens": None, "waits_ms": None}),
        *told,
    ]:
        measured = next(each for each in found.rows if each.name == name)
        cells = {m: measured.interval(m) if measured.has(m) else None for m in MEASURES}
        rows.append(
            row
            | {
                m: None if c is None else [round(v, 3) for v in (c.mean, c.low, c.high)]
                for m, c in cells.items()
            }
        )
    print_table([{k: v[0] if isinstance(v, list) else v for k, v in row.items()} for row in rows])
    print(write_results("live_quality", rows, SEED))


if __name__ == "__main__":
    main()
