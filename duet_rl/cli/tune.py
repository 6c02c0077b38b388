"""`duet-rl tune`: search for settings."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DataPlace, Out, Settings

RUNS = Path("runs")


def tune(
    search: Annotated[
        Path, typer.Argument(help="A YAML file, such as those in tune_configs/.", metavar="FILE")
    ],
    data: DataPlace,
    settings: Settings = None,
    out: Out | None = None,
    follower: Annotated[
        str | None, typer.Option(metavar="PATH", help="The follower that RL starts from.")
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The tokenizers that a follower is trained on."),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only try it out: the file's block `smoke`.")
    ] = False,
) -> None:
    """Search for settings on Ray Tune; the same command again goes on where it was left.

    Words over the file are keys of the search or settings of all trials, e.g. budget.trials=50
    search.rl.lr.loguniform=[1e-5,1e-3] rl.iterations=200. OUT is runs/tune-FILE if left out; what
    is best ends in OUT/best.yaml, a preset for `duet-rl pretrain` and `duet-rl rl`.
    """
    from duet_rl.storage.mirror import fetched
    from duet_rl.storage.places import check_writable
    from duet_rl.tune.results import as_text
    from duet_rl.tune.run import run_search
    from duet_rl.tune.settings import load_search

    config = load_search(search, settings or (), smoke)
    folder = out or RUNS / f"tune-{search.stem}"
    check_writable(folder)
    start, tokenizers = (None if one is None else fetched(one) for one in (follower, codec))
    typer.echo(as_text(run_search(config, fetched(data), folder, start, tokenizers)))
