"""Tables: each word says one thing, and rows that cannot be measured are refused."""

import math
import pickle

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import (
    BODY_CODES,
    CATALOGUES,
    DUET_CODES,
    PGR2M392,
    PGR2M392_UNFLIPPED,
    Catalogue,
    Code,
)
from duet_rl.posecodes.table import Row, Scale, steps

SCALE = Scale((-0.1, 0.1), ("below", "level with", "above"))
ROW = Row("up", ("left_hand", "head"), SCALE)
CYCLIC = Scale((-90.0, 90.0), ("behind", "before"), cyclic=True)
of_each = pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)


def test_the_published_catalogue_has_its_groups_and_codes_in_the_published_order() -> None:
    assert (len(PGR2M392), PGR2M392.size) == (70, 392)
    first = {"angle": 0, "distance": 72, "left": 252, "up": 270, "forward": 318, "tilt": 345}
    operators = [row.operator for row in PGR2M392.rows]
    assert {name: PGR2M392.offsets[operators.index(name)] for name in first} == first
    assert PGR2M392.offsets[66] == 384  # the four on the ground


def test_our_codes_keep_the_published_numbers() -> None:
    assert BODY_CODES.names[:392] == PGR2M392_UNFLIPPED.names
    assert len(BODY_CODES) == 72


@of_each
def test_no_two_codes_are_said_in_the_same_words(catalogue: Catalogue) -> None:
    for told in (catalogue.names, catalogue.sentences):
        assert len(set(told)) == len(told) == catalogue.size
    for row in catalogue.rows:
        assert len(set(row.scale.words)) == row.scale.classes


@of_each
def test_a_code_is_found_by_its_words(catalogue: Catalogue) -> None:
    for group, (offset, classes) in enumerate(
        zip(catalogue.offsets, catalogue.classes, strict=True)
    ):
        for category in range(classes):
            assert catalogue.code(catalogue.names[offset + category]) == Code(group, category)


@of_each
def test_a_catalogue_travels_to_workers(catalogue: Catalogue) -> None:
    there = pickle.loads(pickle.dumps(catalogue))
    assert (there.name, there.rows, there.names) == (
        catalogue.name,
        catalogue.rows,
        catalogue.names,
    )


@of_each
def test_the_menu_tells_every_class_of_every_group(catalogue: Catalogue) -> None:
    lines = catalogue.prompt().splitlines()
    assert len(lines) == len(catalogue)
    for line, classes in zip(lines, catalogue.classes, strict=True):
        assert line.count(";") == classes - 1
    assert catalogue.prompt([3, 1]).splitlines() == [lines[3], lines[1]]


@of_each
def test_the_vocabulary_holds_every_word_of_every_sentence(catalogue: Catalogue) -> None:
    said = {word for sentence in catalogue.sentences for word in sentence.split()}
    assert said <= set(catalogue.vocabulary)


def test_an_arm_moves_the_groups_that_name_it() -> None:
    assert len(PGR2M392.groups_moved_by("left_arm")) == 24  # an edit of an arm has to touch them
    legs = {BODY_CODES.rows[group].part for group in BODY_CODES.groups_moved_by("left_leg")}
    assert legs == {"lower", "upper"}  # a hand's distance from a knee is both
    of_legs = ("left thigh vertical", "left foot on the ground")
    assert {BODY_CODES.rows[BODY_CODES.code(name).group].part for name in of_legs} == {"lower"}
    assert DUET_CODES.rows[DUET_CODES.code("partner behind dancer").group].part == "lower"


def test_even_steps_leave_no_gap() -> None:
    thresholds, words = steps(0.1, 0.9, 0.1, "m")
    assert thresholds == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert (words[0], words[3], words[-1]) == ("at up to 0.1 m", "at 0.3 to 0.4 m", "at over 0.9 m")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"thresholds": ()}, "ascending"),
        ({"thresholds": (0.1, -0.1)}, "ascending"),
        ({"thresholds": (0.1, 0.1)}, "ascending"),
        ({"thresholds": (0.1, math.nan)}, "ascending"),
        ({"words": ("below", "above")}, "3 classes"),
        ({"words": ("below", " ", "above")}, "3 classes"),
        ({"words": ("below", "above", "above")}, "both called"),
        ({"plain": ("low", "high")}, "3 classes"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": math.nan}, "jitter"),
        ({"cyclic": True}, "2 classes"),
    ],
)
def test_bad_scales_are_refused(settings: dict, complaint: str) -> None:
    good = {"thresholds": (-0.1, 0.1), "words": ("below", "level with", "above")}
    with pytest.raises(InputError, match=complaint):
        Scale(**(good | settings))


@pytest.mark.parametrize(
    ("operator", "points", "scale", "complaint"),
    [
        ("above", ("left_hand", "head"), SCALE, "operators are angle"),
        ("up", ("left_paw", "head"), SCALE, "unknown points.*left_paw"),
        ("up", ("left_hand", "neck", "head"), SCALE, "wanted 2"),
        ("up", ("head", "head"), SCALE, "with itself"),
        ("gap", ("left_hand", "head", "pelvis"), SCALE, "ends of a limb"),
        ("up", ("left_hand", "head"), CYCLIC, "for turn"),
    ],
)
def test_bad_rows_are_refused(operator: str, points: tuple, scale: Scale, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Row(operator, points, scale)


def test_bad_catalogues_are_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        Catalogue("none", ())
    with pytest.raises(InputError, match="groups told twice: up-left_hand-head"):
        Catalogue("twice", (ROW, ROW))
    other = Row("up", ("left_wrist", "head"), SCALE, subject="left hand")
    with pytest.raises(InputError, match="codes told twice: left hand above head"):
        Catalogue("same words", (ROW, other))


def test_a_catalogue_of_ones_own_is_measured_and_told() -> None:
    own = Catalogue("own", (ROW, Row("up", ("right_hand", "head"), SCALE)))
    assert own.names[2] == "left hand above head"
    assert own.code("right hand below head") == Code(1, 0)


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(InputError, match="left hand above head"):
        BODY_CODES.code("left hand over head")
    with pytest.raises(InputError, match="left_arm"):
        BODY_CODES.groups_moved_by("left arm")


def test_the_mirror_wants_both_sides() -> None:
    with pytest.raises(InputError, match="no counterpart"):
        Catalogue("left", (ROW,)).mirrored(torch.zeros(1, 1, dtype=torch.long))
    lopsided = Scale((-0.1, 0.2), ("right of", "at", "left of"))
    rows = tuple(Row("left", (f"{side}_hand", "head"), lopsided) for side in ("left", "right"))
    with pytest.raises(InputError, match="symmetrical"):
        Catalogue("lopsided", rows).mirrored(torch.zeros(1, 2, dtype=torch.long))


def test_a_duet_is_told_of_both() -> None:
    assert "left hand holding partner's right hand" in DUET_CODES.names
    assert "the partner's right hand is on the dancer's waist" in DUET_CODES.sentences
