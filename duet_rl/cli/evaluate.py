"""`duet-rl evaluate`: followers and dances measured, by our protocol or by a published one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duet_rl.cli.options import DEFAULT_PRESET, Device, Preset

if TYPE_CHECKING:
    from duet_rl.run import RunConfig

EVALUATE_OUT = "runs/evaluation"
STRICT, TEXT, HUMANML3D = "strict", "text", "humanml3d"


def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]RUN... [KEY=VALUE...]",
            help="What is measured side by side: a follower's folder, the folder of a run, or a "
            "folder of dances (CLIP.npz). Then settings over the preset, e.g. evaluate.seeds=5.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Folder or URI of a clip store, from `duet-rl prepare`; with --protocol humanml3d "
            "that of the data set.",
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(metavar="PATH", help="Folder or URI for the page, the JSON and the tables."),
    ] = EVALUATE_OUT,
    protocol: Annotated[
        str,
        typer.Option(
            help="strict; text: dances to captions of held-out dances; humanml3d: the published "
            "protocol of text to motion; or what the scripts of duolando or bailando print."
        ),
    ] = STRICT,
    reference: Annotated[
        Path | None,
        typer.Option(help="Published protocols: the true dances; those of --data if unset."),
    ] = None,
    music: Annotated[
        Path | None,
        typer.Option(help="Published protocols: music features, if not beside the reference."),
    ] = None,
    smplx: Annotated[
        Path | None,
        typer.Option(help="Published protocols: folder of the SMPL-X models, for contact."),
    ] = None,
    own_files: Annotated[
        bool, typer.Option(help="Published protocols: no skating of the leaders' feet.")
    ] = False,
    original: Annotated[
        bool,
        typer.Option(help="Published protocols: show what is printed where it means nothing."),
    ] = False,
    evaluator: Annotated[
        Path | None,
        typer.Option(help="humanml3d: folder of the published evaluator, with finest.tar."),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(help="humanml3d: folder of its word vectors, with our_vab_data.npy."),
    ] = None,
    device: Device = "cpu",
    preset: Preset = DEFAULT_PRESET,
) -> None:
    """Measure followers on held-out clips beside the truth, baselines and noise.

    Writes a page with all tables and the best, median and worst clips, and JSON and CSV beside it.
    Settings begin with `evaluate.` or `rl.rewards.`, and with `--protocol text` with
    `evaluate_text.`, with `--protocol humanml3d` with `evaluate_humanml3d.`. See docs/metrics.md,
    docs/text_metrics.md and docs/humanml3d.md.
    """
    from duet_rl.config import resolve
    from duet_rl.errors import InputError
    from duet_rl.evaluate.legacy_page import side_by_side
    from duet_rl.evaluate.legacy_scores import PROTOCOLS
    from duet_rl.evaluate.page import PAGE
    from duet_rl.evaluate.table import as_text
    from duet_rl.judging import evaluate_published, evaluate_runs
    from duet_rl.run import RunConfig
    from duet_rl.storage.mirror import fetched, working

    named, settings = _sorted_words(runs or [])
    config = resolve(RunConfig, preset, settings)
    store = None if data is None else fetched(data)
    if protocol not in (STRICT, *PROTOCOLS, TEXT, HUMANML3D):
        known = ", ".join((STRICT, *PROTOCOLS, TEXT, HUMANML3D))
        raise InputError(f"there is no protocol {protocol!r}; wanted {known}")
    folders = {"--reference": reference, "--music": music, "--smplx": smplx}
    given = [name for name, folder in folders.items() if folder is not None]
    given += [name for name, on in (("--own-files", own_files), ("--original", original)) if on]
    if given and protocol not in PROTOCOLS:
        raise InputError(
            f"{', '.join(given)}: only for the protocols {', '.join(PROTOCOLS)}; add --protocol"
        )
    if protocol == HUMANML3D:
        _evaluate_humanml3d(config, named, store, evaluator, words, out, device)
        return
    if evaluator or words:
        raise InputError(f"--evaluator, --words: only for --protocol {HUMANML3D}")
    if protocol in PROTOCOLS:
        with working(out) as place:
            tables = evaluate_published(
                config,
                protocol,
                named,
                place.local,
                store,
                reference,
                music,
                models=smplx,
                own_files=own_files,
                device=device,
            )
        typer.echo(side_by_side(tables, original))
        page = place.public(place.local / f"{protocol}.html")
        typer.echo(f"open {page} in a browser; JSON and CSV lie beside it")
        return
    if store is None:
        raise InputError("no data was named; give --data STORE, from `duet-rl prepare`")
    if protocol == TEXT:
        _evaluate_texts(config, named, store, out, device)
        return
    with working(out) as place:
        evaluation = evaluate_runs(config, named, store, place.local, device)
    typer.echo(as_text(evaluation))
    page = place.public(place.local / PAGE)
    typer.echo(f"open {page} in a browser; JSON and CSV lie beside it")


def _evaluate_texts(
    config: "RunConfig", named: dict[str, Path], store: Path, out: str, device: str
) -> None:
    """Measure dances to texts, and print the tables."""
    from duet_rl.evaluate.text import TABLE, as_text
    from duet_rl.judging import evaluate_texts
    from duet_rl.storage.mirror import working

    with working(out) as place:
        found = evaluate_texts(config, named, store, place.local, device)
    typer.echo(as_text(found))
    table = place.public(place.local / TABLE)
    typer.echo(f"wrote {table}; JSON and the evaluator lie beside it")


def _evaluate_humanml3d(
    config: "RunConfig",
    named: dict[str, Path],
    data: Path | None,
    evaluator: Path | None,
    words: Path | None,
    out: str,
    device: str,
) -> None:
    """Run the published protocol of text to motion, and print the table."""
    from duet_rl.errors import InputError
    from duet_rl.evaluate.humanml3d_table import TABLE, as_text
    from duet_rl.judging import evaluate_humanml3d
    from duet_rl.storage.mirror import working

    if data is None or evaluator is None or words is None:
        raise InputError(
            "the published protocol needs --data ROOT of the data set, --evaluator FOLDER with "
            "finest.tar, and --words FOLDER with our_vab_data.npy; see docs/humanml3d.md"
        )
    with working(out) as place:
        found = evaluate_humanml3d(config, named, data, evaluator, words, place.local, device)
    typer.echo(as_text(found))
    typer.echo(f"wrote {place.public(place.local / TABLE)}; JSON lies beside it")


def _sorted_words(words: list[str]) -> tuple[dict[str, Path], list[str]]:
    """Return the runs by name, and the settings.

    A word that names a folder is a run, also where the folder's name has a `=`, as those of
    sweeps do. `a.b=value` is a setting if there are settings `a.`, or no folder `value`.

    Raises:
        InputError: two runs of one name.
    """
    from duet_rl.errors import InputError
    from duet_rl.run import RunConfig
    from duet_rl.storage.mirror import fetched, is_uri

    named: dict[str, Path] = {}
    settings = []
    for word in words:
        key, equals, value = ("", "", "") if Path(word).is_dir() else word.partition("=")
        known = key.partition(".")[0] in RunConfig.model_fields
        if is_uri(key):  # whose folder's name has a `=`
            key, equals, value = "", "", ""
        run_there = is_uri(value) or Path(value).is_dir()
        if equals and "." in key and (known or not run_there):
            settings.append(word)
            continue
        source = value if equals else word
        folder = fetched(source) if is_uri(source) else Path(source)
        key = key or (source.rstrip("/").rpartition("/")[2] if is_uri(source) else "")
        name = key or Path(os.path.abspath(folder)).name  # ".." has one, a link keeps its own
        if name in named:
            raise InputError(
                f"two runs are called {name!r}: {named[name]} and {folder}; name them: NAME=RUN"
            )
        named[name] = folder
    return named, settings
