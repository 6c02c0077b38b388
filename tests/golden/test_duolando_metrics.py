"""Our vectorised metrics give the numbers of the original's scripts."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.skeleton import NUM_JOINTS
from duet_rl.metrics.frechet import constant_features, mean_distance, normalise, published_fid
from duet_rl.metrics.manual_features import manual_features
from duet_rl.metrics.motion_features import (
    duet_features,
    from_start,
    joints_of_smpl,
    kinetic_features,
)
from duet_rl.metrics.published import (
    beat_alignment,
    beat_echo,
    published_motion_beats,
    skating_frames,
)
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "metrics.npz"
RELATIVE = 1e-4  # the tolerance that the golden set suggests
WELL_CONDITIONED = 1e-5  # of FID and DIV of more vectors than dimensions
SINGULAR = 1e-2  # of FID of fewer
METRES = 1 / 5000  # in a unit of the stored positions
GROUPS = ("gt", "pred")
FEATURES = ("kinetic72", "manual32", "duet100")

pytestmark = needs(FILE)


@cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def takes(group: str) -> list[str]:
    names = {name.split("/")[1] for name in arrays() if name.startswith(f"{group}/")}
    return sorted((name for name in names if name.isdigit()), key=int)


def dancer(group: str, take: str, role: str) -> Tensor:
    flat = arrays()[f"{group}/{take}/pos_int16_{role}"].astype(np.float64) * METRES
    return torch.from_numpy(flat.astype(np.float32)).unflatten(1, (NUM_JOINTS, 3))


def couple(group: str, take: str) -> tuple[Tensor, Tensor]:
    return dancer(group, take, "00"), dancer(group, take, "01")


def music_beats(take: str) -> Tensor:
    return torch.from_numpy(arrays()[f"music_beats_onehot/{take}"]) > 0


def features(group: str, name: str) -> Tensor:
    """Return the features that are stored, a row a take."""
    return torch.from_numpy(np.stack([arrays()[f"{group}/{t}/{name}"] for t in takes(group)]))


def solo(compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda follower, leader: compute(from_start(joints_of_smpl(follower.double())))


def within(follower: Tensor, leader: Tensor) -> Tensor:
    shared = min(len(follower), len(leader))
    return duet_features(follower[:shared], leader[:shared])


COMPUTE = {
    "kinetic72": solo(kinetic_features),
    "manual32": solo(manual_features),
    "duet100": within,
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", FEATURES)
def test_features_are_the_originals(group: str, name: str) -> None:
    ours = torch.stack([COMPUTE[name](*couple(group, take)) for take in takes(group)]).float()
    theirs = features(group, name)
    torch.testing.assert_close(ours, theirs, atol=RELATIVE * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("group", GROUPS)
def test_motion_beats_fall_on_the_originals_frames(group: str) -> None:
    for take in takes(group):
        for role, joints in zip("fl", couple(group, take), strict=True):
            theirs = arrays()[f"{group}/{take}/motion_beats_{role}"]
            assert published_motion_beats(joints).tolist() == theirs.tolist()


@pytest.mark.parametrize("group", GROUPS)
def test_beat_scores_are_the_originals(group: str) -> None:
    bas = [beat_alignment(dancer(group, t, "00"), music_beats(t)) for t in takes(group)]
    bed = [beat_echo(*couple(group, take)) for take in takes(group)]
    for name, ours in (("bas", bas), ("bed", bed)):
        theirs = [float(arrays()[f"{group}/{take}/{name}"]) for take in takes(group)]
        assert ours == pytest.approx(theirs, rel=RELATIVE)
        assert np.mean(ours) == pytest.approx(float(arrays()[f"{group}/{name.upper()}"]), RELATIVE)


@pytest.mark.parametrize("group", GROUPS)
def test_foot_skating_is_the_originals(group: str) -> None:
    counts = []
    for take in takes(group):
        for role, joints in zip("fl", couple(group, take), strict=True):
            before = joints.clone()
            counts.append(skating_frames(joints))
            assert counts[-1] == tuple(arrays()[f"{group}/{take}/footskate_{role}"].tolist())
            assert torch.equal(joints, before)
    skating, steps = (sum(column) for column in zip(*counts, strict=True))
    assert [skating, steps] == arrays()[f"{group}/footskate_total"].tolist()
    theirs = float(arrays()[f"{group}/footskate_ratio_percent"])
    assert 100 * skating / steps == pytest.approx(theirs, rel=RELATIVE)


@pytest.mark.parametrize("kind", ["k", "m", "d"])
def test_fid_and_div_of_many_vectors_are_the_originals(kind: str) -> None:
    stored = {name: arrays()[f"fidref/{kind}/{name}"] for name in ("pred", "gt")}
    samples, reference = normalise(*(torch.from_numpy(stored[name]) for name in ("pred", "gt")))
    found = {
        "fid": published_fid(samples, reference),
        "div_pred": mean_distance(samples),
        "div_gt": mean_distance(reference),
    }
    for name, ours in found.items():
        theirs = float(arrays()[f"fidref/{kind}/{name}"])
        assert ours == pytest.approx(theirs, rel=WELL_CONDITIONED)


@pytest.mark.parametrize(
    ("feature", "fid", "div"),
    [
        ("kinetic72", "solo/fid_k", "solo/div_k"),
        ("manual32", "solo/fid_m_nonconstant", "solo/div_m_nonconstant"),
        ("duet100", "duet/fid_k", "duet/div"),
    ],
)
def test_scores_of_few_takes_are_the_real_part_of_the_originals(
    feature: str, fid: str, div: str
) -> None:
    reference = features("gt", feature)
    varies = torch.ones(reference.shape[1], dtype=torch.bool)
    if fid.endswith("_nonconstant"):
        varies = torch.from_numpy(arrays()["solo/manual_nonconstant_mask"])
        assert constant_features(reference)[~varies].all()
    samples, reference = normalise(features("pred", feature)[:, varies], reference[:, varies])
    assert published_fid(samples, reference) == pytest.approx(arrays()[fid].real, rel=SINGULAR)
    assert mean_distance(samples) == pytest.approx(float(arrays()[div]), rel=RELATIVE)
    if not fid.endswith("_nonconstant"):
        theirs = float(arrays()[f"{div}_gt"])
        assert mean_distance(reference) == pytest.approx(theirs, rel=RELATIVE)
