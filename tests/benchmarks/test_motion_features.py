"""Kinetic, manual and duet features: known answers, invariances, and each published slip."""

import pytest
import torch
from metrics import plain_kinetic, plain_manual

from duet_rl.body.skeleton import MIRROR
from duet_rl.metrics.manual_features import HUMERUS, manual_features
from duet_rl.metrics.motion_features import (
    FEATURE_JOINTS,
    PUBLISHED,
    corrected,
    duet_features,
    from_start,
    joints_of_smpl,
    kinetic_features,
)
from tests.couple import FPS, joints_of, moved, slide, standing_couple, stepping_couple, turned

RULES = corrected(FPS)
LEVEL, VERTICAL, EFFORT = range(3)
BOTH = pytest.mark.parametrize("rules", [PUBLISHED, RULES], ids=["published", "corrected"])
# Places of manual features, from 0, that tell a left limb, and after each the one of the right.
SIDES = ((1, 0), (3, 2), (5, 4), (7, 6), (11, 10), (13, 12), (17, 16), (20, 19), (22, 21), (24, 23))


@pytest.fixture(scope="module")
def dancer() -> torch.Tensor:
    return joints_of_smpl(joints_of(stepping_couple(3.0))[0].double())


def wobbly(seed: int, frames: int = 60) -> torch.Tensor:
    """Return joints in all sorts of places that go all ways, so that every question is met."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(frames, FEATURE_JOINTS, 3, generator=generator, dtype=torch.float64)
    return torch.randn(FEATURE_JOINTS, 3, generator=generator).double() + 0.02 * steps.cumsum(0)


@BOTH
@pytest.mark.parametrize("frames", [3, 4, 7, 60])
def test_features_are_those_of_a_plain_loop(rules, frames: int):
    joints = wobbly(frames, frames)
    kinetic = torch.from_numpy(plain_kinetic(joints.numpy(), rules))
    torch.testing.assert_close(kinetic_features(joints, rules), kinetic)
    manual = torch.from_numpy(plain_manual(joints.numpy(), rules))
    torch.testing.assert_close(manual_features(joints, rules), manual)


@BOTH
def test_a_batch_gives_what_each_clip_gives_alone(rules):
    batch = torch.stack([wobbly(seed) for seed in range(4)]).unflatten(0, (2, 2))
    for compute in (kinetic_features, manual_features):
        alone = [compute(clip, rules) for clip in batch.flatten(0, 1)]
        torch.testing.assert_close(compute(batch, rules).flatten(0, 1), torch.stack(alone))


def test_a_steady_slide_has_the_energy_of_its_speed_and_no_effort(dancer):
    still = dancer[:, :1].expand(-1, 30, -1, -1)
    energies = kinetic_features(slide(still, 2.0), RULES).unflatten(-1, (FEATURE_JOINTS, 3))
    torch.testing.assert_close(energies[..., LEVEL], torch.full((1, 24), 4.0).double())
    assert energies[..., [VERTICAL, EFFORT]].abs().max() < 1e-4


def test_free_fall_takes_the_effort_of_gravity(dancer):
    time = torch.arange(30).double() / FPS
    drop = torch.stack([0 * time, -4.905 * time**2, 0 * time], dim=-1)[:, None]
    energies = kinetic_features(dancer[:, :1] + drop, RULES).unflatten(-1, (FEATURE_JOINTS, 3))
    torch.testing.assert_close(energies[..., EFFORT], torch.full((1, 24), 9.81).double())
    assert energies[..., LEVEL].abs().max() < 1e-9 < energies[..., VERTICAL].min()


def test_corrected_features_depend_neither_on_place_nor_on_facing(dancer):
    there = moved(turned(dancer.float(), 0.7), 5.0, 0.0, 2.0).double()
    for compute in (kinetic_features, manual_features):
        here = compute(dancer, RULES)
        torch.testing.assert_close(compute(there, RULES), here, rtol=1e-3, atol=1e-3)


def test_published_effort_depends_on_where_one_dances(dancer):
    """Its brackets are missing, so it grows with the distance from the start."""
    effort = [
        kinetic_features(joints, PUBLISHED)[0, EFFORT]
        for joints in (from_start(dancer), from_start(dancer) + 1.0)
    ]
    assert effort[1] > 100 * kinetic_features(dancer, RULES)[0, EFFORT]
    assert effort[1] > effort[0] + 1000


def test_corrected_features_hardly_depend_on_the_frame_rate(dancer):
    """The published ones take any two frames to be 1/60 s apart."""

    def sways(fps: int) -> torch.Tensor:
        time = torch.arange(4 * fps + 1).double() / fps
        way = torch.stack([(2 * time).sin(), 0.1 * (4 * time).cos(), 0 * time], dim=-1)
        return dancer[0, :1] + way[:, None]

    for fast, slow in zip(
        *(kinetic_features(sways(fps), corrected(fps)).unflatten(-1, (24, 3)) for fps in (60, 30)),
        strict=True,
    ):
        torch.testing.assert_close(slow, fast, rtol=0.1, atol=1e-4)
    fast, slow = (kinetic_features(sways(fps), PUBLISHED)[LEVEL] for fps in (60, 30))
    assert slow > 3 * fast


def test_the_mirror_exchanges_left_and_right(dancer):
    order = [*MIRROR[:22], 23, 22]
    mirrored = (dancer * torch.tensor([-1.0, 1.0, 1.0]))[..., order, :]
    kinetic = kinetic_features(dancer, RULES).unflatten(-1, (FEATURE_JOINTS, 3))
    torch.testing.assert_close(kinetic_features(mirrored, RULES), kinetic[:, order].flatten(-2))
    here, there = manual_features(dancer, RULES), manual_features(mirrored, RULES)
    for left, right in SIDES:
        torch.testing.assert_close(there[:, left], here[:, right])
        torch.testing.assert_close(there[:, right], here[:, left])


def test_a_rising_right_hand_is_told_by_the_corrected_fifth_feature_alone(dancer):
    rising = dancer[:, :1].repeat(1, 20, 1, 1)
    rising[..., 21, 1] += torch.arange(20) / FPS * 2 * HUMERUS  # m/s; the bound is 1.8
    meant = manual_features(rising, RULES)[0]
    assert meant[4] == 1 and meant[5] == 0
    published = manual_features(rising, PUBLISHED)[0]
    assert published[4] == published[5] == 0


def test_published_movements_seem_four_times_as_fast(dancer):
    still = dancer[:, :1].expand(-1, 20, -1, -1)
    travels = slide(still, 0.6 * HUMERUS)  # m/s; 2.3 is the bound
    assert manual_features(travels, RULES)[0, 31] == 0
    assert manual_features(travels, PUBLISHED)[0, 31] == 1


def test_the_same_distances_give_the_same_duet_features():
    follower, leader = joints_of(stepping_couple())
    features = duet_features(follower, leader)
    there = [moved(turned(joints, 2.0), 1.0, 0.5, 3.0) for joints in (follower, leader)]
    torch.testing.assert_close(duet_features(*there), features)
    swapped = duet_features(leader, follower).unflatten(-1, (10, 10)).mT.flatten(-2)
    torch.testing.assert_close(swapped, features)
    apart = (follower[:, :, 0] - leader[:, :, 0]).norm(dim=-1).mean(1)
    torch.testing.assert_close(features[:, 0], apart)


def test_frames_too_few_for_a_feature_give_no_number():
    joints = joints_of_smpl(joints_of(standing_couple())[0])
    assert kinetic_features(joints[:, :2]).isnan().all()
    assert manual_features(joints[:, :1]).isnan().all()
    assert kinetic_features(joints[:, :3]).isfinite().all()
