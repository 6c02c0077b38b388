"""What a person can press: the take, time, speed, who and what is seen, from where."""

from collections.abc import Callable
from typing import Any

import numpy as np
import viser

from duet_rl.viewer.sound import Song
from duet_rl.viewer.words import line

SPEEDS = {"1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0}
VIEWS = ("front", "side", "back", "top")
SPACING = 2.4  # m between couples
WIDTH, ROWS_WIDTH, ROWS_HEIGHT = 330, 740, 270  # pixels
_MARGIN = 12  # pixels
_NOTHING = np.full((8, 8, 3), 255, dtype=np.uint8)

Do = Callable[[Callable[[], None]], None]  # has something done between two frames


class Panel:
    """The controls and the two places for rows and tokens.

    Args:
        gui: of the server.
        do: has what a control asks for done, not in the thread of the browser.
        takes: label -> name of each take.
    """

    def __init__(self, gui: viser.GuiApi, do: Do, takes: dict[str, str], title: str) -> None:
        self._do, self.takes = do, takes
        gui.main_panel.dock_right()
        gui.main_panel.set_width(WIDTH)
        gui.add_html(line(title))
        self.take: Any = gui.add_dropdown("Clip", tuple(takes), visible=len(takes) > 1)
        self.facts = gui.add_html("")
        with gui.add_folder("Time"):
            self.frame: Any = gui.add_slider("Frame", 0, 1, 1, 0)
            self.play = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY)
            self.speed = gui.add_button_group("Speed", tuple(SPEEDS))
            self.repeat = gui.add_checkbox("Repeat", True)
            self.sound = gui.add_checkbox("Sound", True)
        with gui.add_folder("Seen"):
            self.who = gui.add_folder("Who")
            self.spacing = gui.add_slider("Apart, m", 0.0, 6.0, 0.1, SPACING)
            self.hands = gui.add_checkbox("Hands that hold", True)
            self.feet = gui.add_checkbox("Feet that stand", True)
            self.names = gui.add_checkbox("Names", True)
            self.follow = gui.add_checkbox("Camera goes along", True)
            self.view = gui.add_button_group("From", VIEWS)
        with gui.add_folder("Now"):
            self.couple: Any = gui.add_dropdown("Rows of", ("-",))
            self.moment = gui.add_html("")
            self.notes = gui.add_html("")
        self.song = Song(gui)
        self.rows_panel = gui.add_panel()
        with self.rows_panel.add_tab("Rows"):
            self.rows = gui.add_image(_NOTHING, format="png")
        with self.rows_panel.add_tab("Tokens now"):
            self.tokens = gui.add_html("")
        self.rows_panel.float(x=_MARGIN, y=-_MARGIN, width=ROWS_WIDTH, height=ROWS_HEIGHT)
        self.shown: dict[str, Any] = {}  # couple -> checkbox
        self._gui = gui

    def on(self, control: Any, action: Callable[[Any], None]) -> None:
        """Have an action done when a person changes a control, with its new value."""

        @control.on_update
        def _(event: Any) -> None:
            if event.client is not None:  # the program moves sliders, too
                value = event.target.value
                self._do(lambda: action(value))

    def on_press(self, button: Any, action: Callable[[], None]) -> None:
        """Have an action done when a person presses a button."""
        button.on_click(lambda _: self._do(action))

    def on_key(self, label: str, key: Any, action: Callable[[], None]) -> None:
        """Have an action done at a key."""
        self._gui.add_command(label, hotkey=key).on_trigger(lambda _: self._do(action))

    def list_couples(self, names: list[str], changed: Callable[[], None]) -> None:
        """Show a checkbox for each couple; those that are known keep theirs."""
        for name in [name for name in self.shown if name not in names]:
            self.shown.pop(name).remove()
        with self.who:
            for name in names:
                if name not in self.shown:
                    self.shown[name] = self._gui.add_checkbox(name or "dancer", True)
                    self.on(self.shown[name], lambda _: changed())
        self.who.visible = len(names) > 1
        self.spacing.visible = len(names) > 1
        labels = tuple(name or "dancer" for name in names)
        if tuple(self.couple.options) != labels:
            chosen = self.couple.value
            self.couple.options = labels
            self.couple.value = chosen if chosen in labels else labels[-1]

    def is_shown(self, name: str) -> bool:
        """Return whether a couple is to be seen."""
        return bool(self.shown[name].value)
