"""How much memory does the replay take, and how long to remember and to recall a group?

100,000 token steps of 5 and of 6 streams, in groups of 8 dances of 64 steps and of one dance of
400, in the driver and dealt out to two actors. Memory is that of the processes that hold the
groups, beside the bytes of the arrays; every row has a process of its own. 4 groups are remembered
and 16 recalled at once. With shards the times include the way through Ray's object store, and
remembering waits for what was remembered before, which in training is done by then.

    python scripts/benchmarks/replay.py
"""

import multiprocessing
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray
from bench import best_ms, print_table, write_results
from safetensors.torch import save_file

from duet_rl.resources import start_ray
from duet_rl.rl.replay import Replay, ReplayConfig, RolloutGroup

SEED = 0
TOKEN_STEPS = 100_000
AN_ITERATION = 4  # groups that are remembered at once
A_STEP = 16  # groups that are recalled at once
REPEATS = 20
CLASSES = 512


class Case(NamedTuple):
    """A memory and what it holds."""

    streams: int
    rollouts: int  # of a group
    steps: int  # of a rollout
    shards: int


CASES = [
    Case(streams, rollouts, steps, shards)
    for rollouts, steps in ((8, 64), (1, 400))
    for streams in (5, 6)
    for shards in (0, 2)
]


def group(case: Case, rng: np.random.Generator) -> RolloutGroup:
    shape = (case.rollouts, case.steps, case.streams)
    return RolloutGroup(
        clip=int(rng.integers(1000)),
        frame=int(rng.integers(1000)),
        version=0,
        tokens=rng.integers(CLASSES, size=shape, dtype=np.int16),
        log_probs=rng.standard_normal(shape, dtype=np.float32),
        rewards=rng.random(shape, dtype=np.float32),
        means={"foot": 0.5, "contact": 0.5, "beat": 0.5, "tracking": 0.5, "total": 0.5},
    )


def resident_mb(pids: list[int]) -> float:
    """Return the memory that these processes alone hold, MB: what they share is left out."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    found = [re.search(r"RssAnon:\s+(\d+) kB", text) for text in texts]
    return sum(int(match[1]) for match in found if match) * 1024 / 1e6


def measure(case: Case) -> dict[str, Any]:
    """Return the row of a case."""
    if case.shards:
        start_ray(num_cpus=1)
        try:
            return fill_and_time(case)
        finally:
            ray.shutdown()
    return fill_and_time(case)


def fill_and_time(case: Case) -> dict[str, Any]:
    settings = {"memory": "uniform", "capacity": None, "max_steps": TOKEN_STEPS}
    replay = Replay(
        ReplayConfig.model_validate({**settings, "shards": case.shards, "past_a_batch": A_STEP})
    )
    rng = np.random.default_rng(SEED)
    fresh = [group(case, rng) for _ in range(AN_ITERATION)]  # what the code takes comes first
    replay.add(fresh)
    replay.remembered(rng)
    holders = replay.shard_pids() or [os.getpid()]
    held, before, seconds, iterations = replay.nbytes, resident_mb(holders), 0.0, 0
    wanted = -(-TOKEN_STEPS // len(fresh[0]))
    while len(replay) + AN_ITERATION <= wanted:
        fresh = [group(case, rng) for _ in range(AN_ITERATION)]
        begin = time.perf_counter()
        replay.add(fresh)
        seconds += time.perf_counter() - begin
        iterations += 1
    replay.shard_pids()  # which waits until the shards have done what they were told
    after = resident_mb(holders)
    recall = best_ms(lambda: replay.remembered(rng), REPEATS) / A_STEP
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "replay.safetensors"
        save = best_ms(lambda: save_file(replay.tensors(), file), 5)
    grown = after - before
    row = {
        "streams": case.streams,
        "group": f"{case.rollouts} x {case.steps}",
        "shards": case.shards,
        "groups": len(replay),
        "token_steps": replay.steps,
        "bytes_a_step": replay.nbytes / replay.steps,
        "arrays_MB": replay.nbytes / 1e6,
        # The few groups that were there before count as their arrays.
        "process_MB": grown + held / 1e6,
        "holders_MB": after,  # the whole of the processes
        "add_us_a_group": 1e6 * seconds / (iterations * AN_ITERATION),
        "recall_us_a_group": 1e3 * recall,
        "save_ms": save,
    }
    replay.close()
    return {name: round(v, 1) if isinstance(v, float) else v for name, v in row.items()}


def main() -> None:
    context = multiprocessing.get_context("spawn")
    rows = []
    for case in CASES:
        with context.Pool(1) as pool:
            rows.append(pool.apply(measure, (case,)))
    print_table(rows)
    print(write_results("replay", rows, SEED))


if __name__ == "__main__":
    main()
