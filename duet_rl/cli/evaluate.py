"""`duet-rl evaluate`: followers and dances measured, by our protocol or by a published one."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Device, Preset

EVALUATE_OUT = Path("runs/evaluation")


def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]RUN... [KEY=VALUE...]",
            help="What is measured side by side: a follower's folder, the folder of a run, or a "
            "folder of dances (CLIP.npz). Then settings over the preset, e.g. evaluate.seeds=5.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a clip store, from `duet-rl prepare`.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the page, the JSON and the CSV tables.")
    ] = EVALUATE_OUT,
    device: Device = "cpu",
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Measure followers on held-out clips beside the truth, baselines and noise.

    Writes a page with all tables and the best, median and worst clips, and JSON and CSV beside it.
    Settings begin with `evaluate.` or `rl.rewards.`.
    """
    from duet_rl.config import resolve
    from duet_rl.errors import InputError
    from duet_rl.evaluate.page import PAGE
    from duet_rl.evaluate.table import as_text
    from duet_rl.run import RunConfig, evaluate_runs

    named, settings = _sorted_words(runs or [])
    config = resolve(RunConfig, preset, settings)
    if data is None:
        raise InputError("no data was named; give --data STORE, from `duet-rl prepare`")
    evaluation = evaluate_runs(config, named, data, out, device)
    typer.echo(as_text(evaluation))
    typer.echo(f"open {out / PAGE} in a browser; JSON and CSV lie beside it")


def _sorted_words(words: list[str]) -> tuple[dict[str, Path], list[str]]:
    """Return the runs by name, and the settings: `a.b=value` where no folder is called `value`.

    Raises:
        InputError: two runs of one name.
    """
    from duet_rl.errors import InputError

    named: dict[str, Path] = {}
    settings = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and "." in key and not Path(value).is_dir():
            settings.append(word)
            continue
        folder = Path(value if equals else word)
        name = key if equals else folder.name or folder.resolve().name
        if name in named:
            raise InputError(
                f"two runs are called {name!r}: {named[name]} and {folder}; name them: NAME=RUN"
            )
        named[name] = folder
    return named, settings
