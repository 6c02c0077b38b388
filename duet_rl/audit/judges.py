"""The judges that are tried: rewards, measures, published numbers, scores of sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.evaluate.scores import REWARD_PREFIX, score_clips
from duet_rl.metrics.duet import MEASURES, Better
from duet_rl.metrics.frechet import mean_distance, normalise, published_fid, published_reason
from duet_rl.metrics.manual_features import manual_features
from duet_rl.metrics.motion_features import (
    duet_features,
    from_start,
    joints_of_smpl,
    kinetic_features,
)
from duet_rl.metrics.published import beat_alignment, beat_echo, skating_frames
from duet_rl.metrics.set_features import FEATURES, WINDOW_SECONDS, window_features
from duet_rl.metrics.set_scores import FeatureSet, SetScore, div, fid, kid
from duet_rl.rewards.base import RewardMix
from duet_rl.rewards.duolando import half_agreement, slip_penalty

REWARDS, PAPER_REWARDS = "Rewards", "Rewards of the Duolando paper"
PUBLISHED, SETS = "Published numbers", "All dances together"

SetScorer = Callable[[FeatureSet, FeatureSet], tuple[float, str]]
"""Samples and reference in, a score out, or NaN and the reason for it."""


class Judge(NamedTuple):
    """One number that says how good a dance, or a set of dances, is."""

    group: str
    better: Better  # true: the true partner's value is the best
    meaning: str


class SetJudge(NamedTuple):
    """A judge of sets: which features it looks at, and how."""

    judge: Judge
    kind: str  # of features
    score: SetScorer
    halves: bool  # the reference is the other half of the takes, and not the truth of the same


UNHEARD: dict[str, str] = {
    "reward/duolando": "looks at what tokens say of the root, and joints say nothing else",
    "diversity": "compares dances of several seeds, and an attack has one",
    "contact frequency": "looks at the surfaces of bodies; penetration stands in for it",
}
"""Judges that cannot be tried, and why."""


def judge_of(name: str) -> Judge:
    """Return what the judge of dances or sets of that name is."""
    if name in _CLIP_JUDGES:
        return _CLIP_JUDGES[name]
    if name in SET_JUDGES:
        return SET_JUDGES[name].judge
    if name.startswith(REWARD_PREFIX):
        return Judge(REWARDS, "higher", "a term of the reward, or their weighted mean")
    measure = MEASURES[name]
    return Judge(measure.group, measure.better, measure.meaning)


def count(
    joints: Float[Tensor, "B T 55 3"], clips: Sequence[DuetClip], rewards: RewardMix
) -> dict[str, Float[Tensor, "B"]]:
    """Return what every judge of one dance says; NaN where it does not apply.

    Args:
        joints: a follower for each clip, metres.
        clips: of one length.
        rewards: whose terms come first.
    """
    said = score_clips(joints, clips, rewards)
    said["paper/half_agreement"] = half_agreement(joints).amin(1)
    said["paper/slip_penalty"] = slip_penalty(joints, FPS).mean(1)
    pairs = list(zip(joints, clips, strict=True))
    skated = [skating_frames(dance) for dance in joints]
    published = {
        "published/BAS": [beat_alignment(dance, clip.beats) for dance, clip in pairs],
        "published/BED": [beat_echo(dance, clip.duet.leader.joints) for dance, clip in pairs],
        "published/skating": [frames / total for frames, total in skated],
    }
    return said | {name: torch.tensor(values) for name, values in published.items()}


def features_of(
    joints: Float[Tensor, "B T 55 3"], leader: Float[Tensor, "B T 55 3"]
) -> dict[str, Float[Tensor, "B W D"]]:
    """Return what judges of sets see of each dance: features of windows of `WINDOW_SECONDS`."""
    frames = round(WINDOW_SECONDS * FPS)
    count = joints.shape[1] // frames
    ours, theirs = (
        dancer[:, : count * frames].unflatten(1, (count, frames)) for dancer in (joints, leader)
    )
    started = from_start(joints_of_smpl(ours))
    return {
        **window_features(joints, leader, FPS),
        "published kinetic": kinetic_features(started),
        "published manual": manual_features(started),
        "published duet": duet_features(ours.double(), theirs.double()),
    }


def feature_set(
    features: Float[Tensor, "R W D"], takes: Int[Tensor, "R"], rows: Bool[Tensor, "R"]
) -> FeatureSet:
    """Return the windows of these rows as one set, counted by take."""
    chosen = features[rows]
    return FeatureSet(chosen.flatten(0, 1), takes[rows].repeat_interleave(chosen.shape[1]))


def known_judges(found: Mapping[str, Tensor]) -> list[str]:
    """Return the names of all judges by group, rewards first: those that counted, and of sets.

    Controls judge nobody.
    """
    names = [name for name in (*found, *SET_JUDGES) if judge_of(name).better]
    groups = list(dict.fromkeys(judge_of(name).group for name in names))
    return sorted(names, key=lambda name: groups.index(judge_of(name).group))


def _strict(score: Callable[..., SetScore]) -> SetScorer:
    def told(samples: FeatureSet, reference: FeatureSet) -> tuple[float, str]:
        found = score(samples, reference, draws=1)
        return (found.interval.mean if found.interval else float("nan")), found.reason

    return told


def _published_fid(samples: FeatureSet, reference: FeatureSet) -> tuple[float, str]:
    reason = published_reason(samples.features, reference.features, full_rank=True)
    if reason:
        return float("nan"), reason
    return published_fid(*normalise(samples.features, reference.features)), ""


def _published_div(samples: FeatureSet, reference: FeatureSet) -> tuple[float, str]:
    reason = published_reason(samples.features, reference.features, full_rank=False)
    if reason:
        return float("nan"), reason
    return mean_distance(normalise(samples.features, reference.features).samples), ""


_CLIP_JUDGES: dict[str, Judge] = {
    "paper/half_agreement": Judge(PAPER_REWARDS, "higher", "chest and hips face one way"),
    "paper/slip_penalty": Judge(PAPER_REWARDS, "higher", "how still the root stands"),
    "published/BAS": Judge(PUBLISHED, "higher", "beats of the body where the music has them"),
    "published/BED": Judge(PUBLISHED, "higher", "beats of the body where the leader has his"),
    "published/skating": Judge(PUBLISHED, "lower", "steps in which the feet skate"),
}
_SHORT = {"kinetic": "k", "manual": "g", "duet": "cd"}  # as the papers call them
_STRICT: tuple[tuple[str, Callable[..., SetScore], Better, str], ...] = (
    ("kid", kid, "lower", "distance from true dances, without bias, in features"),
    ("fid", fid, "lower", "distance from true dances in features"),
    ("div", div, "true", "spread of features"),
)
_AS_PUBLISHED: tuple[tuple[str, SetScorer, Better, str], ...] = (
    ("FID", _published_fid, "lower", "distance from the truth in features"),
    ("DIV", _published_div, "higher", "spread of features"),
)
SET_JUDGES: dict[str, SetJudge] = {
    **{
        f"{name}_{kind}": SetJudge(
            Judge(SETS, better, f"{meaning}: {kind}"), kind, _strict(score), halves=True
        )
        for kind in FEATURES
        for name, score, better, meaning in _STRICT
    },
    **{
        f"published/{name}_{_SHORT[kind]}": SetJudge(
            Judge(PUBLISHED, better, f"{meaning}: {kind}"), f"published {kind}", score, halves=False
        )
        for kind in FEATURES
        for name, score, better, meaning in _AS_PUBLISHED
    },
}
