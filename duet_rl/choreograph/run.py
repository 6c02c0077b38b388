"""Choreographing songs: from sound files to dances, and a report on all of them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from duet_rl.body.motion import Motion
from duet_rl.choreograph.finetune import rewards_without_partner
from duet_rl.choreograph.page import PAGE, write_choreography_page
from duet_rl.choreograph.parallel import Watch, outcomes_of
from duet_rl.choreograph.settings import ChoreographConfig
from duet_rl.choreograph.songs import find_songs, require_leader
from duet_rl.choreograph.table import JSON, Choreography, evaluation_of, write_tables
from duet_rl.choreograph.task import WORKING, SongTask, finished
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.evaluate.followers import follower_in
from duet_rl.evaluate.table import CLIPS, TABLE
from duet_rl.evaluate.table import JSON as EVALUATION
from duet_rl.files import require_folder, settle, sha256_of
from duet_rl.generate.follower import load_follower
from duet_rl.models.sampling import SamplingConfig
from duet_rl.rl.run import check_settings
from duet_rl.rl.settings import RLConfig
from duet_rl.storage.claims import claimed

logger = logging.getLogger(__name__)


class _Settings(Config):
    """What the report says about how it was made."""

    choreograph: ChoreographConfig
    rl: RLConfig


def choreograph(
    songs: Sequence[Path],
    follower: Path,
    out: Path,
    config: ChoreographConfig = ChoreographConfig(),
    rl: RLConfig = RLConfig(),
    *,
    tuned: bool = False,
    leader: Motion | None = None,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Choreography:
    """Let a follower dance to songs, fine-tuned to each of them if wanted.

    Each song gets a folder in `out`, whole or not at all; the report, the tables and the JSON of
    all of them lie beside. The same call again does what is missing.

    Args:
        songs: sound files, or folders of them.
        follower: folder of who dances, or of its run.
        out: folder of the dances.
        config: settings.
        rl: what is rewarded, and how fine-tuning learns.
        tuned: whether the follower is refined on each song first.
        leader: whom it follows, if it is no soloist; the dances last no longer.
        sampling: of the tokens; None: as this kind of follower is usually sampled.
        seed: another seed, another dance.
        progress: whether to show a bar.

    Returns:
        The dances, and why songs have none.

    Raises:
        InputError: no songs, no follower, one that needs a leader or wants none, settings that do
            not fit it, another program works in `out`, or its reports are of something else.
    """
    sounds = find_songs(songs)
    place = follower_in(require_folder(follower, "a follower"))
    if place is None:
        raise InputError(
            f"{follower} holds no follower; give a folder written by `duet-rl pretrain follower` "
            "or `duet-rl rl`"
        )
    leader = None if leader is None else leader.resample(FPS)
    dancer = load_follower(place)
    require_leader(dancer, f"the follower {follower}", leader)
    rewards_without_partner(rl.rewards)
    if tuned:
        check_settings(rl, dancer.model.config)
    place, out = place.resolve(), out.resolve()  # workers stand in another folder
    made_by = sha256_of(place)
    tasks = [
        SongTask(name, sound, place, made_by, out, config, rl, tuned, sampling, seed, leader)
        for name, sound in sounds.items()
    ]
    with claimed(out):
        _require_own_reports(out)
        found = _danced(tasks, out, config.parallel, progress)
        with suppress(OSError):  # some song is not finished
            (out / WORKING).rmdir()
        write_tables(found)
        settings = _Settings(choreograph=config, rl=rl)
        write_choreography_page(out / PAGE, found, sounds, leader, config, settings)
    return found


def _require_own_reports(out: Path) -> None:
    """Raise `InputError` if a demo or an evaluation has its report there."""
    found = [name for name in (PAGE, EVALUATION, TABLE, CLIPS) if (out / name).exists()]
    if found and not (out / JSON).is_file():
        raise InputError(
            f"{out / found[0]} is of something else and would be lost; give a folder of its own "
            "as --out"
        )


def _danced(tasks: Sequence[SongTask], out: Path, parallel: bool, progress: bool) -> Choreography:
    """Return what became of all songs, those that are done already among them."""
    for task in tasks:  # here, where nobody is writing yet: folders may begin with one name
        settle(task.folder)
    results = {task.name: done for task in tasks if (done := finished(task)) is not None}
    todo = [task for task in tasks if task.name not in results]
    faults = {}
    with _bar(len(tasks), len(results), progress) as watch:
        for outcome in outcomes_of(todo, parallel, watch):
            if outcome.result is not None:
                results[outcome.name] = outcome.result
                logger.debug("%s: %s", outcome.name, outcome.result.why or "danced")
            else:
                faults[outcome.name] = outcome.fault
                logger.warning("%s failed: %s", outcome.name, outcome.fault)
    ordered = tuple(results[task.name] for task in tasks if task.name in results)
    told = {task.name: faults[task.name] for task in tasks if task.name in faults}
    return Choreography(out, ordered, told, evaluation_of(ordered))


@contextmanager
def _bar(songs: int, done: int, progress: bool) -> Iterator[Watch]:
    """Yield what takes the progress of all songs that were not done before."""
    form = "{l_bar}{bar}| {n:.1f}/{total} songs [{elapsed}<{remaining}]{postfix}"
    bar = tqdm(total=songs, initial=done, desc="choreograph", disable=not progress, bar_format=form)

    told = ""

    def watch(more: float, doing: str) -> None:
        nonlocal told
        now = f"{more:.1f} {doing}"
        if now != told:  # else a log that is no terminal fills with lines
            bar.n, told = done + more, now
            bar.set_postfix_str(doing)

    with bar:
        yield watch
        watch(songs - done, "")
