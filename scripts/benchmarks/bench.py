"""What the benchmarks share: times of several runs, one table, one JSON file a day."""

import datetime
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


def best_ms(
    work: Callable[[], Any], repeats: int, warm_up: int = 1, seconds: float = 10.0
) -> float:
    """Return the shortest time of `work`, ms: the one that other programs disturbed least.

    Runs `work` at most `repeats` times, fewer when that takes longer than `seconds`.
    """
    return min(times_ms(work, repeats, warm_up, seconds))


def times_ms(work: Callable[[], Any], repeats: int, warm_up: int, seconds: float) -> list[float]:
    """Return the times of `work`, ms, of at least one run."""
    for _ in range(warm_up):
        work()
    times: list[float] = []
    while len(times) < repeats and sum(times) < 1e3 * seconds:
        begin = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows that have the same keys, the keys on top."""
    lines = [list(rows[0]), *([_shown(cell) for cell in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def write_results(question: str, rows: Sequence[dict[str, Any]], seed: int) -> Path:
    """Put `rows` under `question` into today's results of this machine; return the file."""
    path = RESULTS / f"{datetime.date.today().isoformat()}-{machine_name()}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    known[question] = {
        "commit": _commit(),
        "hardware": f"{_processor()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),  # programs that wanted a core, this one included
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seed": seed,
        "rows": list(rows),
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")
    return path


def machine_name() -> str:
    """Return a short name of this kind of machine, such as `amd-epyc-2-cores`."""
    words = re.findall(r"[a-z0-9]+", _processor().lower())
    return "-".join([*words[:3], str(os.cpu_count()), "cores"])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = re.search(r"model name\s*:\s*(.+)", info.read_text())
        if named:
            return named.group(1).strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _shown(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)
