"""Where do 1 to 1,024 runners and 1 to 16 GPUs saturate, and by what?

Feeds `scaling_model` with the times that `rollout.py` and `rl_iteration.py` have measured on this
machine, and with estimates where no GPU and no network was at hand (`ESTIMATES`), and draws the
answer into docs/scaling.png. A follower of full size; and the tiny one on processors alone, where
the model can be held against what was measured.

    python scripts/benchmarks/simulate_scaling.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import RESULTS, ROOT, machine_name, print_table, write_results
from scaling_model import Costs, Outcome, best_split, simulate
from scaling_plot import Line, Panel, draw

SEED = 0
RUNNERS = (1, 4, 16, 64, 256, 1024)
GPUS = (1, 2, 4, 8, 16)
DANCES, STEPS = 64, 64  # of a rollout on one core: a whole batch
GPU_DANCES = 256
BOUND = 8  # updates that rollouts may lag, where they are bounded
PLOT = ROOT / "docs" / "scaling.png"
LETTERS = {"generation": "", "weights": "w", "driver": "d", "learner": "L", "staleness": "s"}

ESTIMATES: dict[str, float] = {  # nothing of this was measured
    "gpu_flops": 0.25 * 989e12,  # a second: a quarter of an H100's bfloat16 peak
    "launch_s": 0.03,  # of a gradient step, before it computes anything
    "gpu_step_s": 0.005,  # of dancing, for all dances of a GPU: 12 layers, bound by launches
    "gpu_bandwidth": 100e9,  # bytes/s between learners' GPUs
    "network": 1.25e9,  # bytes/s of a node: 10 Gbit/s
    "runners_a_node": 64,  # cores
    "cores_a_gpu": 16,  # that score what a GPU dances
    "update_steps": 16384,  # fresh env steps of a gradient step, of each GPU
    "past_share": 0.25,  # remembered env steps beside each fresh one, as by default
}
FLOPS_A_WEIGHT = 8  # 2 forward, 4 backward, 2 of the frozen start


class Measured:
    """Rows that the benchmarks have written on this kind of machine, the newest of each."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[str, str] = {}
        for path in sorted(folder.glob(f"*-{machine_name()}.json")):
            for question, result in json.loads(path.read_text()).items():
                self._tables[question] = result["rows"]
                self.files[question] = path.name

    def row(self, question: str, **wanted: Any) -> dict[str, Any]:
        """Return the first row with these cells."""
        for row in self._tables.get(question, ()):
            if all(row[name] == value for name, value in wanted.items()):
                return row
        program = "rollout.py" if question.startswith("rollout") else "rl_iteration.py"
        raise SystemExit(
            f"{question} has no row of {wanted} for this machine in {RESULTS}; run "
            f"scripts/benchmarks/{program} first"
        )


def full_size(measured: Measured) -> Costs:
    """Return the costs of a follower of full size: runners on cores, the learner on GPUs."""
    steps = DANCES * STEPS
    dance = measured.row("rollout_full", way="cached", layout="fused", batch=DANCES)
    decode = measured.row("rollout_full", way="decode")
    weights = measured.row("rl_weights", size="full")
    a_step = (
        1 / dance["env_steps_per_s"] + 1 / decode["env_steps_per_s"] + judging_s_a_step(measured)
    )
    taken = measured.row("rl_runners", runners=1)
    parameters = 1e6 * weights["params_M"]
    return Costs(
        rollout_steps=steps,
        rollout_s=steps * a_step,
        load_s=weights["load_s"],
        runners_a_node=int(ESTIMATES["runners_a_node"]),
        weights_bytes=1e6 * weights["half_MB"],
        rollout_bytes=round(steps * taken["bytes_per_env_step"]),
        bandwidth=ESTIMATES["network"],
        publish_s=weights["publish_s"],
        take_s=taken["driver_cpu_ms_a_rollout"] / 1e3,
        loop_s=loop_s(measured),
        update_steps=int(ESTIMATES["update_steps"]),
        past_share=ESTIMATES["past_share"],
        learn_rate=ESTIMATES["gpu_flops"] / (FLOPS_A_WEIGHT * parameters),
        launch_s=ESTIMATES["launch_s"],
        gradient_bytes=4 * parameters,
        gpu_bandwidth=ESTIMATES["gpu_bandwidth"],
    )


def on_gpus(costs: Costs, measured: Measured) -> Costs:
    """Return the costs where GPUs dance, a whole batch each, and the cores beside them score."""
    steps = GPU_DANCES * STEPS
    decode = measured.row("rollout_full", way="decode")
    scoring = 1 / decode["env_steps_per_s"] + judging_s_a_step(measured)
    dance_s = STEPS * ESTIMATES["gpu_step_s"]
    return replace(
        costs,
        rollout_steps=steps,
        rollout_s=dance_s + steps * scoring / ESTIMATES["cores_a_gpu"],
        rollout_bytes=costs.rollout_bytes * steps / costs.rollout_steps,
        runners_a_node=8,
    )


def on_gpus_alone(costs: Costs) -> Costs:
    """Return the costs where GPUs dance and score: nothing waits for cores."""
    return replace(costs, rollout_s=STEPS * ESTIMATES["gpu_step_s"])


def tiny(measured: Measured) -> Costs:
    """Return the costs of the tiny follower, all on cores of this machine, all measured."""
    taken = measured.row("rl_runners", runners=1)
    steps = taken["rollout_env_steps"]
    return Costs(
        rollout_steps=steps,
        rollout_s=taken["runner_cpu_ms_a_rollout"] / 1e3,
        take_s=taken["driver_cpu_ms_a_rollout"] / 1e3,
        loop_s=loop_s(measured),
        update_steps=steps,
        learn_rate=measured.row("rl_parts", part="learn")["env_steps_per_s"],
    )


def judging_s_a_step(measured: Measured) -> float:
    """Return what the rewards of an env step take beside decoding it, which no size changes."""
    score = measured.row("rl_parts", part="score")["env_steps_per_s"]
    decode = measured.row("rollout_tiny", way="decode")["env_steps_per_s"]
    return max(0.0, 1 / score - 1 / decode)


def loop_s(measured: Measured) -> float:
    """Return what an iteration takes through RLlib beyond its work."""
    plain = measured.row("rl_iteration", way="one process, no Ray")["driver_cpu_ms"]
    rllib = measured.row("rl_iteration", way="RLlib, same process")["driver_cpu_ms"]
    return max(0.0, rllib - plain) / 1e3


def cells(fleet: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "fleet": fleet,
        "runners": outcome.runners,
        "gpus": outcome.gpus,
        "env_steps_per_s": round(outcome.env_steps_per_s),
        "learner_use": f"{outcome.learner_use:.2f}",
        "driver_use": f"{outcome.driver_use:.2f}",
        "publish_use": f"{outcome.publish_use:.2f}",
        "generating": f"{outcome.generating:.2f}",
        "fetching": f"{outcome.fetching:.2f}",
        "staleness": round(outcome.staleness, 1),
        "dropped": f"{outcome.dropped:.2f}",
        "limit": outcome.limit,
    }


def wide(costs: Costs, gpus: int) -> Costs:
    """Return the costs with gradient steps of a fixed share for each GPU."""
    return replace(costs, update_steps=costs.update_steps * gpus)


def plot(
    cpu: list[Outcome], bounded: list[Outcome], alone: Mapping[str, Sequence[Outcome]]
) -> None:
    """Draw the rate, the use of the learner and the staleness over the runners, and GPUs alone."""

    def lines(outcomes: Sequence[Outcome], value: str, marked: bool = False) -> list[Line]:
        return [
            line_of(f"{gpus} GPU{'s'[: gpus - 1]}", own, "runners", value, marked)
            for gpus in GPUS
            if (own := [outcome for outcome in outcomes if outcome.gpus == gpus])
        ]

    most = [outcome for outcome in cpu if outcome.gpus == max(GPUS)]
    free = line_of("any staleness", most, "runners", RATE, True)
    dancing = [line_of(name, own, "gpus", RATE, True) for name, own in alone.items()]
    fresh = f"env steps a second, at most {BOUND} updates stale"
    panels = [
        Panel(fresh, "runners, a core each", [*lines(bounded, RATE, True), free]),
        Panel("env steps a second, GPUs dance and learn", "GPUs", dancing),
        Panel("staleness without a bound, updates", "runners", lines(cpu, "staleness")),
        Panel("share of the time that the GPUs learn", "runners", lines(cpu, "learner_use")),
    ]
    letters = ", ".join(f"{letter} {limit}" for limit, letter in LETTERS.items() if letter)
    draw(panels, PLOT, f"Limit: {letters}, no letter generation. Times of GPUs are estimates.")


RATE = "env_steps_per_s"


def line_of(name: str, outcomes: Sequence[Outcome], across: str, value: str, marked: bool) -> Line:
    return Line(
        name,
        [getattr(outcome, across) for outcome in outcomes],
        [getattr(outcome, value) for outcome in outcomes],
        [LETTERS[outcome.limit] if marked else "" for outcome in outcomes],
    )


def main() -> None:
    measured = Measured()
    full, small = full_size(measured), tiny(measured)
    cpu = [simulate(wide(full, g), r, g, SEED) for g in GPUS for r in RUNNERS]
    bounded = [
        simulate(replace(wide(full, g), max_staleness=BOUND), r, g, SEED)
        for g in GPUS
        for r in RUNNERS
    ]
    beside = on_gpus(full, measured)
    alone = {
        "cores score": [best_split(beside, g) for g in GPUS],
        "GPUs score too": [best_split(on_gpus_alone(beside), g) for g in GPUS],
    }
    rows = [cells("full, runners on cores", outcome) for outcome in cpu]
    rows += [cells(f"the same, at most {BOUND} updates old", outcome) for outcome in bounded]
    for name, outcomes in alone.items():
        rows += [cells(f"full, GPUs dance, {name}", outcome) for outcome in outcomes]
    rows += [cells("tiny, learner on a core", simulate(small, r, 1, SEED)) for r in (1, 2, 4, 16)]
    print("costs, full size:", full)
    print("costs, tiny:", small)
    print("estimates:", ESTIMATES)
    print_table(rows)
    for runners in (1, 2):
        row = measured.row("rl_iteration", way=f"RLlib, {runners} runner actor{'s'[: runners - 1]}")
        said = simulate(small, runners, 1, SEED).env_steps_per_s
        print(f"tiny, {runners} runners: measured {row[RATE]:.0f}, the model says {said:.0f}")
    plot(cpu, bounded, alone)
    print(PLOT)
    print(write_results("scaling", rows, SEED))


if __name__ == "__main__":
    main()
