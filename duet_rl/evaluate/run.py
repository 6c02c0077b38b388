"""One table: how good are followers, beside the truth, two baselines and noise."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from duet_rl.body.motion import Duet
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.scores import score_clips
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.files import atomic_path
from duet_rl.generate.follower import Follower
from duet_rl.metrics.baselines import mirror_leader, typical_distance
from duet_rl.metrics.bootstrap import Interval, bootstrap_mean
from duet_rl.metrics.duet import MEASURES, diversity
from duet_rl.metrics.retrieval import RetrievalFollower
from duet_rl.rewards.base import RewardMix
from duet_rl.text_table import aligned
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

TRUTH, MIRROR, NEAREST, RANDOM = "true partner", "mirror", "nearest neighbour", "random tokens"
_BATCH = 48  # clips danced at once


class ClipBatch(NamedTuple):
    """Clips of one length, stacked."""

    rows: list[int]  # their places in the list of clips
    clips: list[DuetClip]


Dance = Callable[[Sequence[DuetClip], int], Float[Tensor, "B T 55 3"]]
"""Clips of one length and a seed in, the joints of a follower for each out."""


@dataclass(frozen=True, eq=False)
class EvaluationRow:
    """All measurements of one follower: name of the measure -> `(clips, seeds)`."""

    name: str
    values: dict[str, Float[Tensor, "clips seeds"]]

    def interval(self, measure: str) -> Interval:
        """Return the mean of a measure with its bootstrap interval over clips and seeds."""
        return bootstrap_mean(self.values[measure])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The rows of the table, and what they were measured on."""

    rows: list[EvaluationRow]
    clips: list[str]
    seeds: int
    data_hash: str

    @property
    def measures(self) -> list[str]:
        """Names of all measures, rewards first, in the order they were taken."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def row(self, name: str) -> EvaluationRow:
        """Return the row of that name."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return every value and interval as plain JSON."""
        return {
            "clips": self.clips,
            "seeds": self.seeds,
            "data_hash": self.data_hash,
            "rows": {
                row.name: {
                    measure: {**row.interval(measure)._asdict(), "values": values.tolist()}
                    for measure, values in row.values.items()
                }
                for row in self.rows
            },
        }


def evaluate(
    store: DuetStore,
    followers: Mapping[str, Follower],
    rewards: RewardMix,
    config: EvaluateConfig = EvaluateConfig(),
    progress: bool = True,
) -> Evaluation:
    """Measure the true partner, the baselines and every follower on held-out clips.

    Args:
        store: where the clips are; baselines learn from its `train` split.
        followers: name of the row -> trained follower.
        rewards: whose terms fill the first columns.
        config: which clips, how many seeds.
        progress: whether to show a bar.

    Raises:
        InputError: the split is empty, or a follower does not fit the store.
    """
    for name, follower in followers.items():
        follower.require_fits(store, f"the follower {name!r}")
    clips = store.clips(config.split)[: config.max_clips]
    if not clips:
        raise InputError(
            f"the split {config.split!r} of {store.path} has no clips; choose another split"
        )
    dances: list[tuple[str, Dance, int]] = [
        (TRUTH, lambda batch, seed: _stack(clip.duet.follower.joints for clip in batch), 1),
        *_baselines([clip.duet for clip in store.clips("train")]),
    ]
    if followers:
        codec = next(iter(followers.values())).codec
        dances.append((RANDOM, lambda batch, seed: _random(codec, batch, seed), config.seeds))
    dances += [
        (name, _sampled(follower, config), config.seeds) for name, follower in followers.items()
    ]
    rows = [
        _measure(name, dance, seeds, clips, rewards)
        for name, dance, seeds in tqdm(dances, "evaluate", unit="follower", disable=not progress)
    ]
    return Evaluation(rows, [clip.name for clip in clips], config.seeds, store.hash)


def write_evaluation(evaluation: Evaluation, path: Path | str) -> None:
    """Write every number of the table as JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(evaluation.to_json(), indent=1) + "\n")


def as_text(evaluation: Evaluation) -> str:
    """Return the table as text: a line a follower, mean and interval a column."""
    measures = evaluation.measures
    head = ["", *(_title(measure) for measure in measures)]
    body = [[row.name, *(_cell(row, measure) for measure in measures)] for row in evaluation.rows]
    note = (
        f"{len(evaluation.clips)} clips x {evaluation.seeds} seeds; "
        "[95 % bootstrap interval over clips and seeds]"
    )
    return "\n".join([*aligned([head, *body]), note])


def _baselines(library: list[Duet]) -> Iterator[tuple[str, Dance, int]]:
    """Yield the followers that need no training; both always dance the same."""
    if not library:
        return
    distance = typical_distance(library)
    memory = RetrievalFollower(library)
    yield (
        MIRROR,
        lambda batch, seed: _stack(
            mirror_leader(clip.duet.leader, distance).joints for clip in batch
        ),
        1,
    )
    yield (
        NEAREST,
        lambda batch, seed: _stack(memory.follow(clip.duet.leader).joints for clip in batch),
        1,
    )


def _sampled(follower: Follower, config: EvaluateConfig) -> Dance:
    def dance(batch: Sequence[DuetClip], seed: int) -> Tensor:
        danced = follower.dance(
            [clip.duet.leader for clip in batch],
            _stack(clip.music for clip in batch),
            seed=seed,
            sampling=config.sampling,
            look_ahead=config.look_ahead,
            true_followers=[clip.duet.follower for clip in batch] if config.true_start else None,
        )
        return danced.joints.cpu()

    return dance


def _random(codec: DuetCodec, batch: Sequence[DuetClip], seed: int) -> Tensor:
    """Return followers whose tokens are drawn evenly."""
    leader = MotionBatch(
        _stack(clip.duet.leader.joints for clip in batch),
        _stack(clip.duet.leader.rotations for clip in batch),
    )
    generator = torch.Generator().manual_seed(seed)
    shape = (len(batch), batch[0].frames // FRAMES_PER_TOKEN)
    streams = [torch.randint(n, shape, generator=generator) for n in codec.spec.classes]
    device = codec.placement.offsets.device
    tokens = torch.stack(streams, dim=-1).to(device)
    return codec.decode(tokens, MotionBatch(*(part.to(device) for part in leader))).joints.cpu()


def _measure(
    name: str, dance: Dance, seeds: int, clips: Sequence[DuetClip], rewards: RewardMix
) -> EvaluationRow:
    """Return all measurements of one follower."""
    values: dict[str, Tensor] = defaultdict(lambda: torch.full((len(clips), seeds), torch.nan))
    for batch in _batches(clips):
        danced = [dance(batch.clips, seed) for seed in range(seeds)]
        for seed, joints in enumerate(danced):
            for measure, numbers in score_clips(joints, batch.clips, rewards).items():
                values[measure][batch.rows, seed] = numbers
        if seeds > 1:
            dances = torch.stack(danced, dim=1)  # (clips, seeds, T, 55, 3)
            spread = torch.stack([diversity(of_clip) for of_clip in dances])
            values["diversity"][batch.rows] = spread[:, None].expand(-1, seeds)
    return EvaluationRow(name, {m: v for m, v in values.items() if torch.isfinite(v).all()})


def _batches(clips: Sequence[DuetClip]) -> Iterator[ClipBatch]:
    """Yield the clips in batches of equal length."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        by_length[clip.frames].append(row)
    for rows in by_length.values():
        for start in range(0, len(rows), _BATCH):
            chunk = rows[start : start + _BATCH]
            yield ClipBatch(chunk, [clips[row] for row in chunk])


def _stack(tensors: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(tensors))


def _title(measure: str) -> str:
    known = MEASURES.get(measure)
    return f"{measure} ({known.unit})" if known else measure


def _cell(row: EvaluationRow, measure: str) -> str:
    return f"{row.interval(measure):.3g}" if measure in row.values else "-"
