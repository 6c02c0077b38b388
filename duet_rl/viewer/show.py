"""The viewer: one take at a time, its couples side by side, moved by the clock and the panel."""

import math
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import viser
from jaxtyping import Float

from duet_rl.body.heading import low_pass
from duet_rl.body.skeleton import UP
from duet_rl.datasets.clip import FPS
from duet_rl.viewer.clock import Clock
from duet_rl.viewer.dancing import Dancing
from duet_rl.viewer.figures import CoupleFigures
from duet_rl.viewer.hall import Hall
from duet_rl.viewer.panel import SPEEDS, Panel
from duet_rl.viewer.takes import Couple, Take
from duet_rl.viewer.timeline import Rows, picture_of, rows_to_draw
from duet_rl.viewer.words import line, moment_of, tokens_of

_TICK = 1 / FPS  # s
_PANEL_EVERY = 0.1  # s between pictures of the rows while it plays
_CALM = 0.5 * FPS  # frames; sigma of the way of the camera
_STEP = 1  # frame of an arrow key
_EYES, _AIM = 1.7, 0.45  # m; height of the camera, and of what it looks at: above the rows
_NEAR, _WIDER = 4.2, 0.6  # m from one couple, and more for each metre that they are apart
_BESIDE = 1.2  # m; room beside the outermost couples
_PHONE = 640  # pixels; of a narrower page the panel covers the lower part
_UPPER, _MIDDLE = 0.55, 0.9  # there: how far up the dancers are seen, 1 at the top; m, their middle
_BEAT_SEEN = 3  # frames for which a beat is seen on the floor
_FLOOR_SIZE = (40.0, 40.0)  # m
_LIGHT = 0.25  # of the room, beside that of the lamps
_FLOOR_COLOUR, _CELL_COLOUR, _METRE_COLOUR = (236, 237, 240), (222, 223, 228), (198, 200, 207)


class Viewer:
    """What `duet-rl view` shows in the browser.

    All that moves is moved by `tick`, in one thread; what a person presses waits for it.

    Args:
        hall: what there is to see.
        server: where it is seen.
        wall: tells seconds since 1970.
    """

    def __init__(
        self, hall: Hall, server: viser.ViserServer, wall: Callable[[], float] = time.time
    ) -> None:
        self.hall, self.server, self._wall = hall, server, wall
        self.clock, self.dancing = Clock(), Dancing(hall)
        self.couples: dict[str, CoupleFigures] = {}
        self.take: Take = hall.take(hall.names[0])
        self._asked: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._rows: dict[str, Rows] = {}
        self._frame, self._told = -1, -1  # frames seen in the scene, and in the panel
        self._told_at, self._across, self._span = 0.0, 0.0, 0.0
        self._notes: dict[str, str] = {}
        self._number = 0  # of couples so far, so that no two have one path
        splits = {name: hall.split_of(name) for name in hall.names}
        labels = {f"{name} ({split})" if split else name: name for name, split in splits.items()}
        scene = server.scene
        scene.set_up_direction("+y")
        scene.configure_environment_map("studio", environment_intensity=_LIGHT)
        self._world = scene.add_frame("/dance", show_axes=False)
        scene.add_grid(
            "/dance/floor",
            *_FLOOR_SIZE,
            plane="xz",
            cell_size=0.5,
            cell_color=_CELL_COLOUR,
            section_color=_METRE_COLOUR,
            plane_color=_FLOOR_COLOUR,
            plane_opacity=1.0,
            shadow_opacity=0.3,
            fade_distance=30.0,
        )
        self._beat = scene.add_cylinder(
            "/beat", 0.9, 0.004, (250, 205, 70), cast_shadow=False, visible=False
        )
        self.panel = Panel(server.gui, self._asked.put, labels, hall.title)
        self._connect()
        server.initial_camera.position = (0.0, _EYES, _NEAR)
        server.initial_camera.look_at = (0.0, _AIM, 0.0)
        self.choose(self.take.name)
        server.on_client_connect(self._greet)

    def choose(self, name: str) -> None:
        """Show another take, from its beginning."""
        for figures in self.couples.values():
            figures.remove()
        self.couples, self._rows, self._notes = {}, {}, {}
        self.take = self.hall.take(name)
        self.clock.length = (self.take.frames - 1) / FPS
        self.clock.seek(0.0, self._wall())
        self.panel.frame.value = 0
        self.panel.frame.max = max(self.take.frames - 1, 1)
        self.panel.facts.content = line(self.take.facts)
        self._centre = _way(self.take)
        self.panel.hands.visible = self.take.leader is not None
        self.panel.song.put(self.take.sound())
        for couple in self.hall.couples(self.take):
            self._add(couple)
        if self.hall.runs:
            self.dancing.ask(self.take)
            self._notes = {run.name: "dances ..." for run in self.hall.runs}
        self._place()
        self._tell_sound()

    def tick(self) -> None:
        """Do what was asked for, take in new dances, and show the frame of this moment."""
        while True:
            try:
                self._asked.get_nowait()()
            except Empty:
                break
        for done in self.dancing.finished():
            if done.take is self.take:
                self._notes.pop(done.run.name, None)
                if done.couple is not None:
                    self._add(done.couple)
                else:
                    self._notes[done.run.name] = done.why
                self._place()
        wall = self._wall()
        played = self.clock.playing
        frame = min(round(self.clock.at(wall) * FPS), self.take.frames - 1)
        begins_again = played and frame < self._frame
        if played != self.clock.playing or begins_again:
            self._tell_sound()
        if frame != self._frame:
            self._show(frame)
        waits = self.clock.playing and wall - self._told_at < _PANEL_EVERY
        if self._told != frame and not waits:
            self._tell(frame, wall)

    def run(self, stop: threading.Event) -> None:
        """Go on until `stop` is set."""
        following = time.monotonic()
        while not stop.is_set():
            self.tick()
            following = max(following + _TICK, time.monotonic())
            stop.wait(following - time.monotonic())
        self.dancing.stop()

    def look_from(self, view: str, client: Any) -> None:
        """Put the camera of one browser in front of, beside, behind or above the couples."""
        camera, across = client.camera, self._span
        seen = math.tan(camera.fov / 2) * camera.aspect  # m to one side, a metre from the camera
        far = max(_NEAR + _WIDER * across, (across / 2 + _BESIDE) / seen)
        aim = _AIM
        if camera.image_width < _PHONE:
            aim = _MIDDLE - _UPPER * math.tan(camera.fov / 2) * far
        places = {
            "front": (0.0, _EYES, far),
            "back": (0.0, _EYES, -far),
            "side": (far + across / 2, _EYES, 0.0),
            "top": (0.0, far + 1.0, 0.01),
        }
        with client.atomic():
            client.camera.up_direction = (0.0, 1.0, 0.0)
            client.camera.position = places[view]
            client.camera.look_at = (0.0, aim, 0.0)

    def _greet(self, client: Any) -> None:
        """Let one more browser see all couples."""
        self.look_from("front", client)

    def _add(self, couple: Couple) -> None:
        path = f"/dance/couple{self._number}"
        self._number += 1
        figures = CoupleFigures(self.server.scene, path, couple, len(self.couples))
        self.couples[couple.name] = figures
        self._rows[couple.name] = rows_to_draw(couple, self.take.beats)

    def _place(self) -> None:
        """Put the couples that are seen beside each other, and show the frame anew."""
        self.panel.list_couples(list(self.couples), self._place)
        seen = [name for name in self.couples if self.panel.is_shown(name)]
        apart = float(self.panel.spacing.value)
        self._across = apart * max(len(seen) - 1, 0)
        self._span = apart * max(len(seen) + len(self._notes) - 1, 0)  # with those who will come
        for name, figures in self.couples.items():
            number = seen.index(name) if name in seen else 0
            leads = number == 0 or apart > 0  # one leader is enough for all in one place
            figures.put(number * apart - self._across / 2, name in seen, leads)
            figures.label.visible = bool(self.panel.names.value and name)
            figures.marks.show("hands", bool(self.panel.hands.value))
            figures.marks.show("feet", bool(self.panel.feet.value))
        waiting = [f"{name} {note}" for name, note in self._notes.items()]
        self.panel.notes.content = "".join(line(text) for text in waiting)
        self._frame = self._told = -1

    def _show(self, frame: int) -> None:
        self._frame = frame
        beats = self.take.beats[max(frame - _BEAT_SEEN + 1, 0) : frame + 1]
        with self.server.atomic():
            for figures in self.couples.values():
                if figures.frame.visible:
                    figures.pose(frame)
            self._world.position = -self._centre[frame if self.panel.follow.value else 0]
            if self._beat.visible != bool(beats.any()):
                self._beat.visible = bool(beats.any())

    def _tell(self, frame: int, wall: float) -> None:
        self._told, self._told_at = frame, wall
        name = self.panel.couple.value
        name = name if name in self.couples else next(iter(self.couples))
        couple = self.couples[name].couple
        self.panel.frame.value = frame
        self.panel.moment.content = moment_of(self.take, couple, frame)
        self.panel.tokens.content = tokens_of(couple, frame)
        self.panel.rows.image = picture_of(self._rows[name], frame)

    def _connect(self) -> None:
        panel, clock, wall = self.panel, self.clock, self._wall

        def step(frames: int) -> None:
            clock.pause(wall())
            self.go_to(self._frame + frames)

        def other(step: int) -> None:
            names = list(panel.takes.values())
            label = list(panel.takes)[(names.index(self.take.name) + step) % len(names)]
            panel.take.value = label
            self.choose(panel.takes[label])

        panel.on(panel.take, lambda label: self.choose(panel.takes[label]))
        panel.on(panel.frame, self.go_to)
        panel.on(panel.repeat, lambda on: setattr(clock, "repeats", on))
        panel.on(panel.sound, lambda _: self._tell_sound())
        for control in (panel.spacing, panel.hands, panel.feet, panel.names, panel.follow):
            panel.on(control, lambda _: self._place())
        panel.on(panel.couple, lambda _: self._place())
        panel.on_press(panel.play, self.play_or_pause)
        panel.speed.on_click(lambda event: self._asked.put(lambda: self._go_at(event.target.value)))
        panel.view.on_click(lambda event: self.look_from(event.target.value, event.client))
        panel.on_key("Play or pause", "space", self.play_or_pause)
        panel.on_key("A frame on", "arrowright", lambda: step(_STEP))
        panel.on_key("A frame back", "arrowleft", lambda: step(-_STEP))
        panel.on_key("From the beginning", "home", lambda: self.go_to(0))
        panel.on_key("Next clip", "N", lambda: other(1))
        panel.on_key("Clip before", "P", lambda: other(-1))

    def go_to(self, frame: int) -> None:
        """Go to a frame, and play on from there if it plays."""
        self.clock.seek(frame / FPS, self._wall())
        self._tell_sound()

    def play_or_pause(self) -> None:
        """Play if it does not, else pause."""
        (self.clock.pause if self.clock.playing else self.clock.play)(self._wall())
        self._tell_sound()

    def _go_at(self, speed: str) -> None:
        self.clock.go_at(SPEEDS[speed], self._wall())
        self._tell_sound()

    def _tell_sound(self) -> None:
        wall, clock = self._wall(), self.clock
        at, muted = clock.at(wall), not self.panel.sound.value
        self.panel.song.tell(at, clock.playing, clock.speed, wall, muted)
        self.panel.play.label = "Pause" if clock.playing else "Play"


def _way(take: Take) -> Float[np.ndarray, "T 3"]:
    """Return the way of the middle of the dancers over the floor, calm enough for a camera."""
    dancers = [take.leader, *take.followers.values()][:2]
    roots = [motion.root.double() for motion in dancers if motion is not None]
    middle = low_pass(sum(roots[1:], start=roots[0]) / len(roots), _CALM).cpu().numpy()
    middle[:, UP] = 0.0
    return middle
