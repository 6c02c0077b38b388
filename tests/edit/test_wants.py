"""What edits want: of which frames, which classes, and how far a body is from them."""

import pytest
import torch

from duet_rl.captions.edit_wishes import WISHES
from duet_rl.captions.edits import GROUP_OF, Edit
from duet_rl.edit.limbs import groups_of
from duet_rl.edit.wants import Measure, runs, wants_of
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import BODY_CODES
from tests.edit.dancers import ACROSS, FRAMES, RAISED, said, standing

KNEE = "angle-left_hip-left_knee-left_ankle"


def test_a_hold_is_asked_of_all_of_its_frames_and_eased_outside_of_them() -> None:
    (want,) = wants_of(said("raise the left arm from 0.8 to 1.6 seconds"), standing().joints, 6)
    assert want.frames.nonzero()[:, 0].tolist() == list(range(24, 48))
    assert (want.weight[24:48] == 1).all()
    assert (want.weight[:18] == 0).all() and (want.weight[54:] == 0).all()
    assert (want.weight[17:25].diff() > 0).all() and (want.weight[47:55].diff() < 0).all()


def test_a_ramp_grows_over_its_frames_and_is_asked_of_its_end() -> None:
    (want,) = wants_of(said("gradually raise the left arm"), standing().joints, 6)
    assert want.frames.nonzero()[:, 0].tolist() == list(range(FRAMES - 4, FRAMES))
    assert (want.weight.diff() > 0).all() and want.weight[-1] == 1 and want.weight[0] < 0.01


def test_steps_go_from_what_the_take_shows() -> None:
    joints = standing().joints
    own = int(BODY_CODES.codes(joints)[0, GROUP_OF[KNEE]])
    edit = Edit(part=("left_leg",), what="deeper", delta={KNEE: -3}, start=0, stop=FRAMES)
    (want,) = wants_of([edit], joints, 6)
    assert want.classes[0, 0].nonzero()[:, 0].tolist() == list(range(own - 2))
    beyond = edit.model_copy(update={"delta": {KNEE: 30}})
    (want,) = wants_of([beyond], joints, 6)
    assert want.classes[0, 0].nonzero()[:, 0].tolist() == [17], "no further than the scale goes"


def test_an_edit_outside_the_take_is_refused() -> None:
    with pytest.raises(InputError, match=r"'raise the left arm' is asked until frame 96 .* 72"):
        wants_of(said("raise the left arm", 96), standing().joints, 6)
    with pytest.raises(InputError, match="no edit"):
        wants_of([], standing().joints, 6)


def test_edits_that_contradict_each_other_are_refused_where_they_meet() -> None:
    up, down = said("raise the left arm") + said("lower the left arm")
    with pytest.raises(InputError, match=r"'raise the left arm' and 'lower the left arm' contra"):
        wants_of([up, down], standing().joints, 6)
    early, late = up.model_copy(update={"stop": 30}), down.model_copy(update={"start": 30})
    assert len(wants_of([early, late], standing().joints, 6)) == 2


def test_edits_that_exclude_each_other_leave_the_body_time_to_go_over() -> None:
    """Each of two that touch gives up half of the way; a ramp comes from where the other ended."""
    up, down = said("raise the left arm") + said("lower the left arm")
    early, late = up.model_copy(update={"stop": 36}), down.model_copy(update={"start": 36})
    first, second = wants_of([early, late], standing().joints, 12)
    assert first.frames.nonzero()[:, 0].tolist() == list(range(30))
    assert second.frames.nonzero()[:, 0].tolist() == list(range(42, FRAMES))
    apart = down.model_copy(update={"start": 40})
    first, second = wants_of([early, apart], standing().joints, 12)
    assert (int(first.frames.sum()), int(second.frames.sum())) == (32, FRAMES - 44)
    ramp = late.model_copy(update={"mode": "ramp"})
    first, second = wants_of([early, ramp], standing().joints, 12)
    assert int(first.frames.sum()) == 36
    assert (second.growth[36:42] == 0).all() and second.growth[60] > 0
    again = up.model_copy(update={"start": 36})
    assert all(
        int(want.frames.sum()) == 36 for want in wants_of([early, again], standing().joints, 12)
    )
    short = up.model_copy(update={"stop": 4}), down.model_copy(update={"start": 4, "stop": 8})
    assert [int(want.frames.sum()) for want in wants_of(short, standing().joints, 12)] == [3, 3]


def test_the_measure_is_zero_where_the_edit_is_shown_and_grows_with_the_distance() -> None:
    wants = wants_of(said("raise the left arm"), standing().joints, 6)
    measure = Measure(wants, standing().joints)
    assert (measure(standing(left=RAISED).joints) == 0).all()
    hanging, across = (
        measure(standing(left=place).joints).sum() for place in ((0.1, -0.45, 0.1), ACROSS)
    )
    assert hanging > across > 0


def test_neighbouring_classes_are_one_run_with_a_margin_at_its_ends_alone() -> None:
    row = BODY_CODES.rows[GROUP_OF["distance-left_hand-right_hand"]]
    classes = torch.zeros(1, 18, dtype=torch.bool)
    classes[0, [2, 3, 9]] = True
    low, high = runs(row, classes)
    assert low[0, [2, 3]].tolist() == pytest.approx([0.22, 0.22])
    assert high[0, [2, 3]].tolist() == pytest.approx([0.38, 0.38])
    assert float(low[0, 9]) == pytest.approx(0.92) and torch.isinf(high[0, 9])
    assert (low[~classes] > high[~classes]).all(), "a class that does not do is nowhere"


def test_a_part_is_not_asked_for_what_it_cannot_change() -> None:
    edit = Edit(part=("right_arm",), what="bend", wanted={KNEE: (3,)}, start=0, stop=FRAMES)
    with pytest.raises(InputError, match=r"angle-left_hip-left_knee-left_ankle, which right_arm"):
        wants_of([edit], standing().joints, 6)


def test_all_that_can_be_said_is_asked_of_parts_that_can_do_it() -> None:
    for wish in WISHES.values():
        groups = {GROUP_OF[name] for name in wish.wanted}
        assert groups <= set(groups_of(wish.part)), wish
