"""The music in the browser: an audio element, and words that tell it where the dance is."""

import base64
import json
from typing import Any

import numpy as np
from jaxtyping import Float

from duet_rl.generate.media import mp3_of

ELEMENT = "duet-rl-song"  # id of the audio element
_OFF = 0.12  # s that the sound may be away from the dance before it is put right
_CLOCKS = 2.0  # s; clocks of two machines that differ by more are not compared
_SILENT = '<audio id="{id}" preload="auto"></audio>'
_SONG = '<audio id="{id}" preload="auto" src="data:audio/mpeg;base64,{song}"></audio>'
# An element that fails to load a picture runs this: pages of viser have no other door for a word.
_WORD = '<img alt="" style="display:none" src="data:," onerror="{script}">'
_SCRIPT = (
    "const a=document.getElementById({id});const m={word};if(a&&m.id!==a.dataset.word)"
    "{{a.dataset.word=m.id;const late=Date.now()/1000-m.wall;"
    "const t=m.at+(m.plays&&Math.abs(late)<{clocks}?late*m.speed:0);"
    "a.playbackRate=m.speed;a.muted=m.muted;"
    "if(!m.plays||Math.abs(a.currentTime-t)>{off})a.currentTime=t;"
    "if(m.plays)a.play().catch(()=>0);else a.pause();}}"
)


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
        word = {"id": str(self._told), "at": round(at, 4), "plays": plays, "speed": speed}
        word |= {"wall": round(wall, 4), "muted": muted}
        script = _SCRIPT.format(id=_quoted(ELEMENT), word=_quoted(word), clocks=_CLOCKS, off=_OFF)
        self._word.content = _WORD.format(script=script)


def _quoted(value: Any) -> str:
    """Return a value as JavaScript inside an attribute."""
    return json.dumps(value).replace("&", "&amp;").replace('"', "&quot;")
