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
