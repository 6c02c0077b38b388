"""All checks, one after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from duet_rl.doctor.clusters import check_cluster
from duet_rl.doctor.findings import MAIN, Finding
from duet_rl.doctor.inputs import check_body_models, check_runs, check_store
from duet_rl.doctor.machine import (
    check_cores,
    check_disk,
    check_memory,
    check_ports,
    check_python,
    check_shared_memory,
    temporary_folder,
)
from duet_rl.doctor.media import AUDIO, check_audio, check_video
from duet_rl.doctor.packages import (
    EXTRAS,
    check_cuda,
    check_extra,
    check_pictures,
    check_ray,
    check_ray_agent,
    check_torch,
    check_warp_cache,
)

Check = Callable[[], Finding | list[Finding]]


@dataclass(frozen=True)
class Asked:
    """What is looked at beside the machine.

    Args:
        out: folder or URI for runs, there or not.
        data: folder or URI of a store.
        smplx: folder of body models.
        address: of a cluster; None tries to start one here.
        quick: do not start Ray.
    """

    out: str | Path
    data: str | Path | None = None
    smplx: Path | None = None
    address: str | None = None
    quick: bool = False


def examine(asked: Asked) -> Iterator[Finding]:
    """Yield the finding of each check as soon as it is there."""
    for name, check in _machine(asked):
        yield from _guarded(name, check)
    for name, check in _named(asked):
        for finding in _guarded(name, check):
            yield replace(finding, asked=True)


def _machine(asked: Asked) -> Iterator[tuple[str, Check]]:
    """Yield the checks of the machine."""
    yield "python", check_python
    yield "cores", check_cores
    yield "memory", check_memory
    yield "shared memory", check_shared_memory
    yield "disk: runs", partial(check_runs, asked.out)
    yield "disk: temporary", partial(check_disk, temporary_folder(), "temp")
    yield "ports", check_ports
    yield "torch", check_torch
    yield "cuda", check_cuda
    yield "ray", check_ray
    yield "ray dashboard", check_ray_agent
    if asked.address is None and not asked.quick:
        yield "ray cluster", check_cluster
    for kind in AUDIO:
        yield f"audio: {kind}", partial(check_audio, kind)
    yield "video", check_video
    yield "pictures", check_pictures
    for extra in EXTRAS:
        yield extra.module, partial(check_extra, extra)
    yield "warp cache", check_warp_cache


def _named(asked: Asked) -> Iterator[tuple[str, Check]]:
    """Yield the checks of what was asked for by name."""
    if asked.address is not None:
        yield "ray cluster", partial(check_cluster, asked.address)
    if asked.data is not None:
        yield "data", partial(check_store, asked.data)
    if asked.smplx is not None:
        yield "body models", partial(check_body_models, asked.smplx)


def _guarded(name: str, check: Check) -> list[Finding]:
    """Return what a check finds; a machine can be broken in ways that no check foresees."""
    try:
        found = check()
    except ImportError as error:
        cure = "pip install --upgrade duet-rl"
        return [Finding(name, "missing", f"{error}", MAIN, cure)]
    except Exception as error:  # whoever asks a doctor wants the other findings all the more
        why = " ".join(str(error).split())
        cure = "it may or may not work; please report this"
        told = f"could not be looked at ({type(error).__name__}: {why})"
        return [Finding(name, "warning", told, ("whatever uses it",), cure)]
    return found if isinstance(found, list) else [found]
