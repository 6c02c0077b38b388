"""How late does a live follower answer, how evenly, and does its memory stay flat?

A leader's poses come at 30 a second in real time; the follower answers each with a frame of its
own. Latency is the time from the moment when a pose is due to the frame that answers it: what the
machine adds to the delay that the follower is told to have. `slack` is that delay beside the
tokens: 0 does a token's work while its last frame waits, 1 in a thread while the next one comes.
The weights are random: their values cost nothing. Run it on one core:

    taskset -c 0 python scripts/benchmarks/live.py                    # tables of a minute each
    taskset -c 0 python scripts/benchmarks/live.py --minutes 10 --only tiny:1
    taskset -c 0 python scripts/benchmarks/live.py --minutes 0.5 --only tiny:1 \\
        --skeleton 30 60 120 --name live_skeleton

With `--skeleton` the leader comes as rotations of another skeleton (55 joints, centimetres, so
many poses a second), and each pose is retargeted on the way.
"""

import argparse
import os
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from bench import print_table, write_results

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.rotations import axis_angle_to_matrix
from duet_rl.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, default_skeleton
from duet_rl.config import resolve
from duet_rl.generate.follower import Follower
from duet_rl.live.follower import LiveFollower
from duet_rl.live.intake import Intake, LeaderFrame
from duet_rl.live.pace import Paced
from duet_rl.live.settings import LiveConfig
from duet_rl.mocap.stream import SkeletonStream, StreamSkeleton, TurnedPose
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.follower import build_gpt
from duet_rl.run import RunConfig
from duet_rl.tokenizers.codec import build_codec
from duet_rl.tokenizers.leader import LEADER_CHANNELS

SEED = 0
FPS = 30
WARM_UP = 64  # frames that are not counted
# size:slack; +window: a codec that looks ahead, whose last tokens are decoded again each time
ALL = ["tiny:0", "tiny:1", "tiny+window:1", "small:0", "small:1", "small:2", "small+window:3"]
WINDOW = "+window"
CAUSAL = ("codec.frame.causal=true", "codec.frame.heading_sigma=2", "codec.frame.path_sigma=4")


def follower_of(size: str) -> Follower:
    """Return an untrained follower of a preset's size; its codec looks ahead if that is said."""
    torch.manual_seed(SEED)
    settings = [] if size.endswith(WINDOW) else list(CAUSAL)
    config = resolve(RunConfig, size.removesuffix(WINDOW), settings)
    codec = build_codec(config.codec)
    for name, values in codec.named_buffers():
        if name.endswith("codebook"):
            values.normal_(0, 0.3)
    channels = {"music": MUSIC_DIMS, "leader": LEADER_CHANNELS}
    conditions = tuple(ConditionConfig(name=n, channels=c) for n, c in channels.items())
    wanted = config.follower.gpt.model_copy(
        update={"classes": codec.spec.classes, "conditions": conditions}
    )
    return Follower(codec.eval(), build_gpt(wanted).eval(), {})


def leader_of(frames: int) -> torch.Tensor:
    """Return a leader who sways, `(frames, 55, 3)`."""
    rest = default_skeleton().rest_joints()
    sway = torch.arange(frames) / FPS * 3.0
    moved = torch.stack([0.2 * sway.sin(), 0.02 * (2 * sway).sin(), 0.1 * sway.cos()], dim=-1)
    noise = 0.01 * torch.randn(frames, 55, 3, generator=torch.Generator().manual_seed(SEED))
    return rest + moved[:, None] + noise


def poses_of(rate: int, seconds: float = 20.0) -> tuple[StreamSkeleton, list[TurnedPose]]:
    """Return a leader of another skeleton who sways in every joint, `rate` poses a second."""
    names = tuple(f"avatar:{name}" for name in JOINT_NAMES)
    skeleton = StreamSkeleton(names, PARENTS, default_skeleton().offsets * 100)
    time = torch.arange(round(seconds * rate)) / rate
    phase = 6.28 * torch.rand(NUM_JOINTS, 3, generator=torch.Generator().manual_seed(SEED))
    turns = axis_angle_to_matrix(0.15 * torch.sin(3 * time[:, None, None] + phase))
    root = torch.stack([20 * time.sin(), 92 + 0 * time, 10 * time.cos()], dim=-1)
    return skeleton, [TurnedPose(*pose) for pose in zip(root, turns, strict=True)]


class Ours:
    """A leader of our joints, 30 poses a second."""

    rate = FPS

    def __init__(self) -> None:
        self._joints = leader_of(FPS * 20)

    def put(self, number: int) -> list[torch.Tensor]:
        """Return the even frames that a pose brings."""
        return [self._joints[number % len(self._joints)]]


class Theirs:
    """A leader of another skeleton; what his poses cost is kept."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.pose_ms: list[float] = []
        skeleton, self._poses = poses_of(rate)
        self._stream, self._intake = SkeletonStream(skeleton), Intake()

    def put(self, number: int) -> list[torch.Tensor]:
        """Return the even frames that a pose brings, retargeted."""
        begin = time.perf_counter()
        joints = self._stream.joints(self._poses[number % len(self._poses)])
        assert joints is not None
        even = self._intake.put(LeaderFrame(number / self.rate, joints))
        self.pose_ms.append(1e3 * (time.perf_counter() - begin))
        return [frame.joints for frame in even]


def danced(follower: Follower, slack: int, minutes: float, leader: Ours | Theirs) -> dict[str, Any]:
    """Return the times of a dance in real time."""
    live = LiveFollower(follower, LiveConfig(slack=slack), seed=SEED)
    music = torch.randn(FPS * 20, MUSIC_DIMS)
    late: list[float] = []  # ms
    left: list[float] = []  # s, when frames left
    memory = []
    danced = 0
    with ThreadPoolExecutor(1) as thread:
        paced = Paced(live, thread if slack else None, slack)
        begin = time.perf_counter()
        for number in range(round(minutes * 60 * leader.rate)):
            due = begin + number / leader.rate
            time.sleep(max(due - time.perf_counter(), 0))
            for joints in leader.put(number):
                paced.put(joints, music[danced % len(music)])
                danced += 1
                shown = paced.take()
                now = time.perf_counter()
                if danced > WARM_UP and shown:
                    late.append(1e3 * (now - due))
                    left.append(now)
            if number % (leader.rate * 5) == 0:
                memory.append(rss_mb())
    apart = [1e3 * (b - a) for a, b in pairwise(left)]
    work = sorted(paced.work_ms)
    settled = memory[len(memory) // 4 :]
    pose = sorted(leader.pose_ms[WARM_UP:]) if isinstance(leader, Theirs) else None
    return {
        **({} if pose is None else {"pose_p50_ms": at(pose, 0.5), "pose_p99_ms": at(pose, 0.99)}),
        "token_p50_ms": statistics.median(work),
        "token_p99_ms": at(work, 0.99),
        "p50_ms": statistics.median(late),
        "p99_ms": at(sorted(late), 0.99),
        "worst_ms": max(late),
        "over_33_ms_percent": 100 * sum(ms > 1e3 / FPS for ms in late) / len(late),
        "jitter_ms": statistics.pstdev(apart),
        "delay_ms": 1e3 / FPS * paced.lag,
        "memory_mb": memory[-1],
        "memory_grew_mb": settled[-1] - settled[0],
    }


def at(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def rss_mb() -> float:
    """Return the memory that this process holds now."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=ALL)
    parser.add_argument("--skeleton", nargs="*", type=int, help="poses a second of another's")
    parser.add_argument("--name", default="live")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for each, rate in product(asked.only, asked.skeleton or [None]):
        size, _, slack = each.partition(":")
        row: dict[str, Any] = {"size": size, "slack": int(slack), "minutes": asked.minutes}
        row |= {} if rate is None else {"poses_per_second": rate}
        leader = Ours() if rate is None else Theirs(rate)
        row |= danced(follower_of(size), int(slack), asked.minutes, leader)
        rows.append({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})
        print_table(rows[-1:])
    print_table(rows)
    if asked.name:
        print(write_results(asked.name, rows, SEED))


if __name__ == "__main__":
    main()
