"""`duet-rl choreograph`: dances to songs that nobody has prepared."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Out, Preset, Seed, TrueFps, TrueScale, TrueUp

CHOREOGRAPH_OUT = Path("runs/choreography")
SOME_FAILED = 1  # exit code: some songs have no dance


def choreograph(
    songs: Annotated[
        list[str],
        typer.Argument(
            metavar="SONG... [KEY=VALUE...]",
            help="Sound files (.wav, .ogg, .mp3, .flac) or folders of them. Then settings over "
            "the preset, e.g. choreograph.iterations=60.",
            show_default=False,
        ),
    ],
    checkpoint: Annotated[
        Path, typer.Option(help="Folder of a follower or of its run: .../rl, .../follower.")
    ],
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Refine the follower on each song first, by RL.")
    ] = False,
    leader: Annotated[
        Path | None, typer.Option(help="A leader's motion (.bvh, .npz, .npy) to dance with.")
    ] = None,
    out: Out = CHOREOGRAPH_OUT,
    fps: TrueFps = None,
    scale: TrueScale = None,
    up: TrueUp = None,
    seed: Seed = 0,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=10, help="Of the sampling; 0 is the likeliest dance.")
    ] = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Dance to any songs, each on a processor of its own, and report on all of them.

    OUT/SONG gets dance.npz, .bvh, .mp4 and .html, OUT/report.html what became of all songs.
    Settings begin with `choreograph.` or `rl.`. A song that cannot be used stops no other: it is
    told in the table, and the exit code is 1. See docs/choreograph.md.
    """
    from duet_rl.choreograph.page import PAGE
    from duet_rl.choreograph.run import choreograph as dance_to
    from duet_rl.choreograph.songs import SUFFIXES
    from duet_rl.choreograph.table import as_text
    from duet_rl.config import resolve
    from duet_rl.files import require_file
    from duet_rl.mocap.read import read_motion
    from duet_rl.models.sampling import SamplingConfig
    from duet_rl.run import RunConfig

    settings = [
        word
        for word in songs
        if "=" in word and Path(word).suffix.lower() not in SUFFIXES and not Path(word).exists()
    ]
    config = resolve(RunConfig, preset, settings)
    led = None
    if leader is not None:
        require_file(leader, "the leader's motion")
        led = read_motion(leader, fps=fps, scale=scale, up=up)
    found = dance_to(
        [Path(word) for word in songs if word not in settings],
        checkpoint,
        out,
        config.choreograph,
        config.rl,
        tuned=finetune,
        leader=led,
        sampling=None if temperature is None else SamplingConfig(temperature=temperature),
        seed=seed,
    )
    typer.echo(as_text(found))
    if found.songs:
        typer.echo(f"open {out / PAGE} in a browser; each dance is in {out}/SONG")
    if found.faults:
        raise typer.Exit(SOME_FAILED)
