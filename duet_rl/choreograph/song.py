"""One song from the sound file to its folder: danced, fine-tuned if wanted, measured, written."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.choreograph.files import beats_of, stretches_of, write_dances
from duet_rl.choreograph.finetune import (
    Tell,
    Tuned,
    finetune,
    rewards_without_partner,
    song_settings,
)
from duet_rl.choreograph.guard import Check, Guard, number
from duet_rl.choreograph.rehearsal import REWARD, Dances, Rehearsal, Scores, look_of
from duet_rl.choreograph.settings import GuardConfig
from duet_rl.choreograph.songs import danced_by, require_leader, song_clip
from duet_rl.choreograph.task import (
    BEFORE,
    DANCE,
    FOLLOWER,
    PROGRESS,
    RECORD,
    RESULT,
    SongResult,
    SongTask,
    finished,
    require_own_folder,
)
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.files import atomic_path
from duet_rl.generate.follower import KIND, load_follower
from duet_rl.generate.ranking import most_hold

_HEARD, _DANCED, _TUNED = 0.05, 0.1, 0.85  # share of the work, about, that is done by then
_TASK = "task.json"  # in a folder of unfinished work: on what


def choreograph_song(task: SongTask) -> SongResult:
    """Dance to one song, leave the dance in its folder, and return what is to be told of it.

    Raises:
        InputError: the song, the follower or the settings cannot be used.
        RolloutError: fine-tuning fails.
    """
    done = finished(task)
    if done is not None:
        return done
    require_own_folder(task)
    begun = time.monotonic()
    work = _working_folder(task)
    tell = _teller(work / PROGRESS)
    tell(0.0, "listening")
    rehearsal = _rehearsal(task)
    tell(_HEARD, "dancing")
    before = rehearsal.dance(task.seed, task.config.seeds)
    scores, clip = rehearsal.scores(before), rehearsal.clip
    if not clip.solo:
        clip = replace(clip, hold=most_hold(list(before.joints), clip.duet.leader.joints, FPS))
    outcome = _Tuning({}, {BEFORE: before.first}, None)
    if task.tuned:
        # The first dance stands in for a true one, for models that begin with its tokens.
        stand_in = danced_by(rehearsal.clip, before.first)
        config = task.config
        rl = song_settings(task.rl, stand_in, config.iterations, config.guard.every)
        tuned = finetune(task.follower, stand_in, rl, config.guard, rehearsal, work, _part(tell))
        outcome = _compared(task, tuned, scores, before, rehearsal)
    tell(_TUNED, "writing")
    result = SongResult(
        name=task.name,
        song=task.song.name,
        fingerprint=task.fingerprint(),
        seconds=rehearsal.clip.seconds,
        beats=beats_of(rehearsal.clip),
        before=_plain(scores),
        took=round(time.monotonic() - begun, 1),
        holds=None if clip.solo else stretches_of(clip.hold),
        **outcome.told,
    )
    result = _leave(task, result, clip, outcome)
    shutil.rmtree(work)
    return result


class _Tuning(NamedTuple):
    """What fine-tuning has led to."""

    told: dict[str, Any]  # of it in the result
    dances: dict[str, Motion]  # those that are written
    follower: Path | None  # folder of the fine-tuned one, if it is kept


def _rehearsal(task: SongTask) -> Rehearsal:
    """Return the follower with the song before it."""
    follower = load_follower(task.follower).holding(task.config.hold)
    require_leader(follower, f"the follower {task.follower}", task.leader)
    clip = song_clip(task.song, task.name, follower, task.leader, task.config.most_seconds)
    sampling = task.sampling or follower.usual_sampling
    return Rehearsal(follower, clip, rewards_without_partner(task.rl.rewards), sampling)


def _compared(
    task: SongTask, tuned: Tuned, scores: Scores, before: Dances, rehearsal: Rehearsal
) -> _Tuning:
    """Return the dance and the follower that are kept, and what is told of them.

    The guard has chosen by its own seeds, so that its best look is a lucky one. What is kept must
    be better, and within the guard's limits, with the seeds that are measured, too.
    """
    told: dict[str, Any] = {"looks": len(tuned.checks), "after": _plain(scores)}
    dances, best = {BEFORE: before.first}, tuned.best
    if tuned.follower is None:
        return _Tuning({**told, "why": f"kept what was before: {tuned.why}"}, dances, None)
    rehearsal.load(checkpoint.load(tuned.follower, KIND).tensors)
    danced = rehearsal.dance(task.seed, task.config.seeds)
    after = rehearsal.scores(danced)
    if lost := why_not_kept(task.config.guard, scores, after, best):
        return _Tuning({**told, "why": f"kept what was before: {lost}; {tuned.why}"}, dances, None)
    told |= {"after": _plain(after), "iteration": best.iteration, "kl": best.kl}
    told["why"] = f"kept iteration {best.iteration}: {tuned.why}"
    return _Tuning(told, {**dances, DANCE: danced.first}, tuned.follower)


def why_not_kept(config: GuardConfig, scores: Scores, after: Scores, best: Check) -> str:
    """Return why the best state is not kept after all; "": it is kept.

    Args:
        config: limits of the guard.
        scores: of the dances before, with seeds that the guard has not seen.
        after: likewise of the best state.
        best: what the guard saw of it.
    """
    if not after[REWARD].mean() > scores[REWARD].mean():
        return f"iteration {best.iteration} is no better with other seeds"
    check = Guard(config, look_of(scores)).judge(look_of(after, best.iteration, best.kl))
    if check.faults:
        return f"iteration {best.iteration} with other seeds: {'; '.join(check.faults)}"
    return ""


def _leave(task: SongTask, result: SongResult, clip: DuetClip, outcome: _Tuning) -> SongResult:
    """Write the folder of a song, whole or not at all; return what is told of it."""
    with atomic_path(task.folder) as temporary:
        temporary.mkdir()
        missing = write_dances(temporary, clip, outcome.dances, task.config)
        if task.tuned:
            shutil.copyfile(task.work / RECORD, temporary / RECORD)
        if outcome.follower is not None and task.config.keep_followers:
            shutil.copytree(outcome.follower, temporary / FOLLOWER)
        result = result.model_copy(update={"missing": missing})
        (temporary / RESULT).write_text(json.dumps(result.model_dump(mode="json")) + "\n")
    return result


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
