"""HumanML3D's features of real dances are the original's, both ways, defects included."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.mocap.humanml3d import joints_of
from duet_rl.tokenizers.humanml3d import Quirks, canonical, features_of
from tests.golden.files import GOLDEN, needs

STEADY, TURNING = "60_01", "61_01"  # the second turns through half a turn
FILES = {take: GOLDEN / "pgr2m" / f"h3d_features_{take}.npz" for take in (STEADY, TURNING)}
ORIGINAL = Quirks(lost_turns=True)
TOLERANCE = 2e-6  # features, in their own units
METRES = 5e-7
LOST = 1e-2  # m; a joint farther off is elsewhere

pytestmark = needs(*FILES.values())


def read(take: str) -> dict[str, Tensor]:
    with np.load(FILES[take], allow_pickle=False) as golden:
        return {name: torch.from_numpy(golden[name]).double() for name in golden.files}


def farthest(ours: Tensor, wanted: Tensor) -> float:
    return float((ours - wanted).abs().max())


@pytest.mark.parametrize("take", FILES)
def test_clips_are_put_on_the_floor_as_the_original_does(take):
    golden = read(take)
    assert farthest(canonical(golden["joints_raw_world"]), golden["joints_canon"]) < METRES


@pytest.mark.parametrize("take", FILES)
def test_features_with_both_defects_are_the_originals(take):
    golden = read(take)
    assert farthest(features_of(golden["joints_canon"], ORIGINAL), golden["features"]) < TOLERANCE


@pytest.mark.parametrize("take", FILES)
def test_joints_are_read_as_the_original_reads_them(take):
    golden = read(take)
    assert farthest(joints_of(golden["features"]), golden["joints_recovered"]) < METRES


def test_a_dancer_who_turns_through_half_a_turn_is_lost_only_with_that_defect():
    joints = read(TURNING)["joints_canon"]
    lost = (joints_of(features_of(joints, ORIGINAL)) - joints[:-1]).norm(dim=-1).amax(-1) > LOST
    recovered = read(TURNING)["joints_recovered"]
    assert lost.equal((recovered - joints[:-1]).norm(dim=-1).amax(-1) > LOST) and lost.any()
    first = int(lost.nonzero()[0])
    cured, original = features_of(joints), features_of(joints, ORIGINAL)
    different = ((cured - original).abs() > TOLERANCE).nonzero()
    assert different.tolist() == [[first - 1, 0]], "one turn, of the frame before"
    assert farthest(joints_of(cured), joints[:-1]) < METRES


@pytest.mark.parametrize("take", FILES)
def test_the_cured_heading_is_another_one_and_the_joints_are_the_same(take):
    joints = read(take)["joints_canon"]
    cured = features_of(joints, Quirks(swapped_hips=False))
    assert farthest(cured, read(take)["features"]) > 0.1
    assert farthest(joints_of(cured), joints[:-1]) < METRES
