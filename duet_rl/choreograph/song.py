"""One song from the sound file to its folder: danced, fine-tuned if wanted, measured, written."""

import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duet_rl import checkpoint
from duet_rl.body.motion import Duet, Motion
from duet_rl.choreograph.finetune import RECORD, Tell, Tuned, finetune, rewards_without_partner
from duet_rl.choreograph.finetune import song_rl as settings_of
from duet_rl.choreograph.guard import number
from duet_rl.choreograph.rehearsal import REWARD, Rehearsal, Scores
from duet_rl.choreograph.songs import danced_by, require_leader, song_clip
from duet_rl.choreograph.task import PROGRESS, RESULT, SongResult, SongTask, finished
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.files import atomic_path
from duet_rl.generate.export import write, write_mp4
from duet_rl.generate.follower import KIND, load_follower
from duet_rl.generate.view import FARTHEST, DanceScene, write_page

DANCE, BEFORE = "dance", "before"  # files of the dance, and of the one that fine-tuning began with
AFTER = "after"  # name on the page of a dance beside that one
FOLLOWER = "follower"  # folder of the fine-tuned one
_HEARD, _DANCED, _TUNED = 0.05, 0.1, 0.85  # share of the work, about, that is done by then
_TASK = "task.json"  # in a folder of unfinished work: on what

logger = logging.getLogger(__name__)


def choreograph_song(task: SongTask) -> SongResult:
    """Dance to one song, leave the dance in its folder, and return what is to be told of it.

    Raises:
        InputError: the song, the follower or the settings cannot be used.
        RolloutError: fine-tuning fails.
    """
    done = finished(task)
    if done is not None:
        return done
    begun = time.monotonic()
    work = _working_folder(task)
    tell = _teller(work / PROGRESS)
    tell(0.0, "listening")
    follower = load_follower(task.follower)
    require_leader(follower, f"the follower {task.follower}", task.leader)
    config = task.config
    clip = song_clip(task.song, task.name, follower, task.leader, config.most_seconds)
    sampling = task.sampling or follower.usual_sampling
    rehearsal = Rehearsal(follower, clip, rewards_without_partner(task.rl.rewards), sampling)
    tell(_HEARD, "dancing")
    before = rehearsal.dance(task.seed, config.seeds)
    scores = rehearsal.scores(before)
    told: dict[str, Any] = {}
    dances = {BEFORE: before.first}
    state = None
    if task.tuned:
        # The first dance stands in for a true one, for models that begin with its tokens.
        stand_in = danced_by(clip, before.first)
        rl = settings_of(task.rl, clip, config.iterations, config.guard.every)
        tuned = finetune(task.follower, stand_in, rl, config.guard, rehearsal, work, _part(tell))
        told, after, state = _compared(task, tuned, scores, rehearsal)
        if after is not None:
            dances[DANCE] = after
    tell(_TUNED, "writing")
    missing: list[str] = []
    with atomic_path(task.folder) as temporary:
        temporary.mkdir()
        missing += _write(temporary, task, clip, dances)
        if task.tuned:
            shutil.copyfile(work / RECORD, temporary / RECORD)
        if state is not None and config.keep_followers:
            shutil.copytree(state, temporary / FOLLOWER)
        result = SongResult(
            name=task.name,
            song=task.song.name,
            fingerprint=task.fingerprint(),
            seconds=clip.seconds,
            beats=beats_of(clip),
            before=_plain(scores),
            took=round(time.monotonic() - begun, 1),
            missing=tuple(missing),
            **told,
        )
        (temporary / RESULT).write_text(json.dumps(result.model_dump(mode="json")) + "\n")
    shutil.rmtree(work)
    return result


def _compared(
    task: SongTask, tuned: Tuned, before: Scores, rehearsal: Rehearsal
) -> tuple[dict[str, Any], Motion | None, Path | None]:
    """Return what is told of fine-tuning, and the dance and the follower if they are kept.

    The guard has chosen by its own seeds, so that its best look is a lucky one. What is kept must
    be better with the seeds that are measured, too.
    """
    told: dict[str, Any] = {"looks": len(tuned.checks), "after": _plain(before)}
    if tuned.follower is None:
        return {**told, "why": f"kept what was before: {tuned.why}"}, None, None
    rehearsal.load(checkpoint.load(tuned.follower, KIND).tensors)
    danced = rehearsal.dance(task.seed, task.config.seeds)
    scores = rehearsal.scores(danced)
    best = tuned.best
    if not scores[REWARD].mean() >= before[REWARD].mean():
        lost = f"iteration {best.iteration} is no better with other seeds"
        return {**told, "why": f"kept what was before: {lost}; {tuned.why}"}, None, None
    told |= {"after": _plain(scores), "iteration": best.iteration, "kl": best.kl}
    why = f"kept iteration {best.iteration}: {tuned.why}"
    return {**told, "why": why}, danced.first, tuned.follower


def _write(folder: Path, task: SongTask, clip: DuetClip, dances: Mapping[str, Motion]) -> list[str]:
    """Write the dance in all wanted ways; return why some are missing."""
    kept = dances.get(DANCE, dances[BEFORE])
    dance = Duet(clip.duet.leader, kept) if not clip.solo else kept
    missing = []
    for kind in task.config.files:
        path = folder / f"{DANCE}.{kind}"
        if kind == "html":
            farthest = max(float(one.joints.abs().max()) for one in _seen(clip, dances))
            if farthest > FARTHEST:
                missing.append(
                    f"no page: the dance goes {farthest:.0f} m away, the page {FARTHEST:g} m"
                )
                continue
            seen = {BEFORE: dances[BEFORE], AFTER: kept} if DANCE in dances else {DANCE: kept}
            beats = [round(beat, 3) for beat in beats_of(clip)]
            leader = None if clip.solo else clip.duet.leader
            scene = DanceScene(task.name, leader, seen, task.song, beats)
            write_page(path, [scene], title=task.name)
        elif kind == "mp4":
            write_mp4(dance, path, task.song, task.config.video)
        else:
            write(dance, path, task.song)
    if DANCE in dances:
        write(dances[BEFORE], folder / f"{BEFORE}.npz")
    return missing


def beats_of(clip: DuetClip) -> tuple[float, ...]:
    """Return when the beats of the music are, seconds."""
    return tuple((clip.beats.nonzero()[:, 0] / FPS).tolist())


def _seen(clip: DuetClip, dances: Mapping[str, Motion]) -> list[Motion]:
    return [*dances.values(), *([] if clip.solo else [clip.duet.leader])]


def _working_folder(task: SongTask) -> Path:
    """Return the folder of unfinished work, emptied where it was work on something else."""
    mark, words = task.work / _TASK, {"fingerprint": task.fingerprint()}
    if task.work.exists():
        if mark.is_file() and json.loads(mark.read_text()) == words:
            return task.work
        shutil.rmtree(task.work)
    with atomic_path(mark) as temporary:
        temporary.write_text(json.dumps(words) + "\n")
    return task.work


def _teller(file: Path) -> Tell:
    def tell(share: float, doing: str) -> None:
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps({"share": share, "doing": doing}))

    return tell


def _part(tell: Tell) -> Tell:
    """Return what takes the progress of fine-tuning, as a part of all that there is to do."""
    return lambda share, doing: tell(_DANCED + (_TUNED - _DANCED) * share, doing)


def _plain(scores: Scores) -> dict[str, tuple[float | None, ...]]:
    return {
        name: tuple(number(value) for value in values.tolist()) for name, values in scores.items()
    }
