"""`duet-rl edit`: a take changed by words."""

from pathlib import Path
from typing import Annotated

import typer

from duet_rl.cli.options import TrueFps, TrueScale, TrueUp


def edit(
    take: Annotated[Path, typer.Argument(help="The motion to edit: .bvh or .npz.")],
    checkpoint: Annotated[
        Path, typer.Option(help="Folder of a readable codec, or of a follower with one.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="What to write: .html shows before and after; .bvh, .npz, .glb, .mp4 ... after."
        ),
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OUT", help="More files to write.", show_default=False),
    ] = None,
    say: Annotated[
        list[str] | None,
        typer.Option(
            help="What shall change, e.g. 'raise your left arm in the second half'; may be given "
            "more than once."
        ),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A JSON file of edits, as docs/editing.md says.")
    ] = None,
    leader: Annotated[
        Path | None, typer.Option(help="The partner's motion: hands that hold it go on holding.")
    ] = None,
    music: Annotated[
        Path | None, typer.Option(help="The music, for page and video: .wav, .ogg, .mp3 or .flac.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write what was asked and shown, as JSON.")
    ] = None,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest", help="Where no pose of the codec's bank shows an edit, take the nearest."
        ),
    ] = False,
    fps: TrueFps = None,
    scale: TrueScale = None,
    up: TrueUp = None,
) -> None:
    """Change a dancer's motion by words; all that is not asked to move stays."""
    from duet_rl.captions.edit_language import edits_of_plan, read_edits
    from duet_rl.edit.page import write_page
    from duet_rl.edit.plan import read_plan
    from duet_rl.edit.report import lines_of, write_json
    from duet_rl.edit.run import edit as make
    from duet_rl.edit.run import readable
    from duet_rl.edit.settings import EditConfig
    from duet_rl.edit.wants import FPS
    from duet_rl.errors import InputError
    from duet_rl.files import require_file
    from duet_rl.generate import export
    from duet_rl.generate.samples import places_of
    from duet_rl.mocap.read import read_motion
    from duet_rl.tokenizers.codec import load_codec

    outs = [out, *(more or [])]
    written = [report] if report is not None else []
    for path in outs:
        export.writer(path)
        written += places_of(path, 1, None if leader is None else "leader")
    export.require_apart(written, (take, leader, music, plan))
    if not say and plan is None:
        raise InputError("nothing to change; give --say 'raise the left arm' or --plan FILE")
    planned = None if plan is None else read_plan(plan)
    for given, what in ((take, "the take"), (leader, "the leader's motion"), (music, "the music")):
        if given is not None:
            require_file(given, what)
    codec = readable(load_codec(checkpoint))
    motion = read_motion(take, fps=fps, scale=scale, up=up).resample(FPS)
    partner = None if leader is None else read_motion(leader, fps=fps, scale=scale, up=up)
    edits = [one for text in say or () for one in read_edits(text, motion.frames)]
    if planned is not None:
        edits += edits_of_plan(planned, motion.frames)
    edited = make(motion, edits, codec, partner, EditConfig().with_unseen(nearest))
    for line in lines_of(edited):
        typer.echo(line)
    for path in outs:
        if path.suffix.lower() == ".html":
            write_page(path, edited, take.stem, music)
        else:
            export.write(edited.dance, path, music)
        typer.echo(f"{path}: {edited.motion.seconds:.1f} s at {edited.motion.fps:g} fps")
    if report is not None:
        write_json(report, edited)
        typer.echo(str(report))
