"""`duet-rl convert`: checkpoints of other systems become ours."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Bring checkpoints of other systems into our format.")


class Up(str, Enum):
    """Which axis points up."""

    y = "y"
    z = "z"


@app.command()
def duolando(
    pose: Annotated[Path, typer.Option(help="Checkpoint of the pose VQ-VAE: epoch_500.pt.")],
    translation: Annotated[Path, typer.Option(help="Checkpoint of the translation VQ-VAE.")],
    gpt: Annotated[Path, typer.Option(help="Checkpoint of the follower, from either stage.")],
    out: Annotated[Path, typer.Option(help="Folder of the follower to write.")],
    up: Annotated[Up, typer.Option(help="The axis that pointed up in its training data.")] = Up.z,
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads, if the file does not say.")
    ] = None,
) -> None:
    """Make a follower of Duolando's three checkpoints; no code in them is run."""
    from duet_rl.checkpoint import CONFIG
    from duet_rl.compat.duolando import convert
    from duet_rl.config import parse_yaml

    folder = convert(pose, translation, gpt, out, up.value, heads)
    config = parse_yaml((folder / CONFIG).read_text(), CONFIG)
    typer.echo(
        f"{folder}: {len(config['classes'])} streams of {max(config['classes'])} codes, width "
        f"{config['width']}, {config['heads']} heads, trained with {up.value} up; music as librosa "
        "0.8 hears it"
    )


@app.command()
def bailando(
    pose: Annotated[Path, typer.Option(help="Checkpoint of the pose VQ-VAE: epoch_500.pt.")],
    root: Annotated[Path, typer.Option(help="Checkpoint of the VQ-VAE with the root's velocity.")],
    gpt: Annotated[Path, typer.Option(help="Checkpoint of the GPT, supervised or refined.")],
    out: Annotated[Path, typer.Option(help="Folder of the soloist to write.")],
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads, if the file does not say.")
    ] = None,
) -> None:
    """Make a soloist of Bailando's or Bailando++'s three checkpoints; no code in them is run."""
    from duet_rl.checkpoint import CONFIG
    from duet_rl.compat.bailando import convert
    from duet_rl.config import parse_yaml

    folder = convert(pose, root, gpt, out, heads)
    config = parse_yaml((folder / CONFIG).read_text(), CONFIG)
    typer.echo(
        f"{folder}: {len(config['classes'])} streams of {max(config['classes'])} codes, width "
        f"{config['width']}, {config['heads']} heads; hears music as {config['hears']}"
    )


@app.command()
def pgr2m(
    tokenizer: Annotated[Path, typer.Option(help="Checkpoint of the pose-guided tokenizer.")],
    base: Annotated[Path, typer.Option(help="Checkpoint of the transformer: text to pose codes.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    refine: Annotated[
        Path | None, typer.Option(help="Checkpoint of the transformer of residual codes.")
    ] = None,
    mean: Annotated[
        Path | None, typer.Option(help="Mean.npy of the motion that it was trained on.")
    ] = None,
    std: Annotated[Path | None, typer.Option(help="Its Std.npy.")] = None,
    clip: Annotated[
        Path | None,
        typer.Option(help="CLIP ViT-B/32 to keep too: a folder of a model hub, or ViT-B-32.pt."),
    ] = None,
    base_heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads, if no arguments.yaml says so.")
    ] = None,
    refine_heads: Annotated[
        int | None, typer.Option(min=1, help="The same of the refine transformer.")
    ] = None,
    keywords: Annotated[
        bool | None,
        typer.Option(
            "--keywords/--no-keywords",
            help="Trained with key words? If no arguments.yaml says so: yes.",
        ),
    ] = None,
) -> None:
    """Make a text-to-motion folder of PGR2M's checkpoints; no code in them is run."""
    from duet_rl.checkpoint import CONFIG
    from duet_rl.compat.pgr2m_convert import convert
    from duet_rl.config import parse_yaml

    folder = convert(
        tokenizer, base, out, refine, mean, std, clip, base_heads, refine_heads, keywords
    )
    config = parse_yaml((folder / CONFIG).read_text(), CONFIG)
    size = config["tokenizer"]
    levels = "pose codes alone" if refine is None else f"{size['levels']} levels of refinement"
    typer.echo(
        f"{folder}: {config['channels']} features a frame ({config['units']}), "
        f"{len(config['base']['classes'])} groups of pose codes, {levels}; prompts of "
        f"{config['base']['prompt_steps']} vectors"
        + ("" if clip is None else ", written by the text tower kept with it")
    )
