"""The page holds the whole dance, asks the network for nothing, and draws."""

import base64
import html.parser
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from duet_rl.body.motion import Duet
from duet_rl.errors import InputError
from duet_rl.generate.view import DanceScene, player, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
BROWSER_SECONDS = 100  # a busy machine without a graphics card is slow to draw in 3D
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--mute-audio"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)
# Runs in the page: pose the dance at a time, and tell what was drawn.
PROBE = """
<script>
  const probed = document.querySelector(".player").player;
  const seen = (time) => {
    probed.clock.seek(time);
    probed.stage.pose(probed.couple, time * probed.couple.fps);
    probed.stage.renderer.render(probed.stage.scene, probed.stage.camera);
    const gl = probed.stage.renderer.getContext();
    const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const pixels = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    let [blue, red] = [0, 0];
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i + 2] > pixels[i] + 70) blue += 1;
      if (pixels[i] > pixels[i + 2] + 70) red += 1;
    }
    return { blue, red, time: probed.clock.now() };
  };
  document.title = JSON.stringify([seen(0), seen(0.8)]);
</script>
"""


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


def scene(couple: Duet, **more) -> DanceScene:
    return DanceScene("waltz", couple.leader, {"true partner": couple.follower}, **more)


def test_positions_come_back_to_half_a_millimetre(couple):
    shown = data_of(player([scene(couple)]))["scenes"][0]
    for sent, motion in (
        (shown["leader"], couple.leader),
        (shown["followers"][0], couple.follower),
    ):
        joints = numbers(sent["positions"], "<i2", 55, 3) / 1000
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


def test_the_page_refers_to_nothing_outside_itself(tmp_path, couple, tone):
    write_page(tmp_path / "dance.html", [scene(couple, audio=tone)], "A dance")
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


def test_a_dance_too_far_away_is_refused(couple):
    with pytest.raises(InputError, match=r"41 m.*32 m"):
        player([DanceScene("waltz", couple.leader.moved((40.0, 0.0, 0.0)))])


def test_no_dance_at_all_is_refused():
    with pytest.raises(InputError, match="at least one"):
        player([])


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_draws_both_dancers_at_the_time_asked_for(tmp_path: Path, couple, tone):
    path = tmp_path / "dance.html"
    write_page(path, [scene(couple, audio=tone)], "A dance")
    path.write_text(path.read_text().replace("</body>", PROBE + "</body>"))
    answer = subprocess.run(
        [
            *(CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"),
            *("--window-size=320,240", "--virtual-time-budget=1500", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=BROWSER_SECONDS,
    )
    title = re.search(r"<title>(\[.*\])</title>", answer.stdout)
    assert title, answer.stderr[-2000:]
    first, later = json.loads(title[1])
    for picture in (first, later):
        assert picture["blue"] > 200 and picture["red"] > 200
    assert (first["time"], later["time"]) == (0, 0.8)
    assert (first["blue"], first["red"]) != (later["blue"], later["red"])
