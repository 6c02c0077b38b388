"""`duet-rl pretrain | rl | config`: training, and the settings it has."""

from enum import Enum
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, DataPlace, OutPlace, Preset, Settings


class StageName(str, Enum):
    """What can be pretrained."""

    pose = "pose"
    translation = "translation"
    refine = "refine"
    follower = "follower"
    all = "all"
    text2motion = "text2motion"


def pretrain(
    stage: Annotated[
        StageName,
        typer.Argument(
            help="pose and translation are the tokenizers, refine goes with a readable codec, and "
            "text2motion is all stages of a dancer to words."
        ),
    ],
    data: DataPlace,
    out: OutPlace,
    settings: Settings = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Train the follower on this codec, not on the run's own."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"A shipped preset or a YAML file; {DEFAULT_PRESET} if unset, text2motion for the "
            "stage of that name.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Pretrain tokenizers and follower as a Ray Train job.

    Settings begin with `codec.`, `pose.`, `translation.`, `refine.`, `follower.` or `cluster.`,
    e.g. follower.gpt.layers=6 cluster.workers=4 cluster.use_gpu=true.
    """
    from duet_rl import run
    from duet_rl.config import resolve
    from duet_rl.storage.mirror import fetched, working

    usual = stage.value if stage is StageName.text2motion else DEFAULT_PRESET
    config = resolve(run.RunConfig, usual if preset is None else preset, settings or ())
    with working(out) as place:  # which can be written: told before anything is copied
        store, tokenizers = fetched(data), None if codec is None else fetched(codec)
        for folder in run.pretrain(config, stage.value, store, place.local, tokenizers):
            typer.echo(place.public(folder))


def rl(
    data: DataPlace,
    out: OutPlace,
    settings: Settings = None,
    follower: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The follower to refine; by default OUT/follower."),
    ] = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Refine a follower by its rewards, off-policy, on RLlib.

    Settings begin with `rl.`, e.g. rl.iterations=200 rl.loss=duolando rl.rewards.weights.beat=0.
    """
    from duet_rl import run
    from duet_rl.config import resolve
    from duet_rl.storage.mirror import fetched, working

    config = resolve(run.RunConfig, preset, settings or ())
    with working(out) as place:
        store, start = fetched(data), None if follower is None else fetched(follower)
        folder = run.refine(config, start or place.local / "follower", store, place.local)
        typer.echo(place.public(folder))


def config(settings: Settings = None, preset: Preset = DEFAULT_PRESET) -> None:
    """Print every setting of a run, resolved, as YAML."""
    from duet_rl.config import resolve, to_yaml
    from duet_rl.run import RunConfig

    typer.echo(to_yaml(resolve(RunConfig, preset, settings or ())), nl=False)
