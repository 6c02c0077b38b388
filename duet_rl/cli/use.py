"""`duet-rl generate | demo`: a trained follower at work."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Device, Preset, Settings

DEMO_OUT = Path("runs/demo")


def generate(
    checkpoint: Annotated[Path, typer.Option(help="Folder of a follower: .../rl or .../follower.")],
    leader: Annotated[Path, typer.Option(help="The leader's motion: .bvh or .npz.")],
    music: Annotated[Path, typer.Option(help="The music: .wav, .ogg, .mp3 or .flac.")],
    out: Annotated[Path, typer.Option(help="What to write: .npz, .bvh, .mp4 or .html.")],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OUT", help="More files to write.", show_default=False),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="The leader's true frame rate, if the file lies.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="Metres per unit of the file.")] = None,
    up: Annotated[str | None, typer.Option(help="Up axis of an npz file: y or z.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another dance.")] = 0,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, help="0 is the likeliest dance, and what a Duolando GPT was made for."),
    ] = None,
    look_ahead: Annotated[
        int | None, typer.Option(min=0, help="Tokens of the future it may know, 0 to 29.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Generate the follower of a leader's dance, as long as the leader."""
    import torch

    from duet_rl.audio.features import music_features_of
    from duet_rl.body.motion import Duet
    from duet_rl.body.retarget import read_motion
    from duet_rl.files import require_file
    from duet_rl.generate import export
    from duet_rl.generate.follower import generate as dance
    from duet_rl.generate.follower import load_follower
    from duet_rl.models.sampling import SamplingConfig

    outs = [out, *(more or [])]
    for path in outs:
        export.writer(path)
    require_file(leader, "the leader's motion")
    require_file(music, "the music")
    follower = load_follower(checkpoint, device)
    led = read_motion(leader, fps=fps, scale=scale, up=up).resample(30.0)
    features = torch.from_numpy(music_features_of(music, compat=follower.music["compat"]))
    sampling = follower.usual_sampling
    if temperature is not None:
        sampling = SamplingConfig(temperature=temperature)
    danced = dance(follower, led, features, seed, sampling, look_ahead=look_ahead)[0]
    for path in outs:
        export.write(Duet(led, danced), path, music)
        typer.echo(f"{path}: {danced.seconds:.1f} s at {danced.fps:g} fps")


def demo(
    settings: Settings = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Captured couples instead of the synthetic world: a folder of files."),
    ] = None,
    leader: Annotated[str, typer.Option(help="Names of the leaders' files, e.g. '60_*'.")] = "",
    follower: Annotated[str, typer.Option(help="Names of the followers' files.")] = "",
    fps: Annotated[float | None, typer.Option(help="True frame rate, if the files lie.")] = None,
    scale: Annotated[float | None, typer.Option(help="Metres per unit of the files.")] = None,
    music: Annotated[
        Path | None, typer.Option(help="One file for all takes, or a folder with one a take.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder of the run [default: {DEMO_OUT}, with --data {DEMO_OUT}-NAME]."),
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
