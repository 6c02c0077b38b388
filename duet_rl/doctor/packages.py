"""Checks of packages: torch and its device, Ray, pictures, and what is optional."""

import io
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from duet_rl.doctor.findings import MAIN, Finding

_OUR_RAY = "2.60"  # the version that the package is made for
_SIZE = 256  # rows and columns of the matrices that are multiplied to see whether a device counts
_ACCURACY = 1e-2  # by which products of two devices may differ; TF32 has ten bits
_BIG = ("the presets small and larger at a fair speed",)
# What `ray[default]` has beside Ray: the dashboard and its agents cannot start without.
_AGENT = ("aiohttp", "aiohttp_cors", "prometheus_client", "opentelemetry")


class Extra(NamedTuple):
    """An optional package."""

    module: str
    extra: str  # of duet-rl, which brings it
    needed_for: tuple[str, ...]


EXTRAS = (
    Extra("smplx", "smplx", ("--smplx of prepare, export, evaluate",)),
    Extra("warp", "mesh", ("evaluate.surface_every=...", "contact of surfaces")),
    Extra("resampy", "compat08", ("music features of librosa 0.8",)),
    Extra("optuna", "tune", ("tune",)),
    Extra("mlflow", "mlflow", ("log.mlflow.tracking_uri=...",)),
    Extra("transformers", "clip", ("texts read by CLIP",)),
    Extra("pxr", "usd", ("dances as .usd, .usda, .usdc",)),
    Extra("viser", "view", ("view",)),
    Extra("wandb", "wandb", ("log.wandb.project=...",)),
)


def check_torch() -> Finding:
    """Whether torch can be loaded and counts right."""
    try:
        import torch
    except (ImportError, OSError) as error:  # a library of it may be missing
        why = " ".join(str(error).split())
        return Finding("torch", "missing", why, MAIN, "pip install torch")
    return Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def check_cuda() -> Finding:
    """Whether a GPU is there, and multiplies as the processor does."""
    import torch

    if not torch.cuda.is_available():
        if shutil.which("nvidia-smi") is None:
            found, cure = "no NVIDIA driver", "everything works on the CPU; a GPU is faster"
        elif torch.version.cuda is None:
            found = "a driver, but torch is a build for the CPU"
            cure = "install a CUDA build, see https://pytorch.org/get-started"
        else:
            found = f"a driver that torch for CUDA {torch.version.cuda} cannot use"
            cure = "see what `nvidia-smi` says; update the driver, or install an older build"
        return Finding("cuda", "missing", found, _BIG, cure)
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(_SIZE, _SIZE, generator=generator) for _ in range(2))
    wanted = one @ other
    try:
        got = (one.cuda() @ other.cuda()).cpu()
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        cure = "see what else runs there (`nvidia-smi`); or pass cluster.use_gpu=false"
        return Finding("cuda", "missing", f"the GPU does not count ({why})", _BIG, cure)
    gap = float((got - wanted).abs().max() / wanted.abs().max())
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    memory = torch.cuda.mem_get_info()[1] / 1e9
    found = f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, {memory:.0f} GB"
    if gap > _ACCURACY:
        return Finding(
            "cuda", "missing", f"{found}, which counts wrong by {gap:.0%}", _BIG, "replace it"
        )
    return Finding("cuda", "ok", f"{found}, CUDA {torch.version.cuda}")


def check_ray() -> Finding:
    """Whether Ray is there in the version that the package is made for."""
    cure = f"pip install 'ray[rllib,train,tune]=={_OUR_RAY}.*'"
    needed = ("pretrain", "rl", "demo")
    try:
        import ray
    except ImportError as error:
        return Finding("ray", "missing", f"{error}", needed, cure)
    if not ray.__version__.startswith(f"{_OUR_RAY}."):
        return Finding("ray", "missing", f"{ray.__version__}", needed, cure)
    return Finding("ray", "ok", ray.__version__)


def check_ray_agent() -> Finding:
    """Whether nodes that are started here take jobs and show metrics."""
    missing = [name for name in _AGENT if find_spec(name) is None]
    needed = ("submit to a head on this machine", "Prometheus metrics of this machine")
    if missing:
        found = f"without {', '.join(missing)}"
        return Finding("ray dashboard", "missing", found, needed, "pip install 'ray[default]'")
    return Finding("ray dashboard", "ok", "its packages are there")


def check_extra(extra: Extra) -> Finding:
    """Whether an optional package is installed."""
    if find_spec(extra.module) is not None:
        return Finding(extra.module, "ok", "installed")
    cure = f"pip install 'duet-rl[{extra.extra}]'"
    return Finding(extra.module, "missing", "not installed", extra.needed_for, cure)


def check_warp_cache() -> Finding:
    """Whether what warp compiles can be kept, in a process of its own: it starts for good."""
    name, needed = "warp cache", ("contact of surfaces",)
    if find_spec("warp") is None:
        return Finding(name, "ok", "not needed without warp")
    program = (
        "import warp; warp.config.quiet = True; warp.init(); print(warp.config.kernel_cache_dir)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    words = done.stdout.split("\n")
    folder = Path(words[-2]) if done.returncode == 0 and len(words) > 1 else None
    if folder is not None and os.access(folder, os.W_OK):
        return Finding(name, "ok", f"{folder}")
    found = f"{folder} cannot be written" if folder else _last_line(done.stderr)
    cure = "let WARP_CACHE_PATH name a folder that can; else every process compiles anew"
    return Finding(name, "warning", found, needed, cure)


def check_pictures() -> Finding:
    """Whether charts and videos can have words in them."""
    try:
        from matplotlib.figure import Figure
        from PIL import ImageFont

        ImageFont.load_default(size=12).getbbox("leader")
        figure = Figure((1, 1))
        figure.text(0, 0, "leader")
        figure.savefig(io.BytesIO(), format="png")
    except (ImportError, OSError) as error:
        why = " ".join(str(error).split())
        cure = "pip install --force-reinstall pillow matplotlib"
        return Finding("pictures", "missing", why, ("generate", "evaluate", "demo"), cure)
    return Finding("pictures", "ok", "charts and letters can be drawn")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
