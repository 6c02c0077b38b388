"""Edits in words: which limbs, which codes, when, how; and what is refused."""

import json

import pytest
from pydantic import ValidationError

from duet_rl.captions.edit_language import edits_of_plan, read_edits
from duet_rl.captions.edit_wishes import WISHES
from duet_rl.captions.edits import GROUP_OF, Edit, EditPlan
from duet_rl.captions.sayings import SAYINGS
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.posecodes.catalogue import BODY_CODES

FRAMES = 288
LEFT_ELBOW = "angle-left_shoulder-left_elbow-left_wrist"
KNEES = tuple(f"angle-{s}_hip-{s}_knee-{s}_ankle" for s in ("left", "right"))
BY_KNEE = "distance-left_hand-left_knee"
ACROSS = "distance-left_hand-right_shoulder"
ARMS, LEGS = ("left_arm", "right_arm"), ("left_leg", "right_leg")
LEFT, RIGHT = ARMS[:1], ARMS[1:]
HANDS, FEET = "distance-left_hand-right_hand", "distance-left_foot-right_foot"


def one(text: str) -> Edit:
    (edit,) = read_edits(text, FRAMES)
    return edit


def test_a_raised_arm_is_asked_of_all_groups_that_tell_it() -> None:
    edit = one("raise your left arm in the second half")
    assert edit.part == ("left_arm",) and (edit.start, edit.stop) == (144, 288)
    over = ("up-left_hand-left_shoulder", "up-left_wrist-neck", "up-left_hand-left_hip")
    assert edit.wanted == {group: (2,) for group in over}
    assert edit.categories == {GROUP_OF[group]: (2,) for group in over}
    assert edit.delta is None and edit.steps == {} and edit.mode == "hold"


@pytest.mark.parametrize(
    ("text", "part", "groups"),
    [
        ("lower both arms", ARMS, {"up-right_hand-right_hip": (0, 1)}),
        ("straighten the left arm", LEFT, {LEFT_ELBOW: (15, 16, 17)}),
        ("bend the left elbow", LEFT, {LEFT_ELBOW: tuple(range(11))}),
        ("hold the left hand above the head", LEFT, {"up-left_hand-head": (2,)}),
        ("raise the left hand over your head", LEFT, {"up-left_hand-head": (2,)}),
        ("put the left hand on the right shoulder", LEFT, {ACROSS: (0, 1)}),
        ("bring your left hand to your right shoulder", LEFT, {ACROSS: (0, 1)}),
        ("touch the left knee with the left hand", (*LEFT, "trunk"), {BY_KNEE: (0, 1, 2)}),
        ("put both hands behind your back", ARMS, {"forward-left_hand-torso": (0,)}),
        ("hold the right hand in front of the body", RIGHT, {"forward-right_hand-torso": (2,)}),
        ("stretch the left arm out to the side", LEFT, {"left-left_hand-left_shoulder": (2,)}),
        ("cross your arms", ARMS, {"left-left_hand-right_hand": (0,)}),
        ("bring both hands together", ARMS, {HANDS: (0, 1)}),
        ("move the hands apart", ARMS, {HANDS: (5, 6, 7, 8, 9)}),
        ("bend your knees", LEGS, {KNEES[0]: tuple(range(13))}),
        ("straighten the legs", LEGS, {KNEES[1]: (16, 17)}),
        ("keep your legs wide apart", LEGS, {FEET: (5, 6, 7, 8, 9)}),
        ("place the feet together", LEGS, {FEET: (0, 1)}),
        ("lift the left foot", ("left_leg",), {"up-left_foot-lowest": (1,)}),
        ("lift the left knee", ("left_leg",), {"up-left_hip-left_knee": (0, 1)}),
        ("crouch down", LEGS, {KNEES[0]: tuple(range(11))}),
        ("lean forward", ("trunk",), {"forward-neck-pelvis": (2,)}),
        ("lean to the right", ("trunk",), {"left-neck-pelvis": (0,)}),
        ("stand upright", ("trunk",), {"tilt-pelvis-neck": (0,)}),
        ("kneel on the left knee", LEGS, {"up-left_knee-lowest": (0,)}),
    ],
)  # fmt: skip
def test_each_kind_of_edit_is_understood(
    text: str, part: tuple[str, ...], groups: dict[str, tuple[int, ...]]
) -> None:
    edit = one(text)
    assert edit.part == part and edit.what == text
    assert groups.items() <= edit.wanted.items()


@pytest.mark.parametrize(
    ("text", "delta"),
    [
        ("bend the knees more deeply", {group: -3 for group in KNEES}),
        ("bend the knees a little", {group: -2 for group in KNEES}),
        ("bend the knees much more", {group: -5 for group in KNEES}),
        ("bend the knees less", {group: 3 for group in KNEES}),
        ("bring both hands closer together", {HANDS: -2}),
        ("move the hands further apart", {HANDS: 2}),
        ("keep the legs wider apart", {FEET: 2}),
        ("straighten the left arm slightly", {LEFT_ELBOW: 2}),
        ("lean forward a bit more", {"forward-neck-pelvis": 1}),
    ],
)
def test_more_and_less_are_steps_away_from_what_there_is(text: str, delta: dict[str, int]) -> None:
    edit = one(text)
    assert edit.delta == delta and edit.wanted == {}
    assert edit.steps == {GROUP_OF[group]: steps for group, steps in delta.items()}


@pytest.mark.parametrize(
    ("when", "start", "stop"),
    [
        ("", 0, 288),
        ("in the first half", 0, 144),
        ("during the last third", 192, 288),
        ("in the middle third", 96, 192),
        ("from 2 to 4 seconds", 60, 120),
        ("between two and four seconds", 60, 120),
        ("from 1.5s until 2.5s", 45, 75),
        ("from 2-4 seconds", 60, 120),
        ("from 2\u20134 s", 60, 120),
        ("in frames 30-90", 30, 90),
        ("from 3 seconds to the end", 90, 288),
        ("from the start until 3 seconds", 0, 90),
        ("from the beginning to the end", 0, 288),
        ("from frame 30 to frame 90", 30, 90),
        ("for the last two seconds", 228, 288),
        ("for the first second", 0, 30),
        ("after 3 seconds", 90, 288),
        ("until 3 seconds", 0, 90),
        ("at 2 seconds", 45, 75),
        ("at the end", 192, 288),
        ("in the middle", 96, 192),
        ("the whole time", 0, 288),
    ],
)
def test_times_are_understood_before_and_behind_the_command(
    when: str, start: int, stop: int
) -> None:
    for text in (f"raise the left arm {when}", f"{when} raise the left arm"):
        edit = one(text)
        assert (edit.start, edit.stop, edit.what) == (start, stop, "raise the left arm")


def test_one_time_holds_for_all_commands_that_are_joined_to_it() -> None:
    for text in (
        "bend the knees and lean forward in the second half",
        "In the second half, bend the knees and lean forward",
    ):
        assert [(e.start, e.what) for e in read_edits(text, FRAMES)] == [
            (144, "bend the knees"),
            (144, "lean forward"),
        ]
    first, second = read_edits(
        "raise the left arm in the first half, then lower it in the last third. Lean back", FRAMES
    )[:2]
    assert (first.stop, second.start, second.part) == (144, 192, ("left_arm",))


def test_an_arm_is_raised_or_lowered_to_where_it_shall_be() -> None:
    level = {"up-left_hand-left_shoulder": (1,), "up-left_hand-left_hip": (2,)}
    assert one("raise the left arm to shoulder height").wanted == level
    assert one("lower the left hand to shoulder height").wanted == level
    assert one("raise the left hand above the head").wanted["up-left_wrist-neck"] == (2,)


def test_to_kneel_is_to_have_both_knees_on_the_ground() -> None:
    on_ground = {f"up-{side}_knee-lowest": (0,) for side in ("left", "right")}
    assert one("kneel").wanted == one("kneel down").wanted == on_ground
    assert one("kneel").part == LEGS


def test_what_is_done_at_once_is_asked_at_once() -> None:
    lowered, raised = read_edits("lower the left arm while raising the right arm", FRAMES)
    assert (lowered.part, raised.part) == (LEFT, RIGHT)
    assert (lowered.start, lowered.stop) == (raised.start, raised.stop) == (0, FRAMES)


def test_what_is_done_gradually_is_a_ramp() -> None:
    assert one("gradually raise the left arm").mode == "ramp"
    assert one("raise the left arm more and more").mode == "ramp"
    assert one("slowly lean back").mode == "ramp"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("rase the left arm", "'raise'"),
        ("raise the left arn", "'arm'"),
        ("wave", "not understood"),
        ("raise the left arm @3", "not understood"),
        ("raise an arm", "raises the left arm"),
        ("turn left", "more than a pose"),
        ("step back", "more than a pose"),
        ("don't raise the left arm", "says what shall not be"),
        ("raise the left arm without moving the right", "says what shall not be"),
        ("raise the left arm between 4 and 2 seconds", "ends before it begins"),
        ("raise the left arm for the last 0 seconds", "lasts no time"),
        ("raise the left arm gracefully", "not understood"),
        ("", "no edit"),
        ("stand more upright", "no more or less"),
        ("raise and lower the left arm", "exclude each other"),
        ("raise the left arm from 20 to 30 seconds", "ends at 9.6 s"),
        ("raise the left arm for the last 20 seconds", "ends at 9.6 s"),
        ("raise the left arm for 2 seconds", "from when"),
        ("raise the left arm in the third half", "no third half"),
        ("in the first half raise the left arm in the second half", "two times"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_could(text: str, answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        read_edits(text, FRAMES)


def test_every_wish_can_be_said_and_asks_for_codes_that_there_are() -> None:
    assert len(WISHES) >= 60
    for fact, wish in WISHES.items():
        assert wish.part
        full = Edit(part=wish.part, what=fact.key, wanted=wish.wanted, start=0, stop=1)
        assert len(full.categories) == len(wish.wanted)
        for way in SAYINGS[fact]:
            edit = one(way.format(p="your"))
            assert set(wish.wanted) <= {*edit.wanted, *(edit.delta or {})}, way


def test_an_edit_moves_the_limbs_whose_codes_it_asks_for() -> None:
    for wish in WISHES.values():
        moved = {
            g for limb in wish.part if limb != "trunk" for g in BODY_CODES.groups_moved_by(limb)
        }
        groups = {GROUP_OF[name] for name in (*wish.wanted, *wish.directions)}
        assert wish.part == ("trunk",) or groups <= moved


def test_a_plan_is_json_of_codes_and_of_words() -> None:
    edits = read_edits("raise the left arm. Bend the knees more deeply", FRAMES)
    plan = EditPlan(edits=(*edits, {"say": "lean back", "start": 3, "stop": 9, "mode": "ramp"}))  # type: ignore[arg-type]
    again = EditPlan.model_validate_json(plan.model_dump_json())
    assert again == plan
    *same, said = edits_of_plan(again, FRAMES)
    assert tuple(same) == edits
    assert (said.start, said.stop, said.mode) == (3, 9, "ramp")
    with pytest.raises(InputError, match="has 20"):
        edits_of_plan(plan, 20)


@pytest.mark.parametrize(
    "change",
    [
        {"how": "fast"},
        {"part": []},
        {"part": ["tail"]},
        {"wanted": {}},
        {"wanted": {"up-nose-toe": [1]}},
        {"wanted": {HANDS: [10]}},
        {"wanted": {HANDS: []}},
        {"delta": {HANDS: 1}},
        {"start": 9},
        {"mode": "jump"},
    ],
)
def test_a_wrong_plan_is_refused(change: dict[str, object]) -> None:
    edit = {"part": ["left_arm"], "what": "x", "wanted": {HANDS: [0]}, "start": 0, "stop": 9}
    EditPlan.model_validate_json(json.dumps({"edits": [edit]}))
    with pytest.raises(ValidationError):
        EditPlan.model_validate_json(json.dumps({"edits": [{**edit, **change}]}))


def test_an_unknown_key_of_a_plan_is_answered_with_those_of_the_form_that_was_meant() -> None:
    for wrong, allowed in (
        ({"say": "lean back", "speed": 2}, "mode, say, start, stop"),
        (
            {"part": ["trunk"], "what": "x", "speed": 2},
            "delta, mode, part, start, stop, wanted, what",
        ),
    ):
        with pytest.raises(InputError, match=rf"plan\.json.*'edits\.0\.speed'.*here: {allowed}$"):
            validate(EditPlan, {"edits": [wrong]}, source="plan.json")
    with pytest.raises(InputError, match="without edits"):
        validate(EditPlan, {"edits": []}, source="plan.json")
