"""The music in the browser: an audio element, and words that tell it where the dance is."""

import base64
import json
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from duet_rl.generate.media import mp3_of

ELEMENT = "duet-rl-song"  # id of the audio element
_SILENT = '<audio id="{id}" preload="auto"></audio>'
_SONG = '<audio id="{id}" preload="auto" src="data:audio/mpeg;base64,{song}"></audio>'
# An element that fails to load a picture runs this: pages of viser have no other door for a word.
_WORD = '<img alt="" style="display:none" src="data:,{number}" onerror="{script}">'
# The page keeps the last word, and every 200 ms the sound in step with it: by a jump where it is
# far off (0.25 s), else by going up to 6 % faster or slower. Clocks of two machines that differ by
# more than 20 seconds are not compared.
_SCRIPT = """
const now = () => Date.now() / 1000, word = {word}, page = window;
if (Math.abs(now() - word.wall) > 20) word.wall = now();
page.duetRlWord = word;
page.duetRlKeep = page.duetRlKeep || setInterval(() => {{
  const song = document.getElementById({id}), word = page.duetRlWord;
  if (!song || !song.src) return;
  song.muted = word.muted;
  const at = word.at + (word.plays ? (now() - word.wall) * word.speed : 0), end = song.duration;
  const off = Math.min(at, end || at) - song.currentTime;
  if (!word.plays || at >= end) {{
    if (!song.paused) song.pause();
    if (Math.abs(off) > 0.005) song.currentTime += off;
    return;
  }}
  if (Math.abs(off) > 0.25) song.currentTime = at;
  song.playbackRate = word.speed * (1 + Math.max(-0.06, Math.min(0.06, off)));
  if (song.paused) song.play().catch(() => 0);
}}, 200);
"""


class Song:
    """The music of a take, in every browser that looks.

    Args:
        gui: of the server.
    """

    def __init__(self, gui: Any) -> None:
        self._element = gui.add_html(_SILENT.format(id=ELEMENT))
        self._word = gui.add_html("")
        self._told = 0

    def put(self, sound: Float[np.ndarray, "samples"] | None) -> None:
        """Take other music, or none."""
        if sound is None:
            self._element.content = _SILENT.format(id=ELEMENT)
            return
        song = base64.b64encode(mp3_of(sound)).decode("ascii")
        self._element.content = _SONG.format(id=ELEMENT, song=song)

    def tell(self, at: float, plays: bool, speed: float, wall: float, muted: bool = False) -> None:
        """Say where the music is.

        Args:
            at: second of the dance ...
            plays: and whether it goes on from there.
            speed: seconds of dance in a second.
            wall: seconds since 1970 when this was so.
            muted: whether it is heard.
        """
        self._told += 1
        word = {"at": round(at, 4), "plays": plays, "speed": speed}
        word |= {"wall": round(wall, 4), "muted": muted}
        script = _SCRIPT.format(id=json.dumps(ELEMENT), word=json.dumps(word))
        self._word.content = _WORD.format(number=self._told, script=escape(script))
