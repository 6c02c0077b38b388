"""How long does a person wait before anything happens: `import duet_rl`, and the help of a command?

    python scripts/benchmarks/startup.py

Each is done in new processes, one after the other, with the files in the cache of the disk. Times
are those between asking and having; the processor's are those that other programs do not lengthen.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from bench import print_table, write_results

IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
PROGRAMS = {  # what -> arguments of python; those that print seconds time themselves
    "import duet_rl": ("-c", IMPORT.format("import duet_rl")),
    "duet_rl.load (imports torch)": ("-c", IMPORT.format("import duet_rl; duet_rl.load")),
    "duet-rl --help": ("-m", "duet_rl", "--help"),
    "duet-rl generate --help": ("-m", "duet_rl", "generate", "--help"),
    "python -c pass": ("-c", "pass"),
}


def once(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the wall time and the processor time of a new process, ms."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    told = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if "perf_counter" in arguments[-1]:
        wall = float(told.stdout)
    return 1e3 * wall, 1e3 * busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    rows: list[dict[str, Any]] = []
    for what, arguments in PROGRAMS.items():
        once(arguments)  # fills the caches
        times = [once(arguments) for _ in range(repeats)]
        walls = [wall for wall, _ in times]
        rows.append(
            {
                "what": what,
                "best, ms": round(min(walls), 2),
                "median, ms": round(statistics.median(walls), 2),
                "processor, ms": round(min(busy for _, busy in times)),
            }
        )
    print_table(rows)
    print(write_results("startup", rows, seed=0))


if __name__ == "__main__":
    main()
