"""The page as a browser shows it: it draws, obeys keys, scrubs, and says nothing in the console."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duet_rl.body.motion import Duet
from duet_rl.generate.view import DanceScene, write_page
from tests.browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

LISTEN = """
<script>
  window.complaints = [];
  for (const kind of ["error", "warn"]) {
    console[kind] = (...words) => complaints.push(words.join(" "));
  }
  addEventListener("error", (event) => complaints.push(event.message));
  addEventListener("unhandledrejection", (event) => complaints.push(String(event.reason)));
</script>
"""
# Runs in the page: press keys, pose the dance at a time, and tell what came of it.
PROBE = """
<script>
  const root = document.querySelector(".player");
  const find = (name) => root.querySelector(`[data-part="${name}"]`);
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  function coloured() {
    const { stage, clock, troupe } = root.player;
    stage.pose(clock.now() * troupe.fps);
    stage.renderer.render(stage.scene, stage.camera);
    const gl = stage.renderer.getContext();
    const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const pixels = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    let [blue, red, edge] = [0, 0, 0];
    for (let i = 0; i < pixels.length; i += 4) {
      const [isBlue, isRed] = [pixels[i + 2] > pixels[i] + 70, pixels[i] > pixels[i + 2] + 70];
      blue += isBlue;
      red += isRed;
      const x = (i / 4) % width;
      edge += (isBlue || isRed) && (x < 3 || x > width - 4);
    }
    return { blue, red, edge };
  }
  function tell() {
    const { player } = root;
    const said = {};
    const now = () => player.clock.now();
    said.start = { time: now(), ...coloured() };
    press("ArrowRight");
    player.showTime(now());
    const [face, left] = [find("time").textContent, find("now").style.left];
    said.second = { time: now(), face, left, ...coloured() };
    press("ArrowLeft");
    press(".");
    said.frame = now();
    said.cameras = ["1", "2", "3", "4"].map((key) => {
      press(key);
      const { camera, orbit } = player.stage;
      const direction = camera.position.clone().sub(orbit.target).normalize().toArray();
      return { direction, ...coloured() };
    });
    press("1");
    said.follows = [player.stage.follows, (press("f"), player.stage.follows), coloured()];
    press("f");
    said.loops = [player.loops, (press("l"), player.loops)];
    said.help = ["1", "?", "Escape"].map((key) => (press(key), find("keys").hidden));
    const names = [...find("names").querySelectorAll("div")];
    said.values = names.map((name) => name.innerText.split(/\\s+/));
    said.lanes = find("lanes").toDataURL().length;
    const box = find("plot").getBoundingClientRect();
    const at = { clientX: box.left + 0.5 * box.width, clientY: box.top + 5, pointerId: 1 };
    find("plot").setPointerCapture = () => {};
    find("plot").dispatchEvent(new PointerEvent("pointerdown", at));
    said.scrubbed = now() / player.clock.seconds;
    press(" ");
    said.plays = player.clock.playing;
    find("loop").focus();
    find("loop").dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
    said.stillPlays = player.clock.playing; // the space is for the button
    find("loop").dispatchEvent(new MouseEvent("click", { detail: 1, bubbles: true }));
    said.focus = document.activeElement.tagName;
    said.outside = document.documentElement.scrollWidth > innerWidth;
    said.complaints = complaints;
    document.title = JSON.stringify(said);
  }
  if (root.player?.clock) tell();
  else root.addEventListener("ready", tell);
</script>
"""


def seen(browser: Browser) -> np.ndarray:
    picture = Image.open(io.BytesIO(browser.screenshot()))
    return np.asarray(picture.convert("RGB")).astype(int)


def write_probed(path: Path, scene: DanceScene) -> None:
    write_page(path, [scene], "A dance")
    page = path.read_text().replace("<head>", "<head>" + LISTEN)
    path.write_text(page.replace("</body>", PROBE + "</body>"))


@pytest.fixture(scope="module")
def said(tmp_path_factory, couple: Duet, tone: Path) -> dict:
    """What the page tells of itself at the width of a telephone."""
    path = tmp_path_factory.mktemp("page") / "dance.html"
    times = [0.0, 0.5, 1.0]
    write_probed(
        path, DanceScene("waltz", couple.leader, {"partner": couple.follower}, tone, times)
    )
    with Browser(path.parent, 390, 700) as browser:
        browser.open(path.as_uri())
        return json.loads(browser.wait("document.title.startsWith('{') && document.title"))


def test_nothing_is_said_in_the_console(said):
    assert said["complaints"] == []


def test_both_dancers_are_drawn_and_move_when_the_time_does(said):
    first, later = said["start"], said["second"]
    for picture in (first, later, *said["cameras"], said["follows"][2]):
        assert min(picture["blue"], picture["red"]) > 80 and picture["edge"] == 0
    assert (first["blue"], first["red"]) != (later["blue"], later["red"])


def test_keys_move_the_time(said):
    assert said["start"]["time"] == 0 and said["second"]["time"] == pytest.approx(1.0, abs=1e-3)
    assert said["second"]["face"].startswith("0:01.0")
    assert said["frame"] == pytest.approx(1 / 30, abs=1e-3)
    assert said["plays"] is True


def test_space_presses_the_button_that_keys_chose_and_plays_after_a_click(said):
    assert said["stillPlays"] is True and said["focus"] == "BODY"


def test_keys_choose_cameras_that_look_from_where_they_say(said):
    corner, front, side, above = (np.array(view["direction"]) for view in said["cameras"])
    assert front[2] > 0.9 and side[0] > 0.9 and above[1] > 0.9
    assert 0.3 < corner[0] < corner[2]


def test_keys_switch_following_looping_and_help(said):
    assert said["follows"][:2] == [True, False] and said["loops"] == [True, False]
    assert said["help"] == [True, False, True]


def test_the_timeline_tells_scores_and_seeks_where_it_is_pressed(said):
    names = {words[0]: words[1:] for words in said["values"]}
    assert list(names) == ["contact", "foot", "beat", "holds", "left", "right"]
    assert all(0 <= float(names[name][0]) <= 1 for name in ("contact", "foot", "beat"))
    assert float(said["second"]["left"].rstrip("%")) == pytest.approx(100 * 30 / 36, abs=0.1)
    assert said["scrubbed"] == pytest.approx(0.5, abs=0.01)
    assert said["lanes"] > 1000  # characters of a picture that is not empty


def test_a_telephone_shows_all_of_the_page_s_width(said):
    assert said["outside"] is False


def test_a_picture_of_the_page_in_the_dark_shows_dancers_and_curves(tmp_path, couple):
    path = tmp_path / "dance.html"
    times = [0.0, 0.5, 1.0]
    third = couple.follower.moved((1.0, 0.0, 0.0))
    trio = {"one": couple.follower, "two": third}
    write_page(path, [DanceScene("trio", couple.leader, trio, None, times, together=True)], "trio")

    def coloured() -> bool:
        return (np.ptp(seen(browser), axis=-1) > 60).sum() > 1000

    with Browser(tmp_path, 800, 600) as browser:
        browser.open(path.as_uri() + "#theme=dark&t=0.5")
        browser.wait("document.querySelector('.player')?.player?.clock !== undefined")
        browser.wait(coloured)
        picture = seen(browser)
    red, green, blue = picture[:380].transpose(2, 0, 1)
    assert picture[:40].mean() < 60  # dark
    for hue in (blue - red, red - blue, green - red):  # leader, first and second follower
        assert (hue > 50).sum() > 300
    lanes = picture[400:560, 130:780]
    assert (np.ptp(lanes, axis=-1) > 60).sum() > 800
