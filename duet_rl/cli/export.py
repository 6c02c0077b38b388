"""`duet-rl export`: dances as the files of other people's programs."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Device, Preset, Seed, Settings

app = typer.Typer(no_args_is_help=True, help="Write dances as other programs read them.")


@app.callback()
def _group() -> None:
    """Keep `export dd100` two words while there is one command."""


@app.command()
def dd100(
    data: Annotated[Path, typer.Argument(help="Folder of a clip store, from `duet-rl prepare`.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
    settings: Settings = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A follower: write its dances, not the true couples.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, val or test; all if unset, with a follower test.")
    ] = "",
    smplx: Annotated[
        Path | None, typer.Option(help="Folder of the SMPL-X models, for SMPL-X parameters.")
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Write a store, or a follower's dances, as the files of DD100; see docs/dd100.md.

    Settings begin with `sampling.` or `dd100.`, e.g. sampling.temperature=0.
    """
    from typing import get_args

    from duet_rl.config import resolve
    from duet_rl.datasets.split import SPLITS, Split
    from duet_rl.errors import InputError
    from duet_rl.run import RunConfig, export_dd100

    if split and split not in get_args(Split):
        raise InputError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
    config = resolve(RunConfig, preset, settings or ())
    chosen: Split | None = split or None  # type: ignore[assignment]
    written = export_dd100(config, data, out, checkpoint, chosen, smplx, seed, device)
    typer.echo(f"{out}: {written} takes")
