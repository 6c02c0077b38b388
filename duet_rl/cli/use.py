"""`duet-rl generate | demo`: a trained follower at work."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import (
    DEFAULT_PRESET,
    Device,
    FollowerFiles,
    Hold,
    LeaderFiles,
    MusicOfTakes,
    Preset,
    Seed,
    Settings,
    StartAt,
    StartPose,
    TrueFps,
    TrueScale,
    TrueUp,
)

DEMO_OUT = Path("runs/demo")


def generate(
    checkpoint: Annotated[
        Path,
        typer.Option(help="Folder of a run, of its .../rl or .../follower, or of convert pgr2m."),
    ],
    out: Annotated[
        Path, typer.Option(help="What to write: .html, .mp4, .glb, .usdc, .bvh or .npz.")
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OUT", help="More files to write.", show_default=False),
    ] = None,
    leader: Annotated[
        Path | None,
        typer.Option(
            "--leader",
            "--follow",
            help="Whom to follow: a motion file, .bvh, .npz or .npy.",
            show_default=False,
        ),
    ] = None,
    lead: Annotated[
        Path | None,
        typer.Option(
            help="Whom to lead, for a checkpoint that learned the leader's part.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(help="Who of a file with several, by number from 1 or by name."),
    ] = None,
    music: Annotated[
        Path | None,
        typer.Option(help="The music: .wav, .ogg, .mp3 or .flac.", show_default=False),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="What to dance, in words, e.g. 'steps back and raises both hands'; without a "
            "leader, or beside one.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=60, help="Length of a dance to words alone; as it likes if unset."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many dances, best first.")] = 1,
    best_of: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Of so many dances take the one that earns most; with --text, that shows most "
            "words.",
        ),
    ] = 1,
    start: StartPose = "found",
    start_at: StartAt = None,
    hold: Hold = 1.0,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Pixels of an .mp4; 960x540 if unset.",
            show_default=False,
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(min=0, help="How hard it listens to the words; 1 is as it was trained."),
    ] = None,
    fps: TrueFps = None,
    scale: TrueScale = None,
    up: TrueUp = None,
    seed: Seed = 0,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=10,
            help="How freely it dances: 0 is the likeliest dance, and what a Duolando GPT was made "
            "for; 0.8 is usual, 1 to words; above 1 it dares more and errs more.",
        ),
    ] = None,
    look_ahead: Annotated[
        int | None,
        typer.Option(min=0, help="Tokens of the future it may know; most were made for up to 29."),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="PGR2M: CLIP's text tower, if it was not converted along.")
    ] = None,
    keywords: Annotated[
        Path | None, typer.Option(help="PGR2M: eleven more sentences, .txt, or vectors, .npy.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Generate dances: the partner of a dancer, or what a text says.

    With a leader and music the dance is as long as the leader. A text alone, or with either, needs
    a checkpoint that hears words (`duet-rl pretrain text2motion`). See docs/generate.md.
    """
    from duet_rl.evaluate.followers import follower_in
    from duet_rl.generate.command import generate_dances
    from duet_rl.generate.wish import Wish

    wish = Wish(
        checkpoint=follower_in(checkpoint) or checkpoint,
        outs=(out, *(more or [])),
        leader=leader,
        lead=lead,
        person=person,
        music=music,
        text=text,
        seconds=seconds,
        samples=samples,
        best_of=best_of,
        guidance=guidance,
        start=start,
        start_at=start_at,
        hold=hold,
        size=size,
        reading={"fps": fps, "scale": scale, "up": up},
        seed=seed,
        temperature=temperature,
        look_ahead=look_ahead,
        clip=clip,
        keywords=keywords,
        device=device,
    )
    for line in generate_dances(wish):
        typer.echo(line)


def demo(
    settings: Settings = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Captured couples instead of the synthetic world: a folder of files."),
    ] = None,
    leader: LeaderFiles = "",
    follower: FollowerFiles = "",
    fps: TrueFps = None,
    scale: TrueScale = None,
    music: MusicOfTakes = None,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder of the run; {DEMO_OUT} if unset, with --data {DEMO_OUT}-NAME."),
    ] = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Walk the whole road: data, tokenizers, follower, RL, dances, report.

    The same command again goes on where it stopped.
    """
    from duet_rl.cli.data import with_pairs
    from duet_rl.demo import run_demo

    config = with_pairs(preset, settings, leader, follower, fps, scale, music)
    if out is None:
        name = DEMO_OUT.name if data is None else f"{DEMO_OUT.name}-{data.resolve().name}"
        out = DEMO_OUT.with_name(name)
    report = run_demo(config, out, data, say=typer.echo)
    typer.echo(f"open {report} in a browser; the dance is also in {out}/follower.mp4")
