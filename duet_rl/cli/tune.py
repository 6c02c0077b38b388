"""`duet-rl tune`: search for settings."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import Settings

RUNS = Path("runs")


def tune(
    search: Annotated[
        Path, typer.Argument(help="A YAML file, such as those in tune_configs/.", metavar="FILE")
    ],
    data: Annotated[Path, typer.Option(help="Folder of a clip store, from `duet-rl prepare`.")],
    settings: Settings = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the search; by default runs/tune-FILE.", show_default=False),
    ] = None,
    follower: Annotated[Path | None, typer.Option(help="The follower that RL starts from.")] = None,
    codec: Annotated[
        Path | None, typer.Option(help="The tokenizers that a follower is trained on.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only try it out: the file's block `smoke`.")
    ] = False,
) -> None:
    """Search for settings on Ray Tune; the same command again goes on where it was left.

    Words over the file are keys of the search or settings of all trials, e.g. budget.trials=50
    search.rl.lr.loguniform=[1e-5,1e-3] rl.iterations=200. What is best ends in OUT/best.yaml, a
    preset for `duet-rl pretrain` and `duet-rl rl`.
    """
    from duet_rl.tune.results import as_text
    from duet_rl.tune.run import run_search
    from duet_rl.tune.settings import load_search

    config = load_search(search, settings or (), smoke)
    outcome = run_search(config, data, out or RUNS / f"tune-{search.stem}", follower, codec)
    typer.echo(as_text(outcome))
