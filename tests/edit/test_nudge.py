"""The nudge: what is asked is shown, what is not asked to move stays, feet stand."""

import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import FEET, JOINT, UP
from duet_rl.captions.edits import Edit
from duet_rl.edit.limbs import joints_of
from duet_rl.edit.nudge import NudgeConfig, Spline
from duet_rl.edit.run import Edited, edit_with
from duet_rl.edit.settings import EditConfig
from tests.couple import stepping_couple
from tests.edit.dancers import FRAMES, RAISED, KnownPoses, going_round, said, standing

NUDGED = EditConfig(retrieve=None, nudge=NudgeConfig(steps=25))
THOROUGHLY = EditConfig(retrieve=None)
KNOWN = KnownPoses(going_round())


def nudged(motion: Motion, text: str, config: EditConfig = NUDGED) -> Edited:
    return edit_with(KNOWN, motion, said(text, motion.frames), config=config)


@pytest.mark.parametrize(
    "text",
    [
        "raise the left arm",
        "straighten the right arm",
        "bend the left arm",
        "bring both hands together",
        "bend the knees more deeply",
        "lean forward",
    ],
)
def test_every_frame_that_was_asked_shows_it(text: str) -> None:
    edited = nudged(standing(48), f"{text} in the second half")
    assert edited.rates == (1.0,) and edited.rates_before[0] < 1
    assert torch.equal(edited.motion.rotations[:11], edited.source.rotations[:11])


def test_a_foot_is_lifted_from_a_floor_on_which_the_other_stays() -> None:
    edited = nudged(standing(48), "lift the left foot in the second half", THOROUGHLY)
    assert edited.rates[0] > 0.95
    left, right = (
        edited.motion.joints[30:, JOINT[f"{side}_foot"], UP] for side in ("left", "right")
    )
    assert (
        left.min() > 0.1
        and (right - edited.source.joints[30:, JOINT["right_foot"], UP]).abs().max() < 0.02
    )


def test_nothing_moves_but_what_was_asked_to() -> None:
    edited = nudged(stepping_couple(2.0).follower, "raise the left arm")
    arm = set(joints_of(["left_arm"]))
    others = [joint for joint in range(55) if joint not in arm]
    assert torch.equal(edited.motion.rotations[:, others], edited.source.rotations[:, others])
    assert torch.equal(edited.motion.root, edited.source.root)
    assert edited.moved["left_arm"] > 100
    assert all(mm < 1e-2 for part, mm in edited.moved.items() if part != "left_arm")


def test_a_take_that_shows_it_already_stays_as_it_is() -> None:
    take = standing(left=RAISED)
    for config in (NUDGED, None):
        edited = edit_with(KNOWN, take, said("raise the left arm"), config=config)
        assert edited.rates_before == edited.rates == (1.0,)
        assert (edited.motion.joints - take.joints).abs().max() < 1e-5


def test_knees_bend_over_feet_that_stay() -> None:
    edited = nudged(standing(48), "crouch in the second half", THOROUGHLY)
    before, after = edited.source.joints, edited.motion.joints
    assert (after[30:, 0, UP] < before[30:, 0, UP] - 0.05).all(), "the root goes down"
    assert torch.equal(after[:, 0, ::2], before[:, 0, ::2]), "and nowhere else"
    shift = after[:, FEET] - before[:, FEET]
    assert shift.norm(dim=-1).max() < 0.02 and shift[..., UP].abs().max() < 1e-3
    assert shift.diff(dim=0).norm(dim=-1).max() < 0.003, "what stands does not slide"


def test_steps_of_a_crouching_dancer_slide_no_more_than_before() -> None:
    edited = nudged(stepping_couple(2.0).follower, "bend the knees more deeply", THOROUGHLY)
    assert edited.rates[0] > 0.9
    assert edited.after["foot_slide"] < edited.before["foot_slide"] + 0.02


def test_it_goes_no_further_than_asked() -> None:
    lean = nudged(standing(48), "lean forward")
    neck = lean.motion.joints[:, JOINT["neck"], 2] - lean.motion.joints[:, 0, 2]
    assert 0.15 < float(neck.min()) and float(neck.max()) < 0.22


def test_two_edits_one_after_the_other_are_both_shown() -> None:
    up, down = said("raise the left arm") + said("lower the left arm")
    edits = [up.model_copy(update={"stop": 36}), down.model_copy(update={"start": 36})]
    edited = edit_with(KNOWN, standing(), edits)
    assert min(edited.rates) >= 0.8


def test_no_steps_leave_decoded_poses_as_they_are() -> None:
    config = EditConfig(nudge=NudgeConfig(steps=0))
    edited = edit_with(KNOWN, standing(), said("raise the left arm"), config=config)
    known = KNOWN.rotations[:, list(joints_of(["left_arm"]))]
    now = edited.motion.rotations[FRAMES // 2, list(joints_of(["left_arm"]))]
    assert (known - now).abs().amax((1, 2, 3)).min() < 1e-4


def test_knots_count_as_one_in_every_frame() -> None:
    spline = Spline.over(41)
    assert torch.allclose(spline.at(torch.ones(spline.knots)), torch.ones(41), atol=1e-5)
    even = torch.arange(spline.knots) - 1.0  # the first knot lies a token before the first frame
    assert torch.allclose(spline.at(even), torch.arange(41) / 4, atol=1e-5)
    single = torch.zeros(spline.knots, 1).index_fill(0, torch.tensor(6), 1.0)
    touched = spline.at(single)[:, 0].nonzero()[:, 0]
    assert (int(touched[0]), int(touched[-1])) == (13, 27), "four tokens, of a take of any length"
    assert spline.shares.shape == (41, 4)


def test_a_ramp_arrives_at_its_end_and_not_before() -> None:
    edited = nudged(standing(), "gradually raise the left arm")
    height = edited.motion.joints[:, JOINT["left_wrist"], UP]
    assert edited.rates == (1.0,) and not edited.realised[0, : FRAMES // 2].any()
    assert (height[:: FRAMES // 4].diff() > 0.05).all(), "it is on its way all the time"
    assert height[-1] > height[0] + 0.4 and height.diff().abs().max() < 0.05


def test_steps_ask_for_as_many_classes_as_they_say() -> None:
    elbow = "angle-left_shoulder-left_elbow-left_wrist"
    edit = Edit(part=("left_arm",), what="bend", delta={elbow: -3}, start=0, stop=48)
    edited = edit_with(KNOWN, standing(48), [edit], config=NUDGED)
    assert edited.rates == (1.0,) and edited.rates_before == (0.0,)
