"""An evaluation: followers on held-out clips, beside the truth, baselines and noise."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from duet_rl.datasets.clip import FPS
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import ClipRecord
from duet_rl.errors import InputError
from duet_rl.evaluate.baselines import (
    Mirror,
    Nearest,
    NearestSong,
    OtherTake,
    RandomTokens,
    TruePartner,
    other_takes,
)
from duet_rl.evaluate.dances import keep_dance
from duet_rl.evaluate.followers import Entrant, Recorded, Trained
from duet_rl.evaluate.parallel import outcomes_of
from duet_rl.evaluate.sets import compare_sets
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.evaluate.table import Evaluation, EvaluationRow
from duet_rl.evaluate.task import Job, Outcome, Piece
from duet_rl.generate.follower import load_follower
from duet_rl.metrics.retrieval import FADE_SECONDS, WINDOW_SECONDS
from duet_rl.models.follower import hearing_of
from duet_rl.rewards.base import RewardMixConfig

_BATCH = 16  # clips danced at once, at most; a row's numbers depend on it, so it is fixed
_BATCH_FRAMES = 8192  # of all of them together, at most
_PROBE_SECONDS = 8.0  # of the windows that are danced again with other music, leader and future


def evaluate(
    store: DuetStore,
    followers: Sequence[Trained | Recorded],
    rewards: RewardMixConfig,
    config: EvaluateConfig = EvaluateConfig(),
    progress: bool = True,
    dances: Path | None = None,
) -> Evaluation:
    """Measure the true partner, the baselines and every follower on held-out clips.

    Args:
        store: where the clips are; baselines learn from its `train` split.
        followers: what is measured beside truth and baselines.
        rewards: whose terms fill the first columns.
        config: which clips, how many seeds and processes.
        progress: whether to show a bar.
        dances: a folder that gets the first seed's dance of each clip.

    Raises:
        InputError: the split is empty, or a follower does not fit the store.
    """
    records = store.records(config.split)[: config.max_clips]
    if not records:
        raise InputError(
            f"the split {config.split!r} of {store.path} has no clips; choose another split"
        )
    names, unprobed = [record.name for record in records], set[str]()
    for follower in followers:
        if isinstance(follower, Trained):
            loaded = load_follower(follower.folder)  # on the CPU: only to see whether it fits
            loaded.require_fits(store, f"the follower {follower.name!r}")
            if hearing_of(loaded.model.config) != "duolando":
                unprobed.add(follower.name)  # it hears the sound, which a probe does not exchange
        else:
            follower.require_whole(names)
    entrants = _entrants(store, followers, names)
    doubles = {e.name for e in entrants if sum(o.name == e.name for o in entrants) > 1}
    if doubles:
        raise InputError(f"two rows are called {sorted(doubles)}; name them: NAME=FOLDER")
    pieces = _pieces(entrants, records, store, config, unprobed)
    job = Job(store.path.resolve(), rewards, config)
    found = _Collected(names, dances)
    bar = tqdm(total=len(pieces), desc="evaluate", unit="piece", disable=not progress)
    with bar:
        for piece, outcome in outcomes_of(pieces, job):
            found.add(piece, outcome)
            bar.update()
    return found.evaluation(entrants, config, store.hash)


def _entrants(
    store: DuetStore, followers: Sequence[Trained | Recorded], names: Sequence[str]
) -> list[Entrant]:
    """Return all rows in their order."""
    entrants: list[Entrant] = [TruePartner()]
    if store.solo:
        entrants += [NearestSong()] if store.records("train") else []
        return [*entrants, *_untrained(followers), *followers]
    if set(names) & other_takes(store).keys():
        entrants.append(OtherTake())
    learned = [record.frames for record in store.records("train")]
    if learned:
        entrants.append(Mirror())
    if max(learned, default=0) >= round((WINDOW_SECONDS + FADE_SECONDS) * FPS):
        entrants += [Nearest(), Nearest(planted=True)]
    return [*entrants, *_untrained(followers), *followers]


def _untrained(followers: Sequence[Trained | Recorded]) -> list[Entrant]:
    """Return who dances random tokens of the first follower that has a codec."""
    trained = [follower for follower in followers if isinstance(follower, Trained)]
    return [RandomTokens(first.folder, first.device) for first in trained[:1]]


def _pieces(
    entrants: Sequence[Entrant],
    records: Sequence[ClipRecord],
    store: DuetStore,
    config: EvaluateConfig,
    unprobed: Collection[str],
) -> list[Piece]:
    """Return the pieces of the evaluation, those of one follower side by side."""
    batches = list(_batches(records))
    windows = _probe_windows(records, config.probe_clips)
    reference = [
        Piece(TruePartner(), batch, "reference")
        for batch in _batches(store.records(config.reference))
    ]
    pieces = []
    for entrant in entrants:
        pieces += [Piece(entrant, batch) for batch in batches]
        if entrant.answers and windows and entrant.name not in unprobed:
            clips, cuts = zip(*windows, strict=True)
            pieces.append(Piece(entrant, clips, "probe", cuts))
    return [*reference, *pieces]


def _batches(records: Sequence[ClipRecord]) -> Iterator[tuple[str, ...]]:
    """Yield names of clips in batches of equal length."""
    by_length: dict[int, list[str]] = defaultdict(list)
    for record in records:
        by_length[record.frames].append(record.name)
    for frames, names in by_length.items():
        size = max(1, min(_BATCH, _BATCH_FRAMES // frames))
        for start in range(0, len(names), size):
            yield tuple(names[start : start + size])


def _probe_windows(records: Sequence[ClipRecord], count: int) -> list[tuple[str, tuple[int, int]]]:
    """Return up to `count` windows of one length, over all clips before a second of any.

    Where few clips last `_PROBE_SECONDS`, windows are as long as half of the clips are at least:
    a single short one does not make the futures of all others short.
    """
    lengths = sorted((record.frames for record in records), reverse=True)
    frames = min(round(_PROBE_SECONDS * FPS), lengths[len(lengths) // 2])
    rounds = lengths[0] // frames
    windows = [
        (record.name, (turn * frames, (turn + 1) * frames))
        for turn in range(rounds)
        for record in records
        if (turn + 1) * frames <= record.frames
    ]
    return windows[:count] if count > 1 and len(windows) > 1 else []  # a swap takes two


class _Collected:
    """What the pieces found so far, by row."""

    def __init__(self, names: Sequence[str], dances: Path | None) -> None:
        self._names = list(names)
        self._place = {name: place for place, name in enumerate(names)}
        self._dances = dances
        self._values: dict[str, dict[str, Tensor]] = defaultdict(dict)
        self._probes: dict[str, dict[str, Tensor]] = defaultdict(dict)
        self._features: dict[str, dict[str, dict[str, Tensor]]] = defaultdict(dict)
        self._reference: dict[str, Mapping[str, Tensor]] = {}

    def add(self, piece: Piece, outcome: Outcome) -> None:
        """Put the numbers of a piece in their places."""
        row = piece.entrant.name
        if piece.aim == "probe":
            self._probes[row] = outcome.values
            return
        for index, clip in enumerate(piece.clips):
            features = {kind: values[index] for kind, values in outcome.features.items()}
            if piece.aim == "reference":
                self._reference[clip] = features
            else:
                self._features[row][clip] = features
                self._keep(row, clip, outcome, index)
        rows = [self._place.get(clip, -1) for clip in piece.clips]
        for measure, numbers in outcome.values.items():
            table = self._values[row].setdefault(
                measure, torch.full((len(self._names), numbers.shape[1]), torch.nan)
            )
            table[rows] = numbers

    def evaluation(
        self, entrants: Sequence[Entrant], config: EvaluateConfig, data_hash: str
    ) -> Evaluation:
        """Return all rows in the order of `entrants`."""
        rows = [
            EvaluationRow(
                entrant.name,
                self._values[entrant.name],
                self._probes[entrant.name],
                compare_sets(
                    {name: self._features[entrant.name][name] for name in self._names},
                    {name: self._reference[name] for name in sorted(self._reference)},
                    isinstance(entrant, TruePartner) and set(self._names) == set(self._reference),
                ),
            )
            for entrant in entrants
        ]
        return Evaluation(rows, self._names, config.seeds, data_hash)

    def _keep(self, row: str, clip: str, outcome: Outcome, index: int) -> None:
        dance = outcome.dances[index]
        if self._dances is not None and dance is not None:
            keep_dance(self._dances, row, clip, dance)
