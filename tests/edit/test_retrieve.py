"""Retrieval: real rows that show an edit, agree with the rest, and follow each other."""

import pytest
import torch

from duet_rl.captions.edits import Edit
from duet_rl.edit.limbs import groups_of
from duet_rl.edit.retrieve import RetrieveConfig, propagate, strangeness
from duet_rl.edit.wants import wants_of
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import BODY_CODES
from tests.edit.dancers import FRAMES, RAISED, KnownPoses, going_round, said, standing

CONFIG = RetrieveConfig(reach=0)
KNOWN = KnownPoses(going_round())
BANK, CLIPS = KNOWN.codes, torch.zeros(len(KNOWN.codes), dtype=torch.long)
ROWS = KnownPoses(standing()).codes
TOUCHED = list(groups_of(["left_arm"]))
REST = [group for group in range(len(BODY_CODES)) if group not in TOUCHED]


def test_all_groups_that_the_limb_moves_come_from_one_real_row_and_no_others() -> None:
    (want,) = wants_of(said("raise the left arm in the second half"), standing().joints, 0)
    edited = propagate(ROWS, want, BANK, CLIPS, CONFIG)
    assert torch.equal(edited[: FRAMES // 8], ROWS[: FRAMES // 8]), "the first half stays"
    assert torch.equal(edited[:, REST], ROWS[:, REST])
    late = edited[FRAMES // 8 :]
    apart = (late[:, None, TOUCHED] != BANK[None][:, :, TOUCHED]).any(-1)
    assert (~apart).any(1).all(), "each row's arm is one of the bank's, whole"
    shown = want.classes_at(torch.arange(len(late)) + FRAMES // 2)
    wanted = late[:, list(want.groups), None]
    assert shown.gather(-1, wanted).all()


def test_rows_that_show_the_edit_already_stay() -> None:
    take = standing(left=RAISED)
    (want,) = wants_of(said("raise the left arm"), take.joints, 0)
    rows = KnownPoses(take).codes
    assert torch.equal(propagate(rows, want, BANK, CLIPS, CONFIG), rows)


def test_among_rows_that_show_it_the_one_that_agrees_with_the_rest_is_taken() -> None:
    (want,) = wants_of(said("raise the left arm"), standing().joints, 0)
    raised = KnownPoses(standing(left=RAISED)).codes[0]
    crouching = raised.clone()
    crouching[[0, 1]], crouching[REST[-3:]] = 4, 0  # other knees, other feet
    crouching[TOUCHED[0]] = (raised[TOUCHED[0]] + 1) % 18  # so that it can be told apart
    bank = torch.stack([crouching, raised])
    edited = propagate(ROWS, want, bank, torch.zeros(2, dtype=torch.long), CONFIG)
    assert (edited[:, TOUCHED] == raised[TOUCHED]).all()


def test_a_stretch_of_one_dance_is_taken_rather_than_rows_of_many() -> None:
    (want,) = wants_of(said("raise the left arm"), standing().joints, 0)
    raised = KnownPoses(standing(left=RAISED)).codes[:1]
    swing = raised.repeat(len(ROWS), 1)
    swing[:, TOUCHED[0]] = torch.arange(len(ROWS)) % 18  # an elbow that opens, row by row
    mixed = torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(0))
    bank = torch.cat([swing[mixed], swing])  # the same rows in disorder, and in order
    clips = torch.cat([torch.arange(len(ROWS)), torch.full((len(ROWS),), len(ROWS))])
    edited = propagate(ROWS, want, bank, clips, RetrieveConfig(reach=0, own=0.0, jump=1.0))
    steps = edited[:, TOUCHED[0]].diff()
    assert ((steps == 1) | (steps == -17)).float().mean() > 0.8


def test_a_bank_without_such_a_pose_is_told_by_the_code_that_it_lacks() -> None:
    edit = Edit(
        part=("left_arm",),
        what="touch the foot",
        wanted={"distance-left_hand-left_foot": (0,)},
        start=0,
        stop=FRAMES,
    )
    (want,) = wants_of([edit], standing().joints, 0)
    with pytest.raises(
        InputError, match=r"'touch the foot'.*left hand at up to 0.1 m from left fo"
    ):
        propagate(ROWS, want, BANK, CLIPS, CONFIG)
    nearest = propagate(ROWS, want, BANK, CLIPS, RetrieveConfig(reach=0, unseen="nearest"))
    assert nearest.shape == ROWS.shape


def test_codes_that_the_bank_has_but_never_at_once_are_told_so() -> None:
    both = Edit(
        part=("left_arm",),
        what="up and down",
        wanted={"up-left_hand-left_shoulder": (2,), "up-left_hand-left_hip": (1,)},
        start=0,
        stop=FRAMES,
    )
    (want,) = wants_of([both], standing().joints, 0)
    with pytest.raises(
        InputError, match="shows at once left hand above left shoulder; left hand level w"
    ):
        propagate(ROWS, want, BANK, CLIPS, CONFIG)


def test_strangeness_is_zero_for_a_real_row_and_one_for_the_other_end_of_all_scales() -> None:
    assert strangeness(BANK[:5], BANK).tolist() == [0.0] * 5
    last = torch.tensor(BODY_CODES.classes) - 1
    ends = torch.where(BANK[0] > last / 2, 0, last)
    assert 0.5 < float(strangeness(ends[None], BANK[:1])) <= 1.0
