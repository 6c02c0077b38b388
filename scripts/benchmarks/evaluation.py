"""How long does an evaluation of many clips take, on how much memory?

Fills a store with copies of the clips of another one and measures a follower on them with the
baselines, as `duet-rl evaluate` does, page included. Memory is that of this process and of the
largest Ray worker, asked for every half second.

    python scripts/benchmarks/evaluation.py --data runs/demo/data --follower runs/demo/rl
"""

import argparse
import itertools
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import print_table, write_results

from duet_rl.config import resolve
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.judging import evaluate_runs
from duet_rl.run import RunConfig

SEED = 0
ASK_SECONDS = 0.5


class Memory:
    """The most memory that this process and any of its workers had at a time, MB."""

    def __init__(self) -> None:
        self.driver = self.worker = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(ASK_SECONDS):
            self.driver = max(self.driver, _resident_mb(Path(f"/proc/{os.getpid()}")))
            for process in Path("/proc").glob("[0-9]*"):
                if _name(process).startswith("ray::"):
                    self.worker = max(self.worker, _resident_mb(process))


def _resident_mb(process: Path) -> float:
    try:
        status = (process / "status").read_text()
    except OSError:  # it has ended
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1e3 if found else 0.0


def _name(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""


def copies(store: DuetStore, count: int) -> Iterator[DuetClip]:
    """Yield the training clips, and `count` copies of the test clips, without their sound."""
    for clip in store.clips("train"):
        yield replace(clip, audio=None)
    for number, clip in zip(range(count), itertools.cycle(store.clips("test")), strict=False):
        name = f"copy_{number:05d}"
        yield replace(clip, name=name, choreography=name, audio=None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="KEY=VALUE, as everywhere")
    parser.add_argument("--data", type=Path, required=True, help="folder of a clip store")
    parser.add_argument("--follower", type=Path, required=True, help="folder of a follower")
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 1000])
    options = parser.parse_args()
    config = resolve(RunConfig, "tiny", options.settings)
    given, rows = DuetStore.open(options.data), []
    for count in options.clips:
        with tempfile.TemporaryDirectory() as scratch:
            clips = list(copies(given, count))
            split = {
                clip.choreography: "test" if clip.name.startswith("copy_") else "train"
                for clip in clips
            }
            store = DuetStore.create(
                Path(scratch) / "store", clips, SplitConfig(given=split), music=given.music
            )
            frames = sum(record.frames for record in store.records("test"))
            del clips
            begin = time.perf_counter()
            with Memory() as memory:
                runs = {"follower": options.follower}
                evaluation = evaluate_runs(config, runs, store.path, Path(scratch) / "out")
            seconds = time.perf_counter() - begin
            page = (Path(scratch) / "out" / "report.html").stat().st_size / 1e6
        rows.append(
            {
                "clips": count,
                "minutes of dance": round(frames / 1800, 1),
                "rows": len(evaluation.rows),
                "seeds": evaluation.seeds,
                "seconds": round(seconds, 1),
                "driver, MB": round(memory.driver),
                "largest worker, MB": round(memory.worker),
                "page, MB": round(page, 1),
            }
        )
        print_table(rows)
    print(write_results("evaluation", rows, SEED))


if __name__ == "__main__":
    main()
