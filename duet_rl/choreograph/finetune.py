"""Fine-tuning a follower to one song: a short RL job, ended by the quality guard."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from duet_rl import checkpoint
from duet_rl.choreograph.guard import Check, Guard, Look
from duet_rl.choreograph.rehearsal import Rehearsal
from duet_rl.choreograph.settings import GuardConfig
from duet_rl.choreograph.task import RECORD
from duet_rl.config import validate
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import SWAPPED, DuetStore
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.generate.follower import KIND
from duet_rl.rewards.base import RewardMixConfig
from duet_rl.rl.run import WORK, run_rl
from duet_rl.rl.settings import HardwareConfig, RLConfig
from duet_rl.run_log import STEP, read_metrics
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

# Of the guard's dances; those that are shown and measured have others. Of a seed the generator of
# a CPU takes the lower 32 bits.
HELD_SEED = 3_000_000_019
_DUET, _SOLO = "envs:DuetDance-v0", "envs:SoloDance-v0"
_STORE, _RUN, _STATE = "store", "run", "state_{:06d}"  # in the working folder
_KL = "kl"  # tag of it among the numbers of RL
_PARTNER_TERMS = ("contact", "tracking")  # rewards that look at a true partner or its holds

Tell = Callable[[float, str], None]
"""Takes how much of the work is done, 0 to 1, and what is being done."""

logger = logging.getLogger(__name__)


class Tuned(NamedTuple):
    """What became of fine-tuning."""

    best: Check
    why: str  # it ended
    checks: list[Check]  # the first is of what was before
    follower: Path | None  # folder of the best state; None: nothing was better than before


class _EnoughError(Exception):
    """The guard has seen enough."""


def rewards_without_partner(rewards: RewardMixConfig) -> RewardMixConfig:
    """Return the mix without what only a true partner could tell, for songs have none.

    Raises:
        InputError: nothing is left.
    """
    left = rewards.weights.model_copy(update=dict.fromkeys(_PARTNER_TERMS, 0.0))
    if not any(left.model_dump().values()):
        raise InputError(
            "rl.rewards.weights has only terms that look at a true partner, which songs do not "
            "have; give foot, beat or consistency a weight"
        )
    return rewards.model_copy(update={"weights": left})


def song_settings(rl: RLConfig, clip: DuetClip, iterations: int, every: int) -> RLConfig:
    """Return the settings of RL on one song: all in one process, on windows of it alone.

    Args:
        rl: of the run.
        clip: the song.
        iterations: at most.
        every: iterations between two looks of the guard, before each of which a state is saved.
    """
    tokens = clip.frames // FRAMES_PER_TOKEN
    return rl.model_copy(
        update={
            "env": _SOLO if clip.solo else _DUET,
            "rewards": rewards_without_partner(rl.rewards),
            "iterations": iterations,
            "checkpoint_every": every,
            "seconds": min(rl.seconds, tokens * FRAMES_PER_TOKEN / FPS),
            "env_runners": 0,
            "min_env_runners": None,
            "hardware": HardwareConfig(),
            "replay": rl.replay.model_copy(update={"shards": 0}),
            "reference": True,  # to which the guard measures KL
            "show_every": None,
        }
    )


def finetune(
    follower: Path,
    clip: DuetClip,
    rl: RLConfig,
    config: GuardConfig,
    rehearsal: Rehearsal,
    work: Path,
    tell: Tell,
) -> Tuned:
    """Refine a follower on one song until the guard has seen enough; resumable.

    Args:
        follower: folder of it.
        clip: the song, with a dance to it in the place of the true follower.
        rl: settings, from `song_settings`.
        config: limits of the guard.
        rehearsal: of the same song; its follower is left with other weights.
        work: folder of what a killed run goes on from.
        tell: is told of the progress.

    Raises:
        InputError: the song or the settings do not fit the follower.
        RolloutError: RL fails.
    """
    data = _store(work / _STORE, clip, rehearsal.follower.part == "leader")
    record = work / RECORD
    rows = read_record(record)
    if not rows:
        before = rehearsal.look(0, 0.0, HELD_SEED, config.seeds)
        _add(record, Check(**before.model_dump(), better=True))
        rows = read_record(record)
    guard = Guard(config, Look(**_look_of(rows[0])), rows[1:])
    judge = _Judge(guard, rehearsal, follower, rl, work, tell)
    if not guard.enough:
        try:
            run_rl(rl, follower, data, work / _RUN, False, None, judge.watch)
        except _EnoughError:
            logger.debug("%s: %s", clip.name, guard.enough)
    best = guard.best
    state = work / _STATE.format(best.iteration) if best.iteration else None
    why = guard.enough or f"all {rl.iterations} iterations"
    return Tuned(best, why, guard.checks, state)


class _Judge:
    """Lets the guard look at a follower in RL, and keeps the best state."""

    def __init__(
        self, guard: Guard, rehearsal: Rehearsal, start: Path, rl: RLConfig, work: Path, tell: Tell
    ) -> None:
        self._guard, self._rehearsal, self._rl = guard, rehearsal, rl
        self._start, self._work, self._tell = start, work, tell

    def watch(self, algorithm: Any) -> None:
        """Look at what RL has made, if it is time.

        Raises:
            _EnoughError: it is to end.
        """
        done, last = algorithm.iterations_done, self._rl.iterations
        self._tell(done / last, f"iteration {done} of {last}")
        if done % self._rl.checkpoint_every and done != last:
            return
        guard, weights = self._guard, algorithm.follower_tensors()
        self._rehearsal.load(weights)
        look = self._rehearsal.look(done, self._kl(done), HELD_SEED, guard.config.seeds)
        worse = guard.best.iteration
        check = guard.judge(look)
        if check.better:
            self._keep(weights, done)
        _add(self._work / RECORD, check)
        if check.better and worse:
            shutil.rmtree(self._work / _STATE.format(worse), ignore_errors=True)
        if guard.enough:
            raise _EnoughError

    def _kl(self, done: int) -> float:
        """Return KL to the start in the last gradient steps, nats a token; NaN if not logged."""
        rows = read_metrics(self._work / _RUN / WORK)
        return next((row[_KL] for row in rows if row[STEP] == done and _KL in row), float("nan"))

    def _keep(self, weights: Mapping[str, Tensor], done: int) -> None:
        start = checkpoint.read_meta(self._start)
        facts = {
            **start,
            "stage": "choreograph",
            "stage_config": self._rl.model_dump(mode="json"),
            "started_from": sha256_of(self._start),
            "song": self._rehearsal.clip.name,
            "iterations": done,
        }
        del facts["created"]
        with atomic_path(self._work / _STATE.format(done)) as temporary:
            shutil.copytree(self._start, temporary)
            checkpoint.write_files(
                temporary,
                kind=KIND,
                tensors=weights,
                config=self._rehearsal.follower.model.config,
                meta=facts,
            )


def _store(folder: Path, clip: DuetClip, leads: bool) -> Path:
    """Return a store of one clip, all of it to learn from; one that is there already is kept."""
    if not (folder / "store.json").is_file():
        made_with = {"song": clip.source, SWAPPED: leads}
        DuetStore.create(folder, [clip], SplitConfig(val=0, test=0), made_with)
    return folder


def read_record(record: Path) -> list[Check]:
    """Return the record so far; a line cut short by a crash is left out."""
    if not record.is_file():
        return []
    checks = []
    for line in record.read_text().splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            break
        values.pop("verdict", None)
        checks.append(validate(Check, values, source=str(record)))
    return checks


def _add(record: Path, check: Check) -> None:
    """Write the record with one line more, whole or not at all."""
    lines = [*read_record(record), check]
    with atomic_path(record) as temporary:
        temporary.write_text("".join(_line(one) + "\n" for one in lines))


def _line(check: Check) -> str:
    return json.dumps({**check.model_dump(mode="json"), "verdict": check.verdict})


def _look_of(check: Check) -> dict[str, Any]:
    return check.model_dump(include=set(Look.model_fields))
