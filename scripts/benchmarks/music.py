"""How long do the music features of an hour of music take, and how much memory?

As twelve pieces of five minutes and as one piece of an hour, with the numbers of librosa 0.11 and
0.8, in one process and in two. The pieces are synthesized; time counts from the WAV file (44.1 kHz)
to the features, once librosa is loaded and compiled.

    python scripts/benchmarks/music.py
"""

import math
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
from bench import print_table, write_results

from duet_rl.audio.features import HOP, SAMPLE_RATE, music_features, music_features_of
from duet_rl.audio.files import write_wav
from duet_rl.audio.grooves import GROOVES, Style
from duet_rl.audio.provenance import music_facts
from duet_rl.audio.recipes import Compat, MusicConfig
from duet_rl.audio.synth import render_rhythm

SEED = 0
RATE = 44_100  # Hz
PIECES, MINUTES = 12, 5
STYLES: tuple[Style, ...] = ("waltz", "tango", "salsa")
COMPATS: tuple[Compat, ...] = ("0.11", "0.8")


def pieces() -> list[np.ndarray]:
    """Return pieces of different tempo and style."""
    return [
        render_rhythm(
            *(90.0 + 5 * i, GROOVES[STYLES[i % 3]].metre, 60.0 * MINUTES, STYLES[i % 3]),
            seed=SEED + i,
            sample_rate=RATE,
        )
        for i in range(PIECES)
    ]


def get_ready(compat: Compat, together: Barrier) -> None:
    """Load and compile what the features need, then wait for the other processes."""
    noise = np.random.default_rng(SEED).standard_normal(SAMPLE_RATE * 5).astype(np.float32)
    music_features(noise, compat=compat)
    together.wait()


def extract(path: Path, compat: Compat) -> tuple[int, float]:
    """Return the frames of a file, and the most memory that this process ever held, GB."""
    frames = len(music_features_of(path, compat=compat))
    status = Path("/proc/self/status").read_text()  # `getrusage` counts the parent's memory too
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return frames, int(peak[1]) / 1e6 if peak else math.nan


def hour(paths: Sequence[Path], compat: Compat, processes: int) -> dict[str, Any]:
    """Return the row of an hour of music in these files."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, get_ready, (compat, together)) as pool:
        for ready in [pool.submit(os.getpid) for _ in range(processes)]:
            ready.result()
        begin = time.perf_counter()
        done = list(pool.map(extract, paths, [compat] * len(paths)))
        seconds = time.perf_counter() - begin
    heard = sum(frames for frames, _ in done) * HOP / SAMPLE_RATE
    return {
        "compat": compat,
        "resampler": music_facts(MusicConfig(compat=compat))["resampler"],
        "pieces": len(paths),
        "minutes_each": round(heard / 60 / len(paths), 1),
        "processes": processes,
        "seconds": round(seconds, 1),
        "times_real_time": round(heard / seconds, 1),
        "peak_gb": round(max(memory for _, memory in done), 2),  # of the largest process
    }


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started; they share the cores
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.wav" for i in range(PIECES)]
        music = pieces()
        for path, samples in zip(paths, music, strict=True):
            write_wav(path, samples, RATE)
        whole = Path(folder) / "hour.wav"
        write_wav(whole, np.concatenate(music), RATE)
        del music
        rows = [hour(paths, compat, processes) for compat in COMPATS for processes in (1, 2)]
        rows += [hour([whole], compat, 1) for compat in COMPATS]
    print_table(rows)
    print(write_results("music", rows, SEED))


if __name__ == "__main__":
    main()
