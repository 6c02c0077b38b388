"""What somebody wants `duet-rl generate` to make."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duet_rl.datasets.roles import Part
from duet_rl.errors import InputError
from duet_rl.generate.media import VideoConfig
from duet_rl.generate.partner import FOUND, place_of
from duet_rl.generate.samples import VIDEO
from duet_rl.tokenizers.holding import AS_LEARNED


@dataclass(frozen=True)
class Wish:
    """What somebody wants to see; None is what is usual.

    Args:
        checkpoint: folder of a follower, or of a converted PGR2M.
        outs: files to write.
        leader: file of who is followed.
        lead: file of who is led.
        person: of a file with several.
        music: sound file.
        text: what to dance, in words.
        seconds: length of a dance to words alone.
        samples: how many dances.
        best_of: of so many dances that which shows most of the text, or that earns most, is taken.
        guidance: how hard a follower listens to its words.
        start: `found`, or `FILE[:SECONDS]`: the pose that a dance beside somebody begins with.
        start_at: `METRES[,DEGREES]`: where that is, seen from the partner.
        hold: how firmly hands are held.
        size: `WIDTHxHEIGHT` of videos.
        reading: how the partner's file is read, see `mocap.motion_file.read_motion`.
        seed: of the sampling.
        temperature: of the sampling.
        look_ahead: tokens of future that the follower may know.
        clip: PGR2M's text tower.
        keywords: PGR2M's further sentences.
        device: where the follower dances.
    """

    checkpoint: Path
    outs: Sequence[Path]
    leader: Path | None = None
    lead: Path | None = None
    person: str | None = None
    music: Path | None = None
    text: str | None = None
    seconds: float | None = None
    samples: int = 1
    best_of: int = 1
    guidance: float | None = None
    start: str = FOUND
    start_at: str | None = None
    hold: float = AS_LEARNED
    size: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    temperature: float | None = None
    look_ahead: int | None = None
    clip: Path | None = None
    keywords: Path | None = None
    device: str = "cpu"

    @property
    def partner(self) -> Path | None:
        """The file of who is danced with."""
        return self.lead if self.lead is not None else self.leader

    @property
    def partner_part(self) -> Part:
        """What the partner dances."""
        return "leader" if self.lead is None else "follower"

    @property
    def video(self) -> VideoConfig | None:
        """How videos are written; None is usual.

        Raises:
            InputError: a size that is none, that H.264 cannot store, or of no video.
        """
        if self.size is None:
            return None
        if all(path.suffix.lower() != VIDEO for path in self.outs):
            raise InputError("--size is for videos; name an .mp4 to write, or leave it out")
        found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", self.size)
        width, height = (int(side) for side in found.groups()) if found else (1, 1)
        if width % 2 or height % 2:
            raise InputError(f"--size {self.size}; give even pixels, such as 1280x720")
        return VideoConfig(width=width, height=height)

    @property
    def place(self) -> tuple[float, float] | None:
        """Metres from the partner and degrees from straight ahead, at the start.

        Raises:
            InputError: no such two numbers.
        """
        return None if self.start_at is None else place_of(self.start_at)

    def refuse_partner(self, why: str) -> None:
        """Raise `InputError` if something is wished for that only a dance beside somebody has.

        Args:
            why: there is nobody.
        """
        asked = {
            "--leader": self.leader is not None,
            "--lead": self.lead is not None,
            "--person": self.person is not None,
            "--start": self.start != FOUND or self.start_at is not None,
            "--hold": self.hold != AS_LEARNED,
        }
        names = [name for name, given in asked.items() if given]
        if names:
            raise InputError(f"{why}; leave out {' and '.join(names)}")
