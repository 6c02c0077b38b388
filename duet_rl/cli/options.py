"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer


def local(place: str | Path) -> Path:
    """Return a local path; a URI, of which `Path` would make a folder here, is refused."""
    if "://" in str(place):
        raise typer.BadParameter(
            f"{place} is a URI; this needs a local folder (prepare, pretrain, rl, evaluate and "
            "doctor take URIs)"
        )
    return Path(place)


Preset = Annotated[
    str,
    typer.Option(
        help="A shipped preset (tiny, small, solo, live, readable, text2motion, duolando, "
        "duolando_fixed, bailando, bailando_fixed) or a YAML file."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings over the preset, e.g. rl.lr=1e-4; `duet-rl config` shows all of them.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="PATH", parser=local, help="Folder of the run; the same command again resumes."
    ),
]
DataPlace = Annotated[
    str, typer.Option(metavar="PATH", help="Folder or URI of a clip store, from `duet-rl prepare`.")
]
OutPlace = Annotated[
    str,
    typer.Option(metavar="PATH", help="Folder or URI of the run; the same command again resumes."),
]
_MOST_SEED = 2**62  # to either side; what torch and numpy take, with room to count on from it
Seed = Annotated[
    int, typer.Option(min=-_MOST_SEED, max=_MOST_SEED, help="Another seed, another dance.")
]
Device = Annotated[str, typer.Option(help="Where the follower dances: cpu or cuda.")]
StartPose = Annotated[
    str,
    typer.Option(
        metavar="found|FILE[:SECONDS]",
        help="First pose beside the leader: as it has learned to begin, or that of a motion file, "
        "where it stands there.",
    ),
]
StartAt = Annotated[
    str | None,
    typer.Option(
        metavar="METRES[,DEGREES]",
        help="Where that pose stands: so far from the leader, 0 degrees ahead of him, 90 on his "
        "left, and faces him.",
        show_default=False,
    ),
]
Hold = Annotated[
    float,
    typer.Option(
        min=0,
        max=2,
        help="How firmly it holds hands: 0 not at all, 1 as it has learned, 2 from twice as far.",
    ),
]
# How motion files are read, where what they say, or what is found in them, is not so.
TrueFps = Annotated[
    float | None, typer.Option(help="True frame rate of the motion files, if they lie.")
]
TrueScale = Annotated[float | None, typer.Option(help="Metres per unit of the motion files.")]
TrueUp = Annotated[
    str | None, typer.Option(help="Up axis of the motion files, y or z, if not as found.")
]
LeaderFiles = Annotated[str, typer.Option(help="Names of the leaders' files, e.g. '60_*'.")]
FollowerFiles = Annotated[str, typer.Option(help="Names of the followers' files.")]
MusicOfTakes = Annotated[
    Path | None, typer.Option(help="One file for all takes, or a folder with one a take.")
]
DEFAULT_PRESET = "tiny"
