"""An edit from end to end: holds, frame rates, refusals, and what is told of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from duet_rl.body.contact import palms
from duet_rl.body.skeleton import JOINT
from duet_rl.body.stage import stage
from duet_rl.edit.decode import CodecPoser
from duet_rl.edit.measure import measure
from duet_rl.edit.nudge import NudgeConfig
from duet_rl.edit.page import scenes_of, write_page
from duet_rl.edit.report import lines_of, runs_of, to_json, wanted_words, write_json
from duet_rl.edit.run import edit, edit_with, readable
from duet_rl.edit.settings import EditConfig
from duet_rl.errors import InputError
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import DROPPED
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from tests.couple import standing_couple, stepping_couple
from tests.edit.codecs import tiny_codec
from tests.edit.dancers import AHEAD, FRAMES, KnownPoses, going_round, said, standing

KNOWN = KnownPoses(going_round())
NUDGED = EditConfig(retrieve=None, nudge=NudgeConfig(steps=25))


def test_hands_that_hold_and_may_not_move_stay_on_the_partner() -> None:
    couple = standing_couple(2.0)
    edits = said("lean forward in the second half", couple.frames)
    alone, held = (
        edit_with(KNOWN, couple.follower, edits, leader, NUDGED) for leader in (None, couple.leader)
    )
    there = palms(couple.follower.joints)
    assert (palms(alone.motion.joints) - there).norm(dim=-1)[-1].min() > 0.05
    assert (palms(held.motion.joints) - there).norm(dim=-1)[-1].max() < 0.03
    assert held.after["kept_recall"] == 1.0 and held.rates == (1.0,)


def test_a_hand_that_is_asked_to_move_lets_go_and_the_other_does_not() -> None:
    couple = standing_couple(2.0)
    edits = said("raise the left arm in the second half", couple.frames)
    edited = edit_with(KNOWN, couple.follower, edits, couple.leader, NUDGED)
    assert edited.rates == (1.0,)
    assert edited.after["kept_recall"] == 1.0 and edited.after["hold_recall"] < 0.9


def test_a_take_of_another_frame_rate_is_edited_at_thirty() -> None:
    edits = said("raise the left arm", 48)
    slow = edit_with(KNOWN, standing(48), edits, config=NUDGED)
    fast = edit_with(KNOWN, standing(48).resample(60.0), edits, config=NUDGED)
    assert fast.motion.fps == 30 and fast.motion.frames == slow.motion.frames
    assert (fast.motion.joints - slow.motion.joints).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("times", "fastest"),
    [
        (("", "in the first half", "", "in the second half"), 5.5),
        (("gradually", "in the first half", "gradually", "in the second half"), 4.0),
        (("", "from 0.4 to 1 seconds", "", "from 1.8 to 2.4 seconds"), 3.0),
    ],
    ids=["touching", "ramps", "with a pause"],
)
def test_a_hand_does_not_fly_from_one_edit_to_the_next(
    times: tuple[str, ...], fastest: float
) -> None:
    edits = said("{} raise the left arm {}, {} lower it {}".format(*times))
    edited = edit_with(KNOWN, standing(left=AHEAD), edits)
    joints = edited.motion.joints
    wrist = joints[:, JOINT["left_wrist"]]
    assert edited.before["peak_speed"] == 0.0  # he stood
    body = joints[:, : JOINT["jaw"]]
    fastest_joint = (body[1:] - body[:-1]).norm(dim=-1).max() * 30
    assert edited.after["peak_speed"] == pytest.approx(float(fastest_joint))
    over_a_token = (wrist[4:] - wrist[:-4]).norm(dim=-1) * 30 / 4  # its poses are held so long
    assert over_a_token.max() < fastest, "m/s"
    assert edited.rates == (1.0, 1.0)
    assert wrist[:, 1].max() - wrist[:, 1].min() > 0.6


def test_the_peak_of_speed_is_that_of_the_joints_that_were_moved() -> None:
    take = standing(48)
    leap = replace(take, joints=take.joints.clone())
    leap.joints[:4, :10] += torch.tensor([1.0, 0.0, 0.0])  # 30 m/s: before the edit, and elsewhere
    none = torch.zeros(2, dtype=torch.bool)
    all_of_it = torch.ones(48, 55, dtype=torch.bool)
    late, arms = all_of_it.clone(), all_of_it.clone()
    late[:24] = False
    arms[:, :10] = False
    for where in (late, arms):
        assert measure(leap, leap, None, none, where)["peak_speed"] == 0.0
    assert measure(leap, leap, None, none, all_of_it)["peak_speed"] == pytest.approx(30.0, rel=1e-5)
    assert math.isnan(measure(leap, leap, None, none, ~all_of_it)["peak_speed"])


def test_only_readable_codecs_with_a_bank_will_do() -> None:
    with pytest.raises(InputError, match=r"architecture 'duet'.*--preset readable"):
        readable(DuetCodec(DuetCodecConfig()))
    codec = tiny_codec(bank=False)
    with pytest.raises(InputError, match="no bank of poses"):
        readable(codec)


def test_a_leader_of_another_length_is_refused() -> None:
    couple = stepping_couple(2.0)
    with pytest.raises(InputError, match="frames"):
        edit(
            couple.follower,
            said("raise the left arm", 60),
            tiny_codec(),
            couple.leader.slice(0, 40),
        )


def test_a_codec_edits_takes_that_make_no_whole_tokens() -> None:
    take = standing(46)
    edited = edit(take, said("raise the left arm", 46), tiny_codec())
    assert edited.motion.frames == 46 and edited.rates == (1.0,)


def test_levels_are_written_anew_and_never_those_of_the_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refiner:
        asked: torch.Tensor

        def sample(self, tokens, text=None, *, cache=None):  # type: ignore[no-untyped-def]
            Refiner.asked = tokens
            return torch.ones(*tokens.shape[:2], codec.levels, dtype=torch.long)

    codec, take = tiny_codec(), standing()
    decoded, decode = [], codec.pose.decode
    monkeypatch.setattr(codec.pose, "decode", lambda row: decoded.append(row) or decode(row))
    poser = CodecPoser(codec, take, stage(FRAMES))
    rows = KnownPoses(standing(left=(0.0, 0.0, 0.42))).codes
    poser.turns(rows)
    codec.refiner = Refiner()  # type: ignore[assignment]
    poser.turns(rows)
    left_out, anew = (row[..., len(codec.pose.streams) :] for row in decoded)
    assert (left_out == DROPPED).all() and (anew == 1).all()
    assert all(torch.equal(row[0, :, : codec.groups], rows) for row in (*decoded, Refiner.asked))


def test_the_report_says_when_it_was_asked_and_shown(tmp_path: Path) -> None:
    edited = edit_with(KNOWN, standing(), said("raise the left arm in the second half"))
    write_json(tmp_path / "report.json", edited)
    told = json.loads((tmp_path / "report.json").read_text())
    (one,) = told["edits"]
    assert one["asked_frames"] == [[36, 72]] and one["shown_frames_before"] == []
    ((start, stop),) = one["shown_frames_after"]
    assert start <= 36 and stop == 72
    assert one["groups"][0] == {"words": "left hand above left shoulder", "before": 0, "after": 1}
    assert lines_of(edited)[1].split() == "raise the left arm 36 frames 0% 100%".split()
    nothing = replace(edited, after={**edited.after, "foot_slide": math.nan})
    assert to_json(nothing)["after"]["foot_slide"] is None


def test_wanted_classes_are_told_in_words() -> None:
    known = standing()
    say = {
        "lower the left arm": "left hand below or level with left hip",
        "bend the left arm more": "left elbow: angle at least 30 deg less than before",
    }
    for text, words in say.items():
        (want,) = edit_with(KNOWN, known, said(text), config=NUDGED).wants
        assert words in [wanted_words(want, place) for place in range(len(want.groups))]


def test_runs_are_told_by_first_and_last() -> None:
    frames = torch.tensor([1, 1, 0, 0, 1, 0, 1]).bool()
    assert runs_of(frames) == [(0, 2), (4, 5), (6, 7)] and runs_of(~frames | frames) == [(0, 7)]


def test_the_page_shows_before_and_after_and_every_edit(tmp_path: Path) -> None:
    couple = standing_couple(2.0)
    edits = said("raise the left arm and bend the knees in the second half", couple.frames)
    edited = edit_with(KNOWN, couple.follower, edits, couple.leader, NUDGED)
    write_page(tmp_path / "page.html", edited, "Take <1>")
    page = (tmp_path / "page.html").read_text()
    assert page.count('<svg class="chart"') == 2 and "Take &lt;1&gt;" in page
    for text in ("raise the left arm", "bend the knees", "kept recall", "Asked and shown"):
        assert text in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "src=" not in page
    in_place, abreast = scenes_of(edited)
    assert set(in_place.followers) == {"before", "after"} and in_place.leader is couple.leader
    assert (abreast.first.root - edited.source.root)[:, 0].max() < 0, "before stands to one side"
    alone = replace(edited, leader=None)
    assert [scene.name for scene in scenes_of(alone)] == ["side by side", "in place"]


def test_saved_codecs_edit_alike(tmp_path: Path) -> None:
    codec = tiny_codec()
    codec.save(tmp_path, {})
    loaded = ReadableCodec.load(tmp_path)
    edits = said("raise the left arm", 24)
    hardly = EditConfig(nudge=NudgeConfig(steps=3))
    one, other = (edit(standing(24), edits, known, config=hardly) for known in (codec, loaded))
    assert torch.equal(one.motion.joints, other.motion.joints)
