"""How long does the follower take for a step of dancing, and for a step of training?

Dancing, one thread: with the KV cache, and by a full forward pass over the clip so far, which is
what a sampler without a cache pays for every step. Training, one and two threads: forward, backward
and AdamW on windows of 64 tokens. Width 128, 4 layers, 6 streams of 512 classes, music and leader.

    python scripts/benchmarks/gpt_step.py
"""

from typing import Any

import torch
from bench import best_ms, print_table, write_results
from torch import Tensor

from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.models.sampling import SamplingConfig, StepDecoder, log_probs

SEED = 0
CLASSES = (512,) * 6
CHANNELS = {"music": 54, "leader": 180}  # features a frame
CLIP = 128  # tokens, 17 s: the length of the clip whose next step is timed
WINDOW = 64  # tokens of a training window
TRAINED = (16, 32)  # batches
KINDS: tuple[dict[str, Any], ...] = (
    {"layout": "fused", "heads_see": "none"},
    {"layout": "fused", "heads_see": "earlier"},
    {"layout": "interleaved", "heads_see": "none"},
)


def gpt(**kind: Any) -> MultiStreamGPT:
    torch.manual_seed(SEED)
    conditions = tuple(ConditionConfig(name=n, channels=c) for n, c in CHANNELS.items())
    return MultiStreamGPT(MultiStreamGPTConfig(classes=CLASSES, conditions=conditions, **kind))


def clip(batch: int, steps: int) -> tuple[Tensor, dict[str, Tensor]]:
    tokens = torch.randint(0, min(CLASSES), (batch, steps, len(CLASSES)))
    return tokens, {n: torch.randn(batch, 4 * steps, c) for n, c in CHANNELS.items()}


def dance_ms(model: MultiStreamGPT, batch: int, sampling: SamplingConfig) -> float:
    """Return the time of one cached step, once the attention window is full."""
    _, conditions = clip(batch, CLIP)
    decoder = StepDecoder(model)
    decoder.start(conditions)
    generator = torch.Generator().manual_seed(SEED)
    full = model.config.context
    return best_ms(lambda: decoder.sample(sampling, generator), CLIP - full, warm_up=full)


@torch.inference_mode()
def recompute_ms(model: MultiStreamGPT, batch: int) -> float:
    """Return the time of a full forward pass over the clip, conditions included."""
    tokens, conditions = clip(batch, CLIP)
    return best_ms(lambda: model(tokens, conditions), 5, seconds=2)


def encode_ms(model: MultiStreamGPT, batch: int) -> float:
    """Return the time of encoding the conditions of the clip, once for all its steps."""
    _, conditions = clip(batch, CLIP)
    decoder = StepDecoder(model)
    return best_ms(lambda: decoder.start(conditions), 5)


def train_ms(model: MultiStreamGPT, batch: int) -> float:
    """Return the time of one optimiser step."""
    tokens, conditions = clip(batch, WINDOW)
    optimiser = torch.optim.AdamW(model.train().parameters())

    def step() -> None:
        loss = -log_probs(model(tokens, conditions), tokens).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return best_ms(step, 10, seconds=3)


def main() -> None:
    torch.manual_seed(SEED)
    rows = []
    for kind in KINDS:
        for batch in (1, 16, 32, 64):
            torch.set_num_threads(1)
            model = gpt(**kind).eval()
            cached = dance_ms(model, batch, SamplingConfig())
            recomputed = recompute_ms(model, batch)
            row: dict[str, Any] = {
                **kind,
                "batch": batch,
                "step_ms": cached,
                "step_top_p_ms": dance_ms(model, batch, SamplingConfig(top_p=0.9)),
                "recomputed_step_ms": recomputed,
                "times_faster": recomputed / cached,
                "encode_clip_ms": encode_ms(model, batch),
            }
            for threads in (1, 2):
                torch.set_num_threads(threads)
                timed = batch in TRAINED and kind["layout"] == "fused"
                row[f"train_{threads}_ms"] = train_ms(gpt(**kind), batch) if timed else None
            rows.append({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})
    print_table(rows)
    print(write_results("gpt_step", rows, SEED))


if __name__ == "__main__":
    main()
