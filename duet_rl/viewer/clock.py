"""The time of what is shown: it plays, pauses, jumps, goes slower or faster, and begins again."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds into a dance, given the time of a clock on the wall.

    Args:
        length: of the dance, seconds; the first frame is at 0, the last one at `length`.
        repeats: whether it begins again at the end, or stops there.
    """

    length: float = 0.0
    repeats: bool = True
    speed: float = 1.0  # seconds of dance in a second
    playing: bool = False
    _time: float = 0.0  # where it was ...
    _since: float = 0.0  # ... when the wall clock said this

    def at(self, wall: float) -> float:
        """Return where the dance is when the wall clock says `wall`; stops it at its end."""
        if not self.playing:
            return self._time
        time = self._time + (wall - self._since) * self.speed
        if time < self.length:
            return time
        self.seek(time % self.length if self.repeats and self.length else self.length, wall)
        self.playing = self.repeats and self.length > 0
        return self._time

    def seek(self, time: float, wall: float) -> None:
        """Go to a time of the dance; what lies outside is its first or last frame."""
        self._time, self._since = min(max(time, 0.0), self.length), wall

    def play(self, wall: float) -> None:
        """Go on; from the beginning, if the dance is over."""
        over = self.at(wall) >= self.length
        self.seek(0.0 if over else self.at(wall), wall)
        self.playing = self.length > 0

    def pause(self, wall: float) -> None:
        """Stay where the dance is."""
        self.seek(self.at(wall), wall)
        self.playing = False

    def go_at(self, speed: float, wall: float) -> None:
        """Go on from here at another speed."""
        self.seek(self.at(wall), wall)
        self.speed = speed
