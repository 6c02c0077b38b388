"""`duet-rl prepare`: dances become a store of clips; body models for them."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import (
    DEFAULT_PRESET,
    FollowerFiles,
    LeaderFiles,
    MusicOfTakes,
    Preset,
    Settings,
    TrueFps,
    TrueScale,
)

app = typer.Typer(no_args_is_help=True, help="Make a store of clips from dances, or body models.")

Store = Annotated[
    str,
    typer.Option(metavar="PATH", help="Folder or URI of the store; takes that are there stay."),
]


@app.command()
def synthetic(
    out: Store,
    settings: Settings = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Make the synthetic duet world: couples that dance by rule, to music made for them.

    Settings begin with `synthetic.` or `prepare.`, e.g. synthetic.choreographies=60.
    """
    from duet_rl.config import resolve
    from duet_rl.run import RunConfig, prepare_synthetic
    from duet_rl.storage.mirror import working

    config = resolve(RunConfig, preset, settings or ())
    with working(out) as place:
        store = prepare_synthetic(config, place.local)
        typer.echo(f"{out}: {store.summary()}")


@app.command()
def body(
    out: Annotated[Path, typer.Option(help="Folder for SMPLX_{NEUTRAL,MALE,FEMALE}.npz.")],
    smpl: Annotated[
        bool, typer.Option("--smpl", help="Write SMPL_MALE.npz, the joints of SMPL, instead.")
    ] = False,
) -> None:
    """Write stand-in body models, for when there is no licensed SMPL-X at hand.

    They have its layout and joints, and a shape of our own; see docs/body_models.md.
    """
    from duet_rl.meshes.stand_in import write_stand_in
    from duet_rl.meshes.stand_in_smpl import write_smpl_stand_in

    if smpl:
        typer.echo(f"{write_smpl_stand_in(out)}: a stand-in skeleton, not the licensed SMPL")
        return
    typer.echo(f"{write_stand_in(out)}: three stand-in bodies, not the licensed SMPL-X")


@app.command("bvh-pairs")
def bvh_pairs(
    folder: Annotated[Path, typer.Argument(help="Folder with two motion files a take.")],
    out: Store,
    settings: Settings = None,
    leader: LeaderFiles = "",
    follower: FollowerFiles = "",
    fps: TrueFps = None,
    scale: TrueScale = None,
    music: MusicOfTakes = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Read captured couples: two BVH or npz files a take, with music or without."""
    from duet_rl.run import prepare_pairs
    from duet_rl.storage.mirror import working

    config = with_pairs(preset, settings, leader, follower, fps, scale, music)
    with working(out) as place:
        store = prepare_pairs(config, folder, place.local)
        typer.echo(f"{out}: {store.summary()}")


@app.command()
def solo(
    couples: Annotated[Path, typer.Argument(help="Folder of a store of couples.")],
    out: Store,
    dancer: Annotated[str, typer.Option(help="leader, follower, or both.")] = "both",
) -> None:
    """Make soloists of couples: either dancer of a store, or both, alone with the music."""
    from duet_rl.config import validate
    from duet_rl.datasets.solo import SoloConfig
    from duet_rl.run import RunConfig, prepare_solo
    from duet_rl.storage.mirror import working

    chosen = validate(SoloConfig, {"dancer": dancer}, source="--dancer")
    with working(out) as place:
        store = prepare_solo(RunConfig(), couples, place.local, chosen)
        typer.echo(f"{out}: {store.summary()}")


@app.command()
def swap(
    couples: Annotated[Path, typer.Argument(help="Folder of a store of couples.")],
    out: Store,
) -> None:
    """Exchange the roles of couples: what is trained on the new store learns to lead."""
    from duet_rl.run import RunConfig, prepare_swap
    from duet_rl.storage.mirror import working

    with working(out) as place:
        store = prepare_swap(RunConfig(), couples, place.local)
        typer.echo(f"{out}: {store.summary()}")


@app.command()
def dd100(
    root: Annotated[Path, typer.Argument(help="Folder of the data set: motion/ and music/.")],
    out: Store,
    settings: Settings = None,
    smplx: Annotated[
        Path | None,
        typer.Option(help="Folder of the SMPL-X models: read motion/smplx through them."),
    ] = None,
    features: Annotated[
        bool, typer.Option("--features", help="Read the preprocessed pos3d, rotmat and feature.")
    ] = False,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Read DD100, the data set of Duolando; see docs/dd100.md.

    Settings begin with `dd100.` or `prepare.`, e.g. dd100.up=y or prepare.skip_bad=true.
    """
    from duet_rl.config import resolve
    from duet_rl.datasets.dd100 import counts
    from duet_rl.datasets.dd100_takes import CHECKSUMS
    from duet_rl.errors import InputError
    from duet_rl.files import sha256_of
    from duet_rl.run import RunConfig, prepare_dd100
    from duet_rl.storage.mirror import working

    if features == (smplx is not None):
        raise InputError(
            "DD100 is read either with --smplx MODELS or with --features; give one of them"
        )
    config = resolve(RunConfig, preset, settings or ())
    with working(out) as place:
        store = prepare_dd100(config, root, place.local, smplx)
        typer.echo(f"{out}: {store.summary()}")
        typer.echo(f"{counts(store)}")
        sums = place.local / CHECKSUMS
        typer.echo(f"checksums of the inputs: {place.public(sums)} ({sha256_of(sums)[:16]})")


@app.command()
def aistpp(
    root: Annotated[Path, typer.Argument(help="Folder of the annotations: motions/, splits/.")],
    out: Store,
    smpl: Annotated[Path, typer.Option(help="SMPL_MALE.pkl or .npz, or its folder.")],
    settings: Settings = None,
    music: Annotated[
        Path | None, typer.Option(help="Folder of the songs (mBR0.wav ...); one in ROOT if unset.")
    ] = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Read AIST++, the data set of Bailando, as soloists; see docs/aistpp.md.

    Settings begin with `aistpp.` or `prepare.`, e.g. aistpp.val_is_test=true.
    """
    from duet_rl.config import resolve
    from duet_rl.datasets.aistpp import prepare_sequences
    from duet_rl.run import RunConfig
    from duet_rl.storage.mirror import working

    config = resolve(RunConfig, preset, settings or ())
    with working(out) as place:
        store = prepare_sequences(root, place.local, config.aistpp, smpl, config.prepare, music)
        typer.echo(f"{out}: {store.summary()}")


@app.command()
def humanml3d(
    root: Annotated[
        Path, typer.Argument(help="Folder of the data set: new_joint_vecs/, texts/, train.txt ...")
    ],
    out: Store,
    settings: Settings = None,
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Read HumanML3D as soloists with what people wrote of them; see docs/humanml3d.md.

    Settings begin with `humanml3d.` or `prepare.`, e.g. humanml3d.mirrored=false.
    """
    from duet_rl.config import resolve
    from duet_rl.datasets.humanml3d_store import prepare_humanml3d
    from duet_rl.run import RunConfig
    from duet_rl.storage.mirror import working

    config = resolve(RunConfig, preset, settings or ())
    with working(out) as place:
        store = prepare_humanml3d(root, place.local, config.humanml3d, config.prepare)
        typer.echo(f"{out}: {store.summary()}")


def with_pairs(
    preset: str,
    settings: list[str] | None,
    leader: str,
    follower: str,
    fps: float | None,
    scale: float | None,
    music: Path | None,
) -> "RunConfig":  # type: ignore[name-defined]
    """Return the configuration with the options about captured couples put into it."""
    from duet_rl.config import load_preset, merge, parse_overrides, validate
    from duet_rl.run import RunConfig

    options = {
        "leader": leader or None,
        "follower": follower or None,
        "fps": fps,
        "scale": scale,
        "music": music,
    }
    given = {"pairs": {key: value for key, value in options.items() if value is not None}}
    values = merge(merge(load_preset(preset), given), parse_overrides(settings or ()))
    return validate(RunConfig, values, source=preset)
