"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Preset = Annotated[
    str,
    typer.Option(
        help="A shipped preset (tiny, small, live, duolando, duolando_fixed) or a YAML file."
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
Data = Annotated[Path, typer.Option(help="Folder of a clip store, from `duet-rl prepare`.")]
Out = Annotated[Path, typer.Option(help="Folder of the run; the same command again resumes.")]
Device = Annotated[str, typer.Option(help="Where the follower dances: cpu or cuda.")]
DEFAULT_PRESET = "tiny"
