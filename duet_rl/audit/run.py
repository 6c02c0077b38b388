"""An audit: every attack before every judge."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from duet_rl.audit.judges import (
    SET_JUDGES,
    SetJudge,
    count,
    feature_set,
    features_of,
    judge_of,
    known_judges,
)
from duet_rl.audit.results import Audit
from duet_rl.audit.settings import AuditConfig
from duet_rl.audit.verdict import Trial, try_clips, try_sets, verdicts
from duet_rl.audit.windows import Pair, Window, cut_windows, frames_of, load_pairs
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.judged import stacked
from duet_rl.metrics.attacks import ATTACKS, AttackInput
from duet_rl.metrics.baselines import typical_distance
from duet_rl.rewards.base import RewardMix

TRUTH = "true partner"
_BATCH = 16  # windows danced at once


def run_audit(
    store: DuetStore,
    rewards: RewardMix,
    config: AuditConfig = AuditConfig(),
    progress: bool = True,
) -> Audit:
    """Let every judge judge the true partners and every attack, and say which ones fool it.

    Args:
        store: whose couples the attacks are made from.
        rewards: the mix that is tried; its terms must not need tokens.
        config: which clips and attacks.
        progress: whether to show a bar.

    Raises:
        InputError: no clip lasts a window, there are fewer than two windows, or dancers are alone.
    """
    store.require_couples("the audit")
    windows = cut_windows(store.records(config.split), config)
    if len(windows) < 2:
        raise InputError(
            f"one window of {config.seconds:g} s is all there is; set audit.seconds lower, or "
            "give more clips"
        )
    found = _Found(len(windows))
    names = [TRUTH, *config.attacks]
    batches = list(_batches(len(windows)))
    with tqdm(total=len(batches) * len(names), desc="audit", disable=not progress) as bar:
        for rows in batches:
            pairs = load_pairs(store, windows, rows, frames_of(config))
            for name in names:
                found.add(name, rows, pairs, _danced(name, rows, pairs, config.seed), rewards)
                bar.update()
        return _judged(found, windows, config, store.hash)


class _Found:
    """Numbers and features of truth and attacks, a row a window; NaN where there is none."""

    def __init__(self, windows: int) -> None:
        self.windows = windows
        self.numbers: dict[str, dict[str, Tensor]] = defaultdict(dict)
        self.features: dict[str, dict[str, Tensor]] = defaultdict(dict)

    def add(
        self,
        name: str,
        rows: Sequence[int],
        pairs: Sequence[Pair],
        danced: Sequence[Tensor | None],
        rewards: RewardMix,
    ) -> None:
        """Count what was danced in these rows; a dance that could not be made has no numbers."""
        made = [place for place, joints in enumerate(danced) if joints is not None]
        if not made:
            return
        joints = torch.stack([joints for joints in danced if joints is not None])
        clips = [pairs[place].clip for place in made]
        leader = stacked(clip.duet.leader.joints for clip in clips)
        here = [rows[place] for place in made]
        with torch.no_grad():
            counted = count(joints, clips, rewards), features_of(joints, leader)
        for table, values in zip((self.numbers, self.features), counted, strict=True):
            for key, value in values.items():
                shape = (self.windows, *value.shape[1:])
                kept = table[name].setdefault(key, torch.full(shape, torch.nan).to(value))
                kept[here] = value


def _danced(
    name: str, rows: Sequence[int], pairs: Sequence[Pair], seed: int
) -> list[Float[Tensor, "T 55 3"] | None]:
    """Return the dances of the truth or of an attack."""
    if name == TRUTH:
        return [pair.clip.duet.follower.joints for pair in pairs]
    follow = ATTACKS[name].follow
    return [
        follow(
            AttackInput(
                pair.clip.duet,
                None if pair.other is None else pair.other.duet,
                pair.clip.beats,
                typical_distance([pair.clip.duet]),
                seed=seed + row,
            )
        )
        for row, pair in zip(rows, pairs, strict=True)
    ]


def _judged(found: _Found, windows: Sequence[Window], config: AuditConfig, data_hash: str) -> Audit:
    takes = torch.tensor([window.take for window in windows])
    judged = torch.tensor([window.judged for window in windows])
    table = {}
    for judge in known_judges(found.numbers[TRUTH]):
        trials = []
        for attack in config.attacks:
            if judge in SET_JUDGES:
                trials.append(_try_set(SET_JUDGES[judge], found, attack, takes, judged))
            elif judge in found.numbers[attack]:
                truth, theirs = (found.numbers[name][judge] for name in (TRUTH, attack))
                trials.append(try_clips(truth, theirs, takes, config.seed))
            else:
                trials.append(_unmade(float(found.numbers[TRUTH][judge].nanmean())))
        table[judge] = verdicts(trials, judge_of(judge).better)
    return Audit(config.attacks, table, len(windows), len(takes.unique()), data_hash)


def _try_set(
    judge: SetJudge, found: _Found, attack: str, takes: Tensor, judged: Bool[Tensor, "R"]
) -> Trial:
    """Return what a judge of sets makes of truth and attack, held to true dances."""
    if judge.kind not in found.features[attack]:
        return _unmade(float("nan"))
    truth, theirs = (found.features[name][judge.kind] for name in (TRUTH, attack))
    made = torch.isfinite(theirs).flatten(1).any(1)
    ours, reference = (judged, ~judged) if judge.halves else (made, made)

    def of(features: Tensor, kept: Tensor) -> tuple[float, str]:
        sets = (feature_set(features, takes, made & ours & kept), reference & kept)
        return judge.score(sets[0], feature_set(truth, takes, sets[1]))

    return try_sets(lambda kept: of(truth, kept), lambda kept: of(theirs, kept), takes)


def _unmade(truth: float) -> Trial:
    return Trial(truth, float("nan"), None, "the attack cannot be made of these clips")


def _batches(windows: int) -> Iterator[range]:
    for start in range(0, windows, _BATCH):
        yield range(start, min(start + _BATCH, windows))
