"""How long does a training step of each full-size model take, and how much memory?

Forward, backward and AdamW on random windows, with the models and settings of the preset
`duolando`: pose tokenizer, placement tokenizer, follower. The follower is timed on tokens and, as
it is really trained, on motion that it encodes first. Every case has a process of its own, so that
its peak memory is its own.

On a GPU: batches of 32 and 128 in bfloat16 and float32, plain, with checkpointing and compiled;
windows' token steps a second, peak memory, and the share of what the GPU could compute at most.
Without one: one step of two windows, plain and with checkpointing. `kept_MB` is what the forward
pass keeps for the backward pass, a window, weights apart: it does not depend on the load.

    python scripts/benchmarks/train.py
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from bench import print_table, write_results
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.config import resolve
from duet_rl.models.duolando import DuolandoGPT, DuolandoGPTConfig
from duet_rl.models.follower import build_gpt
from duet_rl.models.repeated import Repeated
from duet_rl.pretrain.multistream_loss import stream_losses
from duet_rl.pretrain.stage import Metrics, StageConfig
from duet_rl.pretrain.step import autocast, optimiser_of, prepare, take_step, to_device
from duet_rl.pretrain.window_stage import WindowLoss
from duet_rl.run import RunConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

SEED = 0
PRESET = "duolando"
CPU_BATCH, GPU_BATCHES = 2, (32, 128)  # windows
CPU_STEPS, GPU_STEPS = 1, 10  # timed, after as many that warm up, three at most
COUNTED = 2  # windows whose operations and bytes are counted; both grow with the batch
SETTINGS: tuple[dict[str, bool], ...] = ({}, {"checkpointing": True}, {"compile": True})

# Most floating-point operations a second, dense, from the makers' data sheets: bfloat16 on tensor
# cores, float32 off them (cuDNN may round convolutions to TF32 and then beat it).
PEAKS = {
    "H200": {"bfloat16": 989e12, "float32": 67e12},
    "H100": {"bfloat16": 989e12, "float32": 67e12},
    "A100": {"bfloat16": 312e12, "float32": 19.5e12},
    "L40S": {"bfloat16": 362e12, "float32": 91.6e12},
    "RTX 4090": {"bfloat16": 165e12, "float32": 82.6e12},
    "RTX 3090": {"bfloat16": 71e12, "float32": 35.6e12},
}


class Case(NamedTuple):
    """What is timed."""

    model: str
    batch: int
    precision: str
    settings: dict[str, bool]
    device: str


class Subject(NamedTuple):
    """A module with the settings of its stage, and how to make a batch for it."""

    module: nn.Module
    config: StageConfig
    batch: Callable[[int], tuple[Any, ...]]
    tokens: int  # token steps of a window


class TokenLoss(nn.Module):
    """The follower on windows that are tokens already."""

    def __init__(self, gpt: DuolandoGPT) -> None:
        super().__init__()
        self.gpt = gpt

    def forward(
        self, tokens: Tensor, music: Tensor, leader: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Metrics]:
        names = [str(stream) for stream in range(wanted.shape[-1])]
        return stream_losses(self.gpt.predict(tokens, music, leader), wanted, names)


def dancer(batch: int, frames: int) -> MotionBatch:
    joints = torch.randn(batch, frames, 55, 3)
    return MotionBatch(joints, torch.eye(3).expand(batch, frames, 55, 3, 3).clone())


def pose() -> Subject:
    run = resolve(RunConfig, PRESET)
    frames = run.pose.window_tokens * FRAMES_PER_TOKEN
    module = PoseTokenizer(run.codec)
    return Subject(module, run.pose, lambda n: (dancer(n, frames),), run.pose.window_tokens)


def placement() -> Subject:
    run = resolve(RunConfig, PRESET)
    tokens = run.translation.window_tokens
    frames = tokens * FRAMES_PER_TOKEN
    module = PlacementTokenizer(run.codec)
    return Subject(
        module, run.translation, lambda n: (dancer(n, frames), dancer(n, frames)), tokens
    )


def follower() -> Subject:
    gpt, config = follower_gpt()
    block, seen = gpt.config.block, gpt.config.block + gpt.config.look_forward
    classes = min(gpt.config.classes)

    def batch(count: int) -> tuple[Any, ...]:
        music = torch.randn(count, seen * FRAMES_PER_TOKEN, MUSIC_DIMS)
        past, leader, wanted = (
            torch.randint(0, classes, (count, *size))
            for size in ((block, 5), (seen, 4), (block, 5))
        )
        return past, music, leader, wanted

    return Subject(TokenLoss(gpt), config, batch, block)


def follower_from_motion() -> Subject:
    gpt, config = follower_gpt()
    frames = (gpt.config.block + gpt.config.look_forward + 1) * FRAMES_PER_TOKEN
    module = WindowLoss(gpt, DuetCodec(resolve(RunConfig, PRESET).codec))
    return Subject(
        module,
        config,
        lambda n: (dancer(n, frames), dancer(n, frames), torch.randn(n, frames, MUSIC_DIMS)),
        gpt.config.block,
    )


def follower_gpt() -> tuple[DuolandoGPT, StageConfig]:
    run = resolve(RunConfig, PRESET)
    assert isinstance(run.follower.gpt, DuolandoGPTConfig)
    classes = DuetCodec(run.codec).spec.classes
    gpt = build_gpt(run.follower.gpt.model_copy(update={"classes": classes}))
    assert isinstance(gpt, DuolandoGPT)
    return gpt, run.follower


MODELS: dict[str, Callable[[], Subject]] = {
    "pose": pose,
    "translation": placement,
    "follower": follower,
    "follower from motion": follower_from_motion,
}


def measure(case: Case) -> dict[str, Any]:
    """Return a row of the table about one case, in a process that has done nothing before."""
    torch.manual_seed(SEED)
    device = torch.device(case.device)
    subject = MODELS[case.model]()
    config = subject.config.model_copy(update={"precision": case.precision, **case.settings})
    prepare(subject.module, config, device)
    optimiser = optimiser_of(subject.module, config)
    row: dict[str, Any] = {
        "model": case.model,
        "params_M": millions(subject.module),
        "batch": case.batch,
        "precision": case.precision,
        "settings": " ".join(case.settings) or "-",
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        **dict.fromkeys(("step_s", "cpu_s", "tokens_per_s", "peak_GB")),
    }
    seconds = None
    try:
        seconds, row["cpu_s"] = seconds_a_step(subject, config, optimiser, case.batch, device)
        row["step_s"] = round(seconds, 3)
        row["tokens_per_s"] = round(case.batch * subject.tokens / seconds)
        row["peak_GB"] = round(peak_bytes(device) / 1e9, 2)  # before anything else takes memory
    except torch.OutOfMemoryError:
        optimiser.zero_grad(set_to_none=True)  # the row says that it did not fit
    operations = flops(subject, config, device) * case.batch / COUNTED
    peak = peak_flops(case.precision) if device.type == "cuda" else None
    return row | {
        "kept_MB": round(kept_bytes_a_window(subject, config, device) / 1e6, 1),
        "gflop_a_step": round(operations / 1e9),
        "share_of_peak": round(operations / seconds / peak, 3) if peak and seconds else None,
    }


def seconds_a_step(
    subject: Subject,
    config: StageConfig,
    optimiser: torch.optim.Optimizer,
    batch: int,
    device: torch.device,
) -> tuple[float, float | None]:
    """Return the seconds of a step, and of the processors that it took on the CPU."""
    steps = GPU_STEPS if device.type == "cuda" else CPU_STEPS
    windows = subject.batch(batch)
    for _ in range(min(3, steps)):
        take_step(subject.module, optimiser, windows, config, config.lr)
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begin, worked = time.perf_counter(), time.process_time()
    for _ in range(steps):
        take_step(subject.module, optimiser, windows, config, config.lr)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - begin) / steps
    cpu_seconds = round((time.process_time() - worked) / steps, 2)
    return seconds, cpu_seconds if device.type == "cpu" else None


def flops(subject: Subject, config: StageConfig, device: torch.device) -> int:
    """Return the floating-point operations of forward and backward, nothing computed twice."""
    plain = config.model_copy(update={"checkpointing": False, "compile": False})
    prepare(subject.module, plain, device)
    uncompile(subject.module)
    frozen = torch.optim.SGD([p for p in subject.module.parameters() if p.requires_grad], lr=0.0)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # the counter knows matrix products
        take_step(subject.module, frozen, subject.batch(COUNTED), plain, 0.0)
    subject.module.zero_grad(set_to_none=True)
    return counter.get_total_flops()


def kept_bytes_a_window(subject: Subject, config: StageConfig, device: torch.device) -> float:
    """Return what the forward pass keeps until the backward pass for each window.

    What it keeps once for all, such as weights rounded to bfloat16, is not counted.
    """
    few, more = (kept_bytes(subject, config, device, n * COUNTED) for n in (1, 2))
    return (more - few) / COUNTED


def kept_bytes(subject: Subject, config: StageConfig, device: torch.device, windows: int) -> int:
    """Return what autograd saves, and the inputs of the layers that will be run again."""
    prepare(subject.module, config.model_copy(update={"compile": False}), device)
    uncompile(subject.module)
    weights = {x.untyped_storage().data_ptr() for x in subject.module.parameters()}
    kept: dict[int, Tensor] = {}  # by address; held, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in weights:
            kept[address] = tensor
        return tensor

    hooks = [
        part.register_forward_pre_hook(lambda _, inputs: void(keep(inputs[0])))
        for part in subject.module.modules()
        if isinstance(part, Repeated) and config.checkpointing
    ]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x), autocast(config, device):
        subject.module(*to_device(subject.batch(windows), device))
    for hook in hooks:
        hook.remove()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def uncompile(module: nn.Module) -> None:
    """Run the layers as they are again: the counters see no compiled ones."""
    for part in module.modules():
        if isinstance(part, Repeated):
            part.compiled = None


def void(_: object) -> None:
    """Return nothing: a hook that returns something changes the inputs."""


def peak_bytes(device: torch.device) -> int:
    """Return the most memory that the GPU's tensors, or else this process, have taken."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_flops(precision: str) -> float | None:
    name = torch.cuda.get_device_name()
    return next((peaks[precision] for known, peaks in PEAKS.items() if known in name), None)


def millions(module: nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1)


def cases() -> list[Case]:
    if not torch.cuda.is_available():
        return [
            Case(model, CPU_BATCH, "float32", settings, "cpu")
            for model in MODELS
            for settings in SETTINGS
            if "compile" not in settings  # takes minutes, and there is little to win
        ]
    return [
        Case(model, batch, precision, settings, "cuda")
        for model in MODELS
        for batch in GPU_BATCHES
        for precision in ("bfloat16", "float32")
        for settings in SETTINGS
    ]


def main() -> None:
    if not torch.cuda.is_available():
        print("no GPU that torch can use: its part is left out, and steps on the CPU are timed")
    context = multiprocessing.get_context("spawn")
    rows = []
    for case in cases():
        with context.Pool(1) as pool:
            rows.append(pool.apply(measure, (case,)))
            print(rows[-1], flush=True)
    print_table(rows)
    question = "train_gpu" if torch.cuda.is_available() else "train_cpu"
    print(write_results(question, rows, SEED))


if __name__ == "__main__":
    main()
