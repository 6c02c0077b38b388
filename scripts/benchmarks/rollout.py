"""How many token steps of dancing does one processor core make a second?

An env step is one token step of one dance, all its streams. `recompute` runs the whole window
through the network at every step, conditions included, as the original does: in the interleaved
layout once for each stream, for a stream sees those before it. `cached` keeps keys and values and
dances whole batches; its rate counts a share of encoding music and leader, once for a rollout.
`DuolandoGPT` is the original's network, which can only recompute. The windows are full. `decode`
turns the tokens of whole rollouts into motion, which a rollout needs once for its rewards.

    python scripts/benchmarks/rollout.py [--sizes tiny full]
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from bench import print_table, times_ms, write_results
from torch import Tensor

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.config import resolve
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.duolando import DuolandoGPT, DuolandoGPTConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.models.policy import DEFAULT_SAMPLING, choose
from duet_rl.models.sampling import StepDecoder
from duet_rl.run import RunConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

SEED = 0
PRESETS = {"tiny": "tiny", "full": "duolando"}  # whose codec says which streams there are
LAYOUTS = ("fused", "interleaved")
BATCHES = (1, 16, 64, 256)
ROLLOUT = 64  # token steps over which the encoding of music and leader is shared, 8.5 s
TIMED = {"tiny": 20, "full": 5}  # steps, at most, of which the median counts
PATIENCE = 10.0  # s after which no further step of a row is timed
DECODED = 8  # dances that are decoded at once
ENCODED = 16  # dances, at most, whose conditions are encoded at once; the time is a dance's


class Row(NamedTuple):
    """One way to dance and what a step of it takes."""

    network: str
    way: str  # recompute | cached | decode
    layout: str
    batch: int
    times: list[float]  # of each timed step, ms
    encode_ms: float  # of a dance's conditions, once for `ROLLOUT` steps; 0: within the step

    @property
    def step_ms(self) -> float:
        return statistics.median(self.times)

    @property
    def env_steps_per_s(self) -> float:
        return 1e3 * self.batch / (self.step_ms + self.encode_ms * self.batch / ROLLOUT)

    def cells(self, slowest: float) -> dict[str, Any]:
        """Return the line of the table, beside the row that does `slowest` env steps a second."""
        return {
            "network": self.network,
            "way": self.way,
            "layout": self.layout,
            "batch": self.batch,
            "steps_timed": len(self.times),
            "step_ms": round(self.step_ms, 2),
            "fastest_ms": round(min(self.times), 2),
            "slowest_ms": round(max(self.times), 2),
            "encode_dance_ms": round(self.encode_ms, 2),
            "env_steps_per_s": round(self.env_steps_per_s, 2),
            "times_naive": round(self.env_steps_per_s / slowest, 1),
        }


def gpt(size: str, layout: str) -> MultiStreamGPT:
    """Return a follower of a preset's size, untrained, as pretraining would build it."""
    run = resolve(RunConfig, PRESETS[size])
    codec, torso = DuetCodec(run.codec), run.follower.gpt
    if isinstance(torso, DuolandoGPTConfig):
        layers = torso.base_layers + torso.head_layers
        torso = MultiStreamGPTConfig(width=torso.width, layers=layers, heads=torso.heads)
    channels = {"music": MUSIC_DIMS, "leader": codec.leader_channels}
    told = tuple(ConditionConfig(name=name, channels=count) for name, count in channels.items())
    update = {"classes": codec.spec.classes, "conditions": told, "layout": layout}
    torch.manual_seed(SEED)
    return MultiStreamGPT(torso.model_copy(update=update)).eval()


def duolando_gpt(size: str) -> DuolandoGPT:
    """Return the original's network, of the depth and width of this size."""
    like = gpt(size, "fused").config
    classes = DuetCodec(resolve(RunConfig, PRESETS["full"]).codec).spec.classes
    base = like.layers // 2
    config = DuolandoGPTConfig(
        classes=classes,
        width=like.width,
        heads=like.heads,
        base_layers=base,
        head_layers=like.layers - base,
    )
    torch.manual_seed(SEED)
    return DuolandoGPT(config).eval()


def conditions(model: MultiStreamGPT, batch: int, steps: int) -> dict[str, Tensor]:
    """Return music and leader of `steps` steps, all the future that they look at included."""
    return {
        each.name: torch.randn(batch, (steps + each.look_ahead) * FRAMES_PER_TOKEN, each.channels)
        for each in model.config.conditions
    }


@torch.inference_mode()
def recompute(size: str, layout: str) -> Row:
    """Time steps of one dance that remember nothing."""
    model = gpt(size, layout)
    steps = model.config.context
    told = conditions(model, 1, steps)
    tokens = torch.zeros(1, steps, model.streams, dtype=torch.long)
    generator = torch.Generator().manual_seed(SEED)

    def step() -> None:
        logits = ()
        for stream in range(model.streams):
            if stream < model.positions_per_step:
                logits = model(tokens, told).logits
            last = logits[stream][:, -1]
            tokens[:, -1, stream], _ = choose(last, DEFAULT_SAMPLING, generator)

    return Row("MultiStreamGPT", "recompute", layout, 1, timed(step, size), 0.0)


@torch.inference_mode()
def original(size: str) -> Row:
    """Time steps of one dance of the original's network."""
    model = duolando_gpt(size)
    steps = model.config.block - 1  # as many as it ever sees
    seen = steps + model.config.look_forward
    music = torch.randn(1, seen * FRAMES_PER_TOKEN, MUSIC_DIMS)
    leader, past = torch.zeros(1, seen, 4).long(), torch.zeros(1, steps, 5).long()
    generator = torch.Generator().manual_seed(SEED)

    def step() -> None:
        for logits in model.predict(past, music, leader):
            choose(logits[:, -1], DEFAULT_SAMPLING, generator)

    return Row("DuolandoGPT", "recompute", "ten sequences", 1, timed(step, size), 0.0)


def cached(size: str, layout: str) -> Iterator[Row]:
    """Time steps of batches of dances that keep their keys and values."""
    model = gpt(size, layout)
    generator = torch.Generator().manual_seed(SEED)
    for batch in BATCHES:
        decoder, encoded = StepDecoder(model), min(batch, ENCODED)
        rollout = conditions(model, encoded, ROLLOUT)
        encode = statistics.median(
            times_ms(lambda d=decoder, r=rollout: d.start(r), 3, 1, PATIENCE / 3)  # type: ignore
        )
        decoder = StepDecoder(model)
        decoder.start(conditions(model, batch, TIMED[size] + 2))
        decoder.sample(DEFAULT_SAMPLING, generator)
        fill(decoder)

        def step(decoder: StepDecoder = decoder) -> None:
            decoder.sample(DEFAULT_SAMPLING, generator)

        times = timed(step, size)
        yield Row("MultiStreamGPT", "cached", layout, batch, times, encode / encoded)


@torch.inference_mode()
def decode(size: str) -> Row:
    """Time the codec, an env step of several dances at a time like the others."""
    codec = DuetCodec(resolve(RunConfig, PRESETS[size]).codec).eval()
    shape = (DECODED, ROLLOUT * FRAMES_PER_TOKEN, NUM_JOINTS)
    turned = torch.eye(3).expand(*shape, 3, 3).clone()
    leader = MotionBatch(torch.randn(*shape, 3), turned)
    tokens = torch.zeros(DECODED, ROLLOUT, len(codec.spec.classes), dtype=torch.long)
    times = timed(lambda: codec.decode(tokens, leader), size)
    return Row("DuetCodec", "decode", "-", DECODED, [whole / ROLLOUT for whole in times], 0.0)


@torch.inference_mode()
def fill(decoder: StepDecoder) -> None:
    """Make the cache one of a dance that has gone on for longer than attention reaches back."""
    cache = decoder._cache
    assert cache is not None
    cache.keys.normal_()
    cache.values.normal_()
    cache.position = cache.window


def timed(step: Callable[[], Any], size: str) -> list[float]:
    return times_ms(step, TIMED[size], warm_up=1, seconds=PATIENCE)


def measure(size: str) -> list[dict[str, Any]]:
    """Return the table of one size, whose first row is what the original's way costs."""
    rows = [recompute(size, "interleaved"), recompute(size, "fused"), original(size)]
    for layout in LAYOUTS:
        for row in cached(size, layout):
            rows.append(row)
            print(size, layout, row.batch, f"{row.env_steps_per_s:.1f} env steps/s", flush=True)
    rows.append(decode(size))
    return [row.cells(rows[0].env_steps_per_s) for row in rows]


def main() -> None:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--sizes", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    torch.set_num_threads(1)
    for size in parser.parse_args().sizes:
        rows = measure(size)
        print_table(rows)
        print(write_results(f"rollout_{size}", rows, SEED))


if __name__ == "__main__":
    main()
