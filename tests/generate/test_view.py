"""The page holds the whole dance, asks the network for nothing, and draws."""

import base64
import dataclasses
import html.parser
import io
import json
import re
import zlib

import av
import numpy as np
import pytest

from duet_rl.audio.files import write_wav
from duet_rl.body.contact import hold_due
from duet_rl.body.motion import Duet
from duet_rl.body.skeleton import PARENTS
from duet_rl.errors import InputError
from duet_rl.generate.view import DanceScene, player, write_page
from duet_rl.rewards.base import RewardInput, RewardMix
from tests.couple import beats, stepping_couple


class Elements(html.parser.HTMLParser):
    """Collects what a page refers to, and its texts by element."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._open = "data" if named.get("type") == "application/json" else tag
        self.links += [value for name in ("src", "href", "action") if (value := named.get(name))]

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)


def elements(page: str) -> Elements:
    parsed = Elements()
    parsed.feed(page)
    return parsed


def data_of(page: str) -> dict:
    return json.loads("".join(elements(page).texts["data"]))


def numbers(text: str, kind: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(-1, *shape)


def places(text: str) -> np.ndarray:
    """Return packed positions in metres, `(T, 55, 3)`, by arithmetic of its own."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i2").astype(np.int64)
    places = steps.reshape(55, 3, -1).transpose(2, 0, 1).cumsum(0).cumsum(0)
    for joint in range(1, 55):
        places[:, joint] += places[:, PARENTS[joint]]
    return ((places + 2**15) % 2**16 - 2**15) / 1000


def scene(couple: Duet, **more) -> DanceScene:
    return DanceScene("waltz", couple.leader, {"true partner": couple.follower}, **more)


def test_positions_come_back_to_half_a_millimetre(couple):
    shown = data_of(player([scene(couple)]))["scenes"][0]
    for sent, motion in (
        (shown["leader"], couple.leader),
        (shown["followers"][0], couple.follower),
    ):
        joints = places(sent["positions"])
        np.testing.assert_allclose(joints, motion.joints.numpy(), atol=0.000501)
    assert shown["fps"] == 30 and shown["followers"][0]["name"] == "true partner"


def test_planted_feet_and_touching_hands_are_marked(couple):
    far = DanceScene("apart", couple.leader, {"far": couple.follower.moved((0.0, 0.5, 2.0))})
    shown = data_of(player([scene(couple), far]))["scenes"]
    near, apart = (numbers(one["followers"][0]["marks"], "u1", 4) for one in shown)
    assert near.shape == (couple.frames, 4)
    assert (near[:, 2:] == 255).all() and (apart[:, 2:] == 0).all()
    assert (near[0, :2] == 255).all() and (near[:, :2] == 0).any() and (apart[:, :2] == 0).all()
    held = numbers(shown[0]["followers"][0]["leader_marks"], "u1", 4)
    assert (held[:, 2:] == 255).all()


def test_the_sound_is_as_long_as_the_dance(couple, tone):
    shown = data_of(player([scene(couple, audio=tone, beats=[0.5, 1.0])]))["scenes"][0]
    with av.open(io.BytesIO(base64.b64decode(shown["audio"]))) as sound:
        seconds = sum(frame.samples for frame in sound.decode(audio=0)) / 44_100
    assert seconds == pytest.approx(couple.seconds, abs=0.06)
    assert shown["beats"] == [0.5, 1.0]


def test_the_music_of_a_cut_begins_where_the_cut_does(couple, tone):
    cut = data_of(player([scene(couple, audio=tone, audio_start=0.3, beats=[])]))["scenes"][0]
    with av.open(io.BytesIO(base64.b64decode(cut["audio"]))) as sound:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in sound.decode(audio=0)])
    assert np.argmax(np.abs(samples) > 0.1) / 44_100 == pytest.approx(0.2, abs=0.06)


def test_a_file_may_have_a_name_that_is_no_text(tmp_path, couple):
    page = tmp_path / "dance_\udcff.html"
    write_page(page, [scene(couple)], title=page.stem)
    assert "dance_?" in page.read_text(encoding="utf-8")


def test_the_page_refers_to_nothing_outside_itself(tmp_path, couple, tone):
    write_page(tmp_path / "dance.html", [scene(couple, audio=tone, beats=())], "A dance")
    page = elements((tmp_path / "dance.html").read_text())
    assert page.links == []
    assert not any(re.search(r"@import|url\(", style) for style in page.texts["style"])
    assert "The MIT License" in "".join(page.texts["script"])


def test_no_name_can_break_out_of_the_page(tmp_path, couple):
    nasty = "</script><script>alert(1)</script><!--"
    write_page(tmp_path / "dance.html", [DanceScene(nasty, couple.leader, note=nasty)], nasty)
    text = (tmp_path / "dance.html").read_text()
    assert "alert(1)</script>" not in text
    assert data_of(text)["scenes"][0]["note"] == nasty


def test_a_follower_of_another_length_is_refused(couple):
    with pytest.raises(InputError, match=r"37 frames.*20"):
        DanceScene("waltz", couple.leader, {"short": couple.follower.slice(0, 20)})


def test_a_dance_far_from_the_origin_is_shown_at_it(couple):
    near, far = (
        data_of(player([scene(couple.moved(by), beats=())]))["scenes"][0]
        for by in ((0.0, 0.0, 0.0), (400.0, 0.0, -90.0))
    )
    shown = [
        np.concatenate([places(one["positions"]) for one in (sent["leader"], sent["followers"][0])])
        for sent in (near, far)
    ]
    apart = shown[1] - shown[0]
    np.testing.assert_allclose(apart - apart.mean((0, 1)), 0, atol=0.0011)
    assert abs(shown[1][..., [0, 2]]).max() < 2.0
    np.testing.assert_allclose(apart[..., 1], 0, atol=0.0011)  # on the floor


def test_dancers_too_far_from_each_other_are_refused(couple):
    away = couple.follower.moved((90.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"46 m.*32 m"):
        player([DanceScene("waltz", couple.leader, {"away": away})])


def test_no_dance_at_all_is_refused():
    with pytest.raises(InputError, match="at least one"):
        player([])


def test_positions_at_the_edge_of_the_reach_survive_the_wrapping(couple):
    far = couple.leader.moved((31.0, 0.0, -31.0)).joints.clone()
    far[10::2, :, 0] -= 62.0  # from one edge to the other, and back, in one frame
    motion = dataclasses.replace(couple.leader, joints=far)
    sent = data_of(player([DanceScene("far", motion)]))["scenes"][0]["leader"]
    np.testing.assert_allclose(places(sent["positions"]), far.numpy(), atol=0.000501)


def test_a_minute_of_a_couple_is_bounded():
    minute = stepping_couple(60.0)
    sent = data_of(player([scene(minute)]))["scenes"][0]
    size = sum(len(one["positions"]) for one in (sent["leader"], sent["followers"][0]))
    assert size < 500_000  # characters; 1.6 million as they are


def test_scores_are_those_of_the_rewards():
    duet, music = stepping_couple(4.0), beats(4.0)
    times = [frame / 30 for frame in music[0].nonzero()[:, 0].tolist()]
    hold = hold_due(duet.leader.joints, duet.follower.joints)
    away = duet.follower.moved((0.0, 0.0, 1.0))
    given = DanceScene("a", duet.leader, {"far": away}, beats=times, hold=hold)
    sent = data_of(player([given]))["scenes"][0]["followers"][0]["scores"]
    terms = RewardMix()(
        RewardInput(away.joints[None], duet.leader.joints[None], music, hold=hold[None])
    )
    for name in ("contact", "foot", "beat"):
        shown = numbers(sent[name], "u1") / 255
        np.testing.assert_allclose(shown, terms.per_frame[name][0].numpy(), atol=0.0021)
    assert sent["contact"] != sent["foot"]


def test_without_holds_that_are_due_contact_asks_for_the_follower_s_own(couple):
    far = couple.follower.moved((0.0, 0.0, 1.0))
    shown = data_of(player([DanceScene("a", couple.leader, {"far": far})]))["scenes"][0]
    assert (numbers(shown["followers"][0]["scores"]["contact"], "u1") == 255).all()


def test_nothing_is_scored_that_means_nothing(couple):
    alone = DanceScene("alone", None, {"one": couple.follower})
    shown = data_of(player([alone]))["scenes"][0]["followers"][0]
    assert set(shown["scores"]) == {"foot"}  # no partner to hold, no beat to meet


def test_beats_are_listened_for_where_nobody_gives_them(tmp_path):
    noise = np.random.default_rng(0).normal(scale=0.2, size=6 * 22_050).astype(np.float32)
    clicks = np.where(np.arange(len(noise)) % (22_050 // 2) < 700, noise, 0)  # two a second
    write_wav(tmp_path / "clicks.wav", clicks, 22_050)
    heard = data_of(player([scene(stepping_couple(6.0), audio=tmp_path / "clicks.wav")]))
    beats_shown = np.array(heard["scenes"][0]["beats"])
    assert len(beats_shown) >= 6
    np.testing.assert_allclose(np.diff(beats_shown), 0.5, atol=0.05)


def test_of_those_who_dance_together_each_touches_any_other(couple):
    group = {
        "one": couple.leader,
        "two": couple.follower,
        "three": couple.follower.moved((9, 0, 0)),
    }
    apart = data_of(player([DanceScene("group", None, group)]))["scenes"][0]["followers"]
    together = data_of(player([DanceScene("group", None, group, together=True)]))["scenes"][0]
    palms = [numbers(one["marks"], "u1", 4)[:, 2:] for one in together["followers"]]
    assert (palms[0] == 255).all() and (palms[1] == 255).all() and (palms[2] == 0).all()
    assert all((numbers(one["marks"], "u1", 4)[:, 2:] == 0).all() for one in apart)
