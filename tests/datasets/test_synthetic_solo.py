"""Synthetic soloists: alone on the stage, on the beat, physically right, and free of a partner."""

from pathlib import Path

import pytest
import torch

from duet_rl.audio.beats import motion_beats
from duet_rl.body.activity import jitter_share
from duet_rl.body.capsules import CAPSULE, surface_distance
from duet_rl.body.contact import palms
from duet_rl.body.heading import facing_angle
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import FEET, PARENTS, SOLE_DEPTH, UP, WRISTS
from duet_rl.body.stage import STAGE
from duet_rl.datasets.prepare import PrepareConfig, prepare
from duet_rl.datasets.synthetic import SyntheticConfig, SyntheticDuet, synthesize
from duet_rl.datasets.synthetic_takes import synthetic_tasks
from duet_rl.metrics.beat import match_beats
from tests.datasets.steps import beat_flags, flat_feet

CONFIG = SyntheticConfig(solo=True)
COUNT = 6  # two of each style
FPS = 30.0
BODY = slice(0, 22)  # fingers keep no beat


@pytest.fixture(scope="module", params=range(COUNT), ids=lambda i: f"{CONFIG.styles[i % 3]}{i}")
def dance(request: pytest.FixtureRequest) -> SyntheticDuet:
    return synthesize(request.param, CONFIG)


def dancer(dance: SyntheticDuet) -> Motion:
    return dance.duet.follower


def test_the_dancer_is_alone_and_begins_on_the_stage(dance: SyntheticDuet) -> None:
    motion = dancer(dance)
    assert dance.duet.leader.skeleton.name == STAGE and not dance.hold.any()
    assert motion.joints[0, 0, [0, 2]].abs().max() < 1e-5
    assert abs(float(facing_angle(motion.joints[None])[0, 0])) < 1e-4


def test_planted_feet_do_not_slide_and_somebody_stands(dance: SyntheticDuet) -> None:
    motion = dancer(dance)
    flat = flat_feet(motion)
    step = torch.diff(motion.joints[:, FEET], dim=0).norm(dim=-1).unflatten(-1, (2, 2)).amax(-2)
    assert step[flat[1:] & flat[:-1]].max() < 1e-3
    assert flat.any(-1).all() and motion.joints[..., UP].min() > SOLE_DEPTH - 1e-4


def test_the_body_rests_on_the_beats(dance: SyntheticDuet) -> None:
    beats = motion_beats(dancer(dance).joints[None, :, BODY], FPS)
    assert match_beats(beats, beat_flags(dance), FPS).met.f1 > 0.9


def test_the_hands_rest_on_the_beats_too(dance: SyntheticDuet) -> None:
    motion = dancer(dance)
    arms = motion.joints[:, WRISTS] - motion.joints[:, [0]]
    speed = torch.diff(arms, dim=0).norm(dim=-1).mean(-1) * FPS
    on_beat = beat_flags(dance)[0, 1:]
    assert speed[on_beat].mean() < 0.5 * speed[~on_beat].mean()


def test_arms_move_more_than_those_of_a_couple(dance: SyntheticDuet) -> None:
    couple = synthesize(int(dance.name.split("_")[1]), SyntheticConfig())

    def speed(motion: Motion) -> float:
        arms = motion.joints[:, WRISTS] - motion.joints[:, [0]]
        return float(torch.diff(arms, dim=0).norm(dim=-1).mean() * FPS)

    assert speed(dancer(dance)) > 1.2 * speed(couple.duet.leader)


def test_hands_stay_out_of_the_body(dance: SyntheticDuet) -> None:
    joints = dancer(dance).joints
    for part in ("trunk", "hips", "head"):
        assert surface_distance(palms(joints), joints, CAPSULE[part]).min() > 0.01


def test_the_motion_is_smooth_and_the_bones_keep_their_length(dance: SyntheticDuet) -> None:
    motion = dancer(dance)
    speed = torch.diff(motion.joints[:, BODY], dim=0).norm(dim=-1) * FPS
    assert speed.max() < 5.0 and float(jitter_share(motion.joints[None], FPS)) == 0
    bones = motion.joints[:, 1:] - motion.joints[:, PARENTS[1:]]
    lengths = motion.skeleton.offsets[1:].norm(dim=-1).expand(motion.frames, -1)
    torch.testing.assert_close(bones.norm(dim=-1), lengths, atol=1e-5, rtol=1e-4)


def test_soloists_turn_and_travel() -> None:
    dances = [dancer(synthesize(index, CONFIG)) for index in range(COUNT)]
    turned = [facing_angle(motion.joints[None])[0] for motion in dances]
    assert max(float(yaw.max() - yaw.min()) for yaw in turned) > 3.0
    assert all(float(torch.diff(m.root, dim=0).norm(dim=-1).sum()) > 1.0 for m in dances)


def test_the_same_choreography_is_the_same_dance_and_no_couples() -> None:
    first, again = (synthesize(2, CONFIG) for _ in range(2))
    assert torch.equal(first.duet.follower.joints, again.duet.follower.joints)
    couple = synthesize(2, SyntheticConfig())
    assert not torch.equal(first.duet.follower.joints, couple.duet.follower.joints)
    assert first.tempo == couple.tempo  # they share the song's beat


@pytest.mark.slow
def test_prepared_soloists_are_told_from_couples(tmp_path: Path) -> None:
    config = SyntheticConfig(solo=True, choreographies=2, seconds=4.0)
    here = PrepareConfig(parallel=False)
    store = prepare(synthetic_tasks(config), tmp_path / "solo", here, {}, progress=False)
    clips = store.clips()
    assert all(clip.solo and clip.audio is not None for clip in clips)
    assert all(record.solo for record in store.records())
    couples = config.model_copy(update={"solo": False})
    marks = [
        {task.fingerprint for task in synthetic_tasks(settings)} for settings in (config, couples)
    ]
    assert not marks[0] & marks[1]
