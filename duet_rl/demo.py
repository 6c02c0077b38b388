"""The demo: the whole road, from dances and music to a trained follower and its report."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.bvh_pairs import find_pairs
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import INDEX
from duet_rl.errors import InputError
from duet_rl.evaluate.page import PAGE, columns, curves_over_clips, notes_on, table_rows
from duet_rl.evaluate.table import REWARDS, Evaluation, as_text, reasons, write_evaluation
from duet_rl.files import atomic_path
from duet_rl.generate.charts import Curve
from duet_rl.generate.export import write
from duet_rl.generate.follower import load_follower
from duet_rl.generate.view import DanceScene
from duet_rl.judging import measure
from duet_rl.observe.trackers import shown
from duet_rl.report.data import ReportData, Stage
from duet_rl.report.facts import machine_facts, read_tensorboard
from duet_rl.report.page import write_report
from duet_rl.report.verdict import verdict
from duet_rl.resources import start_ray
from duet_rl.run import RunConfig, prepare_pairs, prepare_synthetic, pretrain, refine
from duet_rl.run_log import STAGES
from duet_rl.storage.claims import claimed

PRETRAINED, REFINED = "pretrained", "RL"
DATA, FOLLOWER, RL = "data", "follower", "rl"  # sub-folders of the run
SUFFIXES = (".npz", ".bvh", ".glb", ".mp4", ".html")  # of the follower that the demo writes
_SCENES = 3  # dances in the report
_LOGS = {"rl_work": "RL", "logs": ""}  # folder of TensorBoard events -> heading of its curves
_SHOWN = ("loss", "nll/", "reward/", "kl", "entropy", "tokens/perplexity")  # curves in the report
_HIDDEN = (
    "_commit",
    "_hand",
    "_positions",
    "_rotations",
)  # too many to look at; TensorBoard has them
_NEW_SONG = "the music was not in the training"
_NEW_COUPLE = "neither leader nor music was in the training"

Say = Callable[[str], None]

logger = logging.getLogger(__name__)


def run_demo(
    config: RunConfig, out: Path, couples: Path | None = None, say: Say = logger.info
) -> Path:
    """Run every stage that is not done yet and return the report.

    Args:
        config: settings.
        out: folder of the run; the same folder again resumes.
        couples: folder of captured couples; None makes the synthetic world.
        say: takes one line a stage.

    Raises:
        InputError: data or settings that do not fit.
    """
    if couples is not None and config.follower.leader == "none":
        raise InputError(
            "follower.leader=none (preset solo) is for soloists, and --data for couples; leave out "
            "one of them, or go step by step: `duet-rl prepare bvh-pairs`, `prepare solo`, "
            "`pretrain all`, `rl`"
        )
    if couples is not None:
        find_pairs(couples, config.pairs)  # told before Ray starts
    with claimed(out):
        return _run_demo(config, out, couples, say)


def _run_demo(config: RunConfig, out: Path, couples: Path | None, say: Say) -> Path:
    with atomic_path(out / "config.yaml") as temporary:
        temporary.write_text(shown(config))
    times = _Times(out / STAGES, say)
    data = out / DATA
    started = start_ray()
    try:
        with times.stage("data", data / INDEX) as told:
            store = (
                prepare_synthetic(config, data)
                if couples is None
                else prepare_pairs(config, couples, data)
            )
            told(store.summary())
        with times.stage("pretrain", out / FOLLOWER) as told:
            pretrain(config, "all", data, out)
            told("pose, translation and follower, a Ray Train job")
        with times.stage("rl", out / RL) as told:
            refine(config, out / FOLLOWER, data, out)
            told(f"{config.rl.iterations} iterations on RLlib")
        followers = {PRETRAINED: out / FOLLOWER, REFINED: out / RL}
        with times.stage("evaluate") as told:
            evaluation = measure(config, followers, store)
            write_evaluation(evaluation, out)
            told(f"{len(evaluation.clips)} unseen clips, {evaluation.seeds} seeds")
    finally:
        if started:
            ray.shutdown()
    with times.stage("generate") as told:
        scenes = _scenes(store, config, followers)
        _write_follower(scenes[0], out)
        told(f"unseen dances: {', '.join(scene.name for scene in scenes)}")
    report = _report_data(config, store, evaluation, scenes, times.stages, out)
    write_report(out / PAGE, report)
    say(as_text(evaluation, [REWARDS]))
    say(verdict(report).text)
    return out / PAGE


class _Times:
    """How long each stage took; stages that were done already keep the time of their own run."""

    def __init__(self, path: Path, say: Say) -> None:
        self._path, self._say = path, say
        self._began = time.monotonic()
        self._known: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self._known = json.loads(path.read_text())

    @property
    def stages(self) -> list[Stage]:
        """All stages so far, in their order."""
        return [Stage(name, **facts) for name, facts in self._known.items()]

    @contextmanager
    def stage(self, name: str, product: Path | None = None) -> Iterator[Callable[[str], None]]:
        """Time the block and tell of it; the block calls what it gets with a note.

        Args:
            name: of the stage.
            product: what it makes; if that is the same afterwards, the stage was done already.
        """
        notes: list[str] = []
        before, began = _stamp(product), time.monotonic()
        yield notes.append
        seconds = round(time.monotonic() - began, 1)
        note = "; ".join(notes)
        done_before = product is not None and _stamp(product) == before and name in self._known
        if done_before:
            note = f"{note} (done before)"
        else:
            self._known[name] = {"seconds": seconds, "note": note}
            with atomic_path(self._path) as temporary:
                temporary.write_text(json.dumps(self._known, indent=1) + "\n")
        total = time.monotonic() - self._began
        self._say(f"{name:<10} {seconds:6.1f} s  (at {total:.0f} s)  {note}")


def _stamp(product: Path | None) -> float | None:
    return product.stat().st_mtime if product is not None and product.exists() else None


def _scenes(store: DuetStore, config: RunConfig, followers: dict[str, Path]) -> list[DanceScene]:
    """Return unseen dances, one a style first, with every follower there is."""
    clips = _one_a_style(store.clips(config.evaluate.split))[:_SCENES]
    loaded = {name: load_follower(folder) for name, folder in followers.items()}
    scenes = []
    for clip in clips:
        danced: dict[str, Motion] = {}
        for name, follower in loaded.items():
            joints, rotations, _ = follower.dance(
                [clip.duet.leader],
                follower.music_of(clip)[None],
                config.rl.seed,
                config.sampling,
            )
            danced[name] = Motion(joints[0], rotations[0], clip.duet.follower.skeleton, FPS)
        scenes.append(
            DanceScene(
                name=clip.name,
                leader=None if clip.solo else clip.duet.leader,
                followers={
                    f"after {REFINED}": danced[REFINED],
                    f"before {REFINED}": danced[PRETRAINED],
                    "true dancer" if clip.solo else "true partner": clip.duet.follower,
                },
                audio=clip.audio,
                audio_start=clip.audio_start / FPS,
                beats=[round(frame / FPS, 3) for frame in clip.beats.nonzero()[:, 0].tolist()],
                hold=None if clip.solo else clip.hold,
                note=f"{clip.style}, {clip.tempo:.0f} beats a minute, music {clip.music_source}; "
                + (_NEW_SONG if clip.solo else _NEW_COUPLE),
            )
        )
    return scenes


def _one_a_style(clips: Sequence[DuetClip]) -> list[DuetClip]:
    """Return clips so that styles take turns."""
    seen: dict[str, int] = {}
    turns = []
    for clip in clips:
        turns.append(seen.get(clip.style, 0))
        seen[clip.style] = turns[-1] + 1
    order = sorted(range(len(clips)), key=lambda i: (turns[i], i))
    return [clips[i] for i in order]


def _write_follower(scene: DanceScene, out: Path) -> None:
    """Write the refined follower of one dance in every format."""
    follower = scene.followers[f"after {REFINED}"]
    for suffix in SUFFIXES:
        dance = follower if scene.leader is None else Duet(scene.leader, follower)
        write(dance, out / f"follower{suffix}", scene.audio)


def _report_data(
    config: RunConfig,
    store: DuetStore,
    evaluation: Evaluation,
    scenes: Sequence[DanceScene],
    stages: Sequence[Stage],
    out: Path,
) -> ReportData:
    return ReportData(
        title="A soloist learns to dance" if store.solo else "A follower learns to dance",
        columns=columns(evaluation),
        rows=table_rows(evaluation),
        before=PRETRAINED,
        after=REFINED,
        curves=[*_curves(out), *curves_over_clips(evaluation, [PRETRAINED, REFINED])],
        stages=stages,
        scenes=scenes,
        settings=shown(config),
        facts={**machine_facts(), "data hash": store.hash[:16]},
        notes=notes_on(evaluation, store, [PRETRAINED, REFINED]),
        gaps=reasons(evaluation),
    )


def _curves(out: Path) -> list[Curve]:
    curves = [
        curve
        for folder, heading in _LOGS.items()
        if (out / folder).is_dir()
        for curve in read_tensorboard(out / folder, heading)
    ]
    return [
        curve
        for curve in curves
        if curve.name.startswith(_SHOWN) and not curve.name.endswith(_HIDDEN)
    ]
