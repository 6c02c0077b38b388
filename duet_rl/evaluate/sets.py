"""Sets of dances beside a reference: KID, FID and spread over windows of all clips together."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.metrics.duet import Better, Measure
from duet_rl.metrics.set_features import FEATURES, WINDOW_SECONDS
from duet_rl.metrics.set_scores import FeatureSet, SetScore, div, fid, kid

GROUP = "All dances together, beside the reference"
_SEED = 0  # of the dances that are compared: every row has as many windows as the true partners

Features = Mapping[str, Float[Tensor, "_ _ _"]]
"""Kind of features -> those of one clip, `(seeds, windows, dimensions)`."""

_SCORES: dict[str, tuple[Better, str]] = {
    "kid": ("lower", "distance from the reference without bias, may fall below 0"),
    "fid": ("lower", "distance from the reference, greater for fewer windows"),
    "div": ("true", "distance between windows of different clips"),
}
SET_MEASURES: dict[str, Measure] = {
    f"{score}_{kind}": Measure("", better, f"{meaning}; {about}", GROUP)
    for kind, about in FEATURES.items()
    for score, (better, meaning) in _SCORES.items()
}


def compare_sets(
    dances: Mapping[str, Features], reference: Mapping[str, Features], in_reference: bool = False
) -> dict[str, SetScore]:
    """Return every measure of `SET_MEASURES`.

    The true partners of the reference are no other dances than themselves: where the reference is
    the split that is measured, their row says so instead of an FID of 0.

    Args:
        dances: clip -> features of its dances; the first seed counts. A missing dance is NaN.
        reference: clip -> features of the true partners.
        in_reference: whether the dances are the reference itself.
    """
    names = sorted(dances.keys() | reference.keys())
    scores: dict[str, Callable[[FeatureSet, FeatureSet], SetScore]] = {
        "kid": kid,
        "fid": fid,
        "div": div,
    }
    found = {}
    for kind in FEATURES:
        ours, theirs = (_as_set(one, kind, names) for one in (dances, reference))
        for name, score in scores.items():
            if ours is None or theirs is None:
                why = _why_none(kind, dances, reference)
                found[f"{name}_{kind}"] = SetScore(None, 0, 0, 0, why)
            elif name == "fid" and in_reference:
                why = "these dances are the reference; set evaluate.reference to another split"
                windows = len(ours.features)
                found[f"{name}_{kind}"] = SetScore(None, windows, len(dances), windows, why)
            else:
                found[f"{name}_{kind}"] = score(ours, theirs)
    return {name: found[name] for name in SET_MEASURES}


def _why_none(kind: str, dances: Mapping[str, Features], reference: Mapping[str, Features]) -> str:
    if not (dances and reference):
        return "there are no clips of the reference (evaluate.reference)"
    if any(kind not in by_kind for by_kind in (*dances.values(), *reference.values())):
        return "these dancers dance alone"
    return f"no clip lasts the {WINDOW_SECONDS:g} s of a window"


def _as_set(clips: Mapping[str, Features], kind: str, names: Sequence[str]) -> FeatureSet | None:
    """Return the windows of all clips that have a dance, or None without any."""
    features, rows = [], []
    for name, by_kind in clips.items():
        if kind not in by_kind:
            continue
        windows = by_kind[kind][_SEED]
        if len(windows) and not torch.isnan(windows).all():
            features.append(windows)
            rows.append(torch.full((len(windows),), names.index(name)))
    return FeatureSet(torch.cat(features), torch.cat(rows)) if features else None
