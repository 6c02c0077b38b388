"""What a report takes from the run and the machine: logged curves, versions."""

import platform
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from pathlib import Path

from duet_rl.files import require_folder
from duet_rl.generate.charts import Curve

_PACKAGES = ("torch", "ray", "numpy", "librosa", "gymnasium", "pydantic", "av")
_HELD_OUT = "val/"  # tags of what is measured on held-out clips begin so
_EVENTS = "events.out.tfevents.*"


def read_tensorboard(folder: Path | str, group: str = "") -> list[Curve]:
    """Return every scalar logged below a folder, by folder and tag.

    A tag `val/x` becomes the series `validation` of the curve `x`, beside the series `train`.

    Args:
        folder: with TensorBoard event files, in it or further down.
        group: heading of the curves; sub-folders add their names to it.

    Raises:
        InputError: there is no such folder.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = require_folder(folder, "TensorBoard events")
    curves = []
    for place in sorted({file.parent for file in folder.rglob(_EVENTS)}):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0})
        events.Reload()
        parts = [group, *place.relative_to(folder).parts]
        tags = sorted(events.Tags()["scalars"])
        for tag in tags:
            scalars = events.Scalars(tag)
            series = "train" if _HELD_OUT + tag in tags else ""
            if tag.startswith(_HELD_OUT):
                series = "validation"
            curves.append(
                Curve(
                    name=tag.removeprefix(_HELD_OUT),
                    steps=[scalar.step for scalar in scalars],
                    values=[scalar.value for scalar in scalars],
                    group=" / ".join(part for part in parts if part),
                    series=series,
                )
            )
    return curves


def machine_facts() -> dict[str, str]:
    """Return the machine and the versions of what mattered for the run."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "machine": f"{platform.system()} {platform.machine()}, {cpu_count()} CPU cores",
        "GPU": ", ".join(gpus) or "none",
        "Python": platform.python_version(),
    }
    for package in ("duet-rl", *_PACKAGES):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts
