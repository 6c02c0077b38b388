"""`duet-rl lab`: experiments that compare ways to learn."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Out, Preset, Settings

app = typer.Typer(no_args_is_help=True, help="Compare ways to learn, seed by seed.")

LAB_OUT = Path("runs/lab")


@app.callback()
def _lab() -> None:
    """Compare ways to learn, seed by seed."""


@app.command()
def losses(
    settings: Settings = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a clip store; by default the synthetic world, made in OUT."),
    ] = None,
    follower: Annotated[
        Path | None,
        typer.Option(help="The follower that all begin with; by default pretrained in OUT."),
    ] = None,
    out: Out = LAB_OUT,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Compare all losses of RL at several ages of their rollouts, on one task and one start.

    The same command again does what is missing. Settings begin with `lab.` or `rl.`, e.g.
    lab.losses=[ppo,topr] lab.staleness=[0,16] lab.seeds=5 rl.lr=1e-4.
    """
    from duet_rl import run
    from duet_rl.config import resolve
    from duet_rl.lab.comparison import as_text
    from duet_rl.lab.losses import FOLDER, PLOT, TABLE

    config = resolve(run.RunConfig, preset, settings or ())
    typer.echo(as_text(run.compare_losses(config, out, data, follower)))
    typer.echo(f"all numbers: {out / FOLDER / TABLE}; plot: {out / FOLDER / PLOT}")
