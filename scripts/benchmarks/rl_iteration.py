"""What do a second runner and Ray itself do to the speed of RL?

A world of the `tiny` preset's size, made on the spot: synthetic couples, an untrained codec, an
untrained follower. All on one thread a process.

`rl_runners`: env steps a second that one and two runner actors send home, rewards included, and
the processor time that each rollout (a whole batch) costs the driver. Nothing learns meanwhile.

`rl_iteration`: a whole iteration (dance, score, learn, hand over the weights), as a plain loop in
one process without Ray, and through RLlib: by turns in this same process, then with runner actors,
which dance while the learner learns. Replay is left out, so that all do the same work. `rl_parts`
is the plain iteration in parts, and `rl_weights` the way of the weights, as bfloat16 through Ray.

    python scripts/benchmarks/rl_iteration.py [--seconds 4] [--iterations 12] [--parts runners]
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray
import torch
from bench import print_table, write_results
from rollout import gpt as untrained_gpt

from duet_rl import checkpoint
from duet_rl.config import resolve
from duet_rl.datasets.clip import FPS
from duet_rl.models.sampling import generate
from duet_rl.resources import start_ray
from duet_rl.rl.algorithm import DuetRL, DuetRLConfig
from duet_rl.rl.dances import dances_of, make_dances
from duet_rl.rl.losses import LOSSES, Experience
from duet_rl.rl.module import FollowerRLModule
from duet_rl.rl.replay import ReplayConfig, RolloutGroup
from duet_rl.rl.settings import RLConfig
from duet_rl.rl.weights import halved
from duet_rl.run import RunConfig, prepare_synthetic
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

Table = list[dict[str, Any]]

SEED = 0
COUPLES = ("synthetic.choreographies=3", "prepare.parallel=false")
SPLIT = ("prepare.split.val=0", "prepare.split.test=0")
REPEATS = 6  # turns of one and of two runners, and of the weights
PROC_TIMES = (11, 12)  # of user and system, in /proc/PID/stat after the name
CLUSTER = 4  # processors that Ray is told of: 1 + 2 runners of two algorithms, never busy together


class World(NamedTuple):
    """Where the dances and the follower are, and the settings of RL."""

    data: Path
    follower: Path
    gpt: dict[str, Any]
    settings: RLConfig

    @property
    def env_settings(self) -> dict[str, Any]:
        """Return the keyword arguments of the environment, as a run gives them."""
        dance = {"seconds": self.settings.seconds, "group_size": self.settings.rollouts}
        return {
            "data": str(self.data),
            "codec": str(self.follower),
            "split": "train",
            "rewards": self.settings.rewards.model_dump(),
            "dance": dance,
        }

    def config(self, runners: int) -> DuetRLConfig:
        return DuetRLConfig.of(self.settings, self.follower, self.gpt, self.env_settings, runners)


def make_world(folder: Path) -> World:
    """Make dances, and a follower that knows nothing, in `folder`."""
    run = resolve(RunConfig, "tiny", [*COUPLES, *SPLIT])
    store = prepare_synthetic(run, folder / "data", progress=False)
    torch.manual_seed(SEED)
    codec = DuetCodec(run.codec).eval()
    for name, buffer in codec.named_buffers():
        if name.endswith("codebook"):
            buffer.normal_()  # so that tokens move the follower
    gpt = untrained_gpt("tiny", "fused")
    tensors, config = gpt.state_dict(), gpt.config
    follower = checkpoint.save(
        folder / "follower", kind="follower", tensors=tensors, config=config, meta={}
    )
    codec.save(follower, {})
    nothing = ReplayConfig(capacity=0, first=0, past_a_batch=0)
    settings = run.rl.model_copy(update={"seed": SEED, "replay": nothing})
    return World(store.path, follower, gpt.config.model_dump(), settings)


class PlainLoop:
    """An iteration of RL with nothing around it: no Ray, no RLlib, nothing packed or looked up."""

    def __init__(self, world: World) -> None:
        self.settings = world.settings
        count = self.settings.leaders * self.settings.rollouts
        env = make_dances(self.settings.env, count, world.env_settings)
        self.dances = dances_of(env)
        self.module = FollowerRLModule(
            observation_space=env.single_observation_space,
            action_space=env.single_action_space,
            inference_only=False,
            model_config=world.config(0).get_default_rl_module_spec().model_config,
        )
        start = checkpoint.load(world.follower, "follower")
        checkpoint.load_module(self.module.gpt, start.tensors, start.path)
        self.module.freeze_start()
        self.learned = [p for p in self.module.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(self.learned, lr=self.settings.lr)
        self.done = 0
        self.parts: dict[str, list[float]] = {"generate": [], "score": [], "learn": []}

    def __call__(self) -> None:
        begin = time.perf_counter()
        count = self.settings.leaders * self.settings.rollouts
        self.dances.restart([np.random.default_rng([SEED, self.done, i]) for i in range(count)])
        generator = torch.Generator().manual_seed(self.done)
        told, module = self.dances.conditions(), self.module
        sampled = generate(
            module.gpt, told, self.dances.steps, module.sampling, generator, module.look_ahead
        )
        danced = time.perf_counter()
        terms = self.dances.score(sampled.tokens)
        rewards = terms.per_stream(self.dances.parts, FRAMES_PER_TOKEN)
        scored = time.perf_counter()
        experience = Experience(rewards, sampled.log_probs, self.settings.rollouts)
        verdict = module.verdict(sampled.tokens, told)
        self.adam.zero_grad()
        loss = self.settings.loss
        LOSSES[loss](verdict, experience, getattr(self.settings, loss)).total.backward()
        torch.nn.utils.clip_grad_norm_(self.learned, self.settings.grad_clip)
        self.adam.step()
        times = (danced - begin, scored - danced, time.perf_counter() - scored)
        for name, seconds in zip(self.parts, times, strict=True):
            self.parts[name].append(seconds)
        self.done += 1

    def table(self, steps: int) -> Table:
        """Return what each part of an iteration of `steps` env steps takes."""
        medians = {name: statistics.median(seconds) for name, seconds in self.parts.items()}
        return [
            {"part": name, "ms": round(1e3 * seconds, 1), "env_steps_per_s": round(steps / seconds)}
            for name, seconds in medians.items()
        ]


class Clock:
    """Wall and processor time of one kind of iteration."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def tick(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.work()
        self.wall.append(1e3 * (time.perf_counter() - wall))
        self.cpu.append(1e3 * (time.process_time() - cpu))

    def cells(self, way: str, steps: float, plain: float | None = None) -> dict[str, Any]:
        """Return the line of the table.

        Args:
            way: what the iterations are.
            steps: env steps of an iteration; with actors their mean, for one takes all there is.
            plain: env steps a second to compare with.
        """
        wall = statistics.median(self.wall)
        rate = 1e3 * steps / wall
        low, high = quartiles(self.wall)
        return {
            "way": way,
            "iterations": len(self.wall),
            "iteration_ms": round(wall, 1),
            "quarter_below_ms": round(low, 1),
            "quarter_above_ms": round(high, 1),
            "driver_cpu_ms": round(statistics.median(self.cpu), 1),
            "env_steps": round(steps),
            "env_steps_per_s": round(rate, 1),
            "speed_of_plain": None if plain is None else f"{rate / plain:.3f}",
        }


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def compare_iterations(world: World, iterations: int, steps: int) -> dict[str, Table]:
    """Time iterations without Ray, through RLlib, and with runners that are actors.

    Returns:
        `rl_iteration`, and `rl_parts`, what the one without Ray consists of.
    """
    plain_loop, here = PlainLoop(world), world.config(0).build_algo()
    plain, rllib = Clock(plain_loop), Clock(here.train)
    for number in range(iterations + 2):
        if number == 2:  # two to warm up
            plain, rllib = Clock(plain_loop), Clock(here.train)
            plain_loop.parts = {name: [] for name in plain_loop.parts}
        for clock in (plain, rllib) if number % 2 else (rllib, plain):
            clock.tick()
    here.stop()
    rows = [plain.cells("one process, no Ray", steps)]
    rate = rows[0]["env_steps_per_s"]
    rows.append(rllib.cells("RLlib, same process", steps, rate))
    for runners in (1, 2):
        algorithm = world.config(runners).build_algo()
        for number in range(iterations + 2):
            if number == 2:
                actors, known = Clock(algorithm.train), algorithm.token_steps
            elif number == 0:
                actors, known = Clock(algorithm.train), 0
            actors.tick()
        learned = (algorithm.token_steps - known) / iterations
        algorithm.stop()
        way = f"RLlib, {runners} runner actor{'s'[: runners - 1]}"
        rows.append(actors.cells(way, learned, rate))
    return {"rl_iteration": rows, "rl_parts": plain_loop.table(steps)}


class Turn(NamedTuple):
    """What came home in a while."""

    steps_per_s: float
    cores: float  # processors that the runners got, all together
    runner_ms: float  # processor time of a runner for each rollout
    driver_ms: float  # processor time of the driver for each rollout
    bytes_per_step: float  # of packed rollouts


def collect(algorithm: DuetRL, seconds: float, rollout: int) -> Turn:
    """Collect for a while, once the runners are at it; `rollout` is a runner's env steps."""
    runners = _processes(algorithm)
    for _ in range(3 * len(runners)):
        algorithm.collector.collect()
    groups: list[RolloutGroup] = []
    danced, worked, begin = _cpu_seconds(runners), time.process_time(), time.perf_counter()
    while time.perf_counter() - begin < seconds:
        groups += algorithm.collector.collect()
    took, worked = time.perf_counter() - begin, time.process_time() - worked
    danced = _cpu_seconds(runners) - danced
    steps = sum(len(group) for group in groups)
    size = sum(g.tokens.nbytes + g.log_probs.nbytes + g.rewards.nbytes for g in groups)
    rollouts = steps / rollout
    return Turn(
        steps / took, danced / took, 1e3 * danced / rollouts, 1e3 * worked / rollouts, size / steps
    )


def _processes(algorithm: DuetRL) -> list[int]:
    """Return the process ids of the runners."""
    ids: list[int] = algorithm.env_runner_group.foreach_env_runner(
        lambda _: os.getpid(), local_env_runner=False
    )
    return ids


def _cpu_seconds(processes: Sequence[int]) -> float:
    """Return the processor time that processes have taken, s; Linux only.

    The runners themselves would answer only once their rollout is done.
    """
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(fields[place]) for place in PROC_TIMES)
    return ticks / os.sysconf("SC_CLK_TCK")


def compare_runners(world: World, seconds: float, rollout: int) -> Table:
    """Measure what one and two runners send home, by turns."""
    counts = (1, 2)
    algorithms = {count: world.config(count).build_algo() for count in counts}
    turns: dict[int, list[Turn]] = {count: [] for count in counts}
    for number in range(REPEATS):
        for count in counts if number % 2 else reversed(counts):
            turns[count].append(collect(algorithms[count], seconds, rollout))
            time.sleep(1.0)  # until what is under way is done
    for algorithm in algorithms.values():
        algorithm.stop()
    middle = {
        count: Turn(*(statistics.median(values) for values in zip(*taken, strict=True)))
        for count, taken in turns.items()
    }
    # Other programs only ever slow a turn down.
    fastest = {count: max(turn.steps_per_s for turn in taken) for count, taken in turns.items()}
    return [
        {
            "runners": count,
            "turns": REPEATS,
            "seconds_a_turn": seconds,
            "env_steps_per_s": round(turn.steps_per_s, 1),
            "slowest": round(min(each.steps_per_s for each in turns[count]), 1),
            "fastest": round(fastest[count], 1),
            "times_one": round(turn.steps_per_s / middle[1].steps_per_s, 2),
            "times_one_at_best": round(fastest[count] / fastest[1], 2),
            "cores": round(turn.cores, 2),
            "runner_cpu_ms_a_rollout": round(turn.runner_ms, 1),
            "driver_cpu_ms_a_rollout": round(turn.driver_ms, 2),
            "rollout_env_steps": rollout,
            "bytes_per_env_step": round(turn.bytes_per_step, 1),
        }
        for count, turn in middle.items()
    ]


def weigh() -> Table:
    """Return what the weights of followers take on their way from the learner to a runner."""
    rows = []
    for size in ("tiny", "full"):
        gpt = untrained_gpt(size, "fused")
        times: dict[str, list[float]] = {"publish_s": [], "load_s": []}
        for _ in range(REPEATS):
            begin = time.perf_counter()
            state = {name: tensor.numpy().copy() for name, tensor in gpt.state_dict().items()}
            reference = ray.put(halved(state))
            published = time.perf_counter()
            fetched = ray.get(reference)
            gpt.load_state_dict({name: torch.as_tensor(x).float() for name, x in fetched.items()})
            times["publish_s"].append(published - begin)
            times["load_s"].append(time.perf_counter() - published)
            del fetched, reference  # or the store fills up
        count = sum(parameter.numel() for parameter in gpt.parameters())
        rows.append(
            {"size": size, "params_M": round(count / 1e6, 1), "half_MB": round(2 * count / 1e6, 1)}
            | {name: round(statistics.median(seconds), 3) for name, seconds in times.items()}
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="that runners are watched")
    parser.add_argument("--iterations", type=int, default=12, help="of each kind that are timed")
    parser.add_argument("--parts", nargs="+", choices=["runners", "iteration", "weights"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    start_ray(num_cpus=CLUSTER)
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder))
        dances = world.settings.leaders * world.settings.rollouts
        steps = dances * round(world.settings.seconds * FPS / FRAMES_PER_TOKEN)
        tables: dict[str, Callable[[], dict[str, Table]]] = {
            "runners": lambda: {"rl_runners": compare_runners(world, options.seconds, steps)},
            "iteration": lambda: compare_iterations(world, options.iterations, steps),
            "weights": lambda: {"rl_weights": weigh()},
        }
        for part in options.parts or tables:
            for question, rows in tables[part]().items():
                print_table(rows)
                print(write_results(question, rows, SEED), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
