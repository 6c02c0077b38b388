"""Our vectorised metrics give the numbers of Bailando's scripts."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.metrics.frechet import constant_features, mean_distance, normalise, published_fid
from duet_rl.metrics.manual_features import manual_features
from duet_rl.metrics.motion_features import from_start, kinetic_features
from duet_rl.metrics.published import beat_alignment, beat_score, published_motion_beats
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "bailando" / "metrics.npz"
RELATIVE = 1e-5  # the tolerance that the golden set suggests

pytestmark = needs(FILE)


@cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def golden(name: str) -> Tensor:
    return torch.from_numpy(arrays()[name])


@pytest.mark.parametrize(
    ("compute", "name"), [(kinetic_features, "kinetic"), (manual_features, "manual")]
)
def test_features_of_a_batch_are_the_originals(compute, name: str) -> None:
    ours, theirs = compute(from_start(golden("positions"))).float(), golden(name)
    torch.testing.assert_close(ours, theirs, atol=RELATIVE * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize(("name", "short"), [("kinetic", "k"), ("manual", "m")])
def test_set_scores_are_the_real_part_of_the_originals(name: str, short: str) -> None:
    samples, reference = normalise(golden(f"gen_{name}"), golden(f"gt_{name}"))
    fid, div = (arrays()[f"metrics/{key}_{short}"] for key in ("fid", "div"))
    div_of_truth = arrays()[f"metrics/div_{short}_gt"]
    assert published_fid(samples, reference) == pytest.approx(float(fid), rel=RELATIVE)
    assert mean_distance(samples) == pytest.approx(float(div), rel=RELATIVE)
    assert mean_distance(reference) == pytest.approx(float(div_of_truth), rel=RELATIVE)


def test_features_are_normalised_as_the_original_does() -> None:
    found = normalise(golden("gen_kinetic"), golden("gt_kinetic"))
    for ours, name in zip(found, ("norm_gen_kinetic", "norm_gt_kinetic"), strict=True):
        theirs = golden(name)
        torch.testing.assert_close(ours, theirs, atol=RELATIVE * float(theirs.abs().max()), rtol=0)


def test_features_without_variation_are_found_and_may_be_left_out() -> None:
    varies = torch.zeros(golden("gt_manual").shape[1], dtype=torch.bool)
    varies[golden("manual_cols_std_positive")] = True
    assert constant_features(golden("gt_manual"))[~varies].all()
    kept = (golden(f"{group}_manual")[:, varies] for group in ("gen", "gt"))
    theirs = float(arrays()["fid_m_cols"])
    assert published_fid(*normalise(*kept)) == pytest.approx(theirs, rel=RELATIVE)


def test_fid_and_div_of_raw_features_are_the_originals() -> None:
    fid = published_fid(golden("fid_a"), golden("fid_b"))
    assert fid == pytest.approx(float(arrays()["fid_fullrank"]), rel=RELATIVE)
    assert mean_distance(golden("fid_a")) == pytest.approx(float(arrays()["div_a"]), rel=RELATIVE)


def test_beat_alignment_is_the_originals() -> None:
    pose, told = golden("ba_pose_0"), golden("ba_pose_0_music_beats")
    kept = published_motion_beats(pose)
    assert kept.tolist() == arrays()["ba_pose_0_motion_beats"].tolist()
    beats = torch.zeros(len(pose), dtype=torch.bool)
    beats[told] = True
    theirs = float(arrays()["ba_pose_0_score"])
    assert beat_alignment(pose, beats) == pytest.approx(theirs, rel=RELATIVE)
    assert beat_score(told, kept) == pytest.approx(theirs, rel=RELATIVE)


def test_every_pieces_beats_score_as_in_the_original() -> None:
    scores = arrays()["ba_scores"]
    ours = [
        beat_score(golden(f"ba_music_beats_{piece}"), golden(f"ba_motion_beats_{piece}"))
        for piece in range(len(scores))
    ]
    assert ours == pytest.approx(scores.tolist(), rel=RELATIVE)
