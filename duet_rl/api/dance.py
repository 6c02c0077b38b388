"""A dance that was made: look at its numbers, take its samples apart, save it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.api.inputs import MusicLike, sound_file
from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.roles import Part, partner_of
from duet_rl.generate import export
from duet_rl.generate.samples import Shown, places_of, write_samples


@dataclass(frozen=True, eq=False)
class Dance:
    """One dancer, or several samples of one dance; beside a leader, or alone.

    Args:
        motions: one a sample, 30 fps; the numbers below are those of the first.
        leader: whom they follow, of the same frames; None: nobody.
        music: what sounds in videos and pages; features make no sound.
        notes: what there is to tell of it, one line each.
        part: what the motions dance; the leader dances the other one.
        scores: of each motion the mean rewards, `total` first, where several were danced.
        hold: the holds that those several agree on, which contact asks for.
        sources: files that it was made of; none is written over.
    """

    motions: Sequence[Motion]
    leader: Motion | None = None
    music: MusicLike | None = None
    notes: tuple[str, ...] = ()
    part: Part = "follower"
    scores: tuple[Mapping[str, float], ...] = ()
    hold: Bool[Tensor, "T 2 4"] | None = None
    sources: tuple[Path, ...] = ()

    @property
    def motion(self) -> Motion:
        """The dancer."""
        return self.motions[0]

    @property
    def joints(self) -> Float[Tensor, "T 55 3"]:
        """World positions, metres, Y-up; joints are those of SMPL-X."""
        return self.motion.joints

    @property
    def rotations(self) -> Float[Tensor, "T 55 3 3"]:
        """Each joint relative to its parent; identity is the T-pose that faces +Z."""
        return self.motion.rotations

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.motion.fps

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.motion.frames

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.motion.seconds

    @property
    def duet(self) -> Duet | None:
        """The dancer beside the leader, if there is one."""
        if self.leader is None:
            return None
        couple = Duet(self.leader, self.motion)
        return couple if self.part == "follower" else couple.swapped()

    @property
    def samples(self) -> "tuple[Dance, ...]":
        """Each sample as a dance of its own."""
        scores = self.scores or [None] * len(self.motions)
        return tuple(
            replace(self, motions=[one], scores=() if score is None else (score,))
            for one, score in zip(self.motions, scores, strict=True)
        )

    def save(self, path: Path | str, *more: Path | str) -> list[Path]:
        """Write files, each by its suffix, and return them.

        Args:
            path: `.npz`, `.bvh` and others hold the dancer, video and page the couple with the
                music; see docs/outputs.md. Of several samples a page holds all, other files one
                each: `dance-1.npz`, `dance-2.npz`.
            more: other files of the same dance.

        Raises:
            InputError: a suffix that nothing is written as; it names those that there are. Or a
                file that the dance was made of, and two of one name.
            OSError: the disk is full, or the place is nobody's to write in.
        """
        paths = [Path(one) for one in (path, *more)]
        for one in paths:
            export.writer(one)  # before any is written
        partner = None if self.leader is None else partner_of(self.part)
        places = [place for one in paths for place in places_of(one, len(self.motions), partner)]
        export.require_apart(places, self.sources)
        with sound_file(self.music) as sound:
            shown = Shown(sound, "; ".join(self.notes), self.part, hold=self.hold)
            return [
                file
                for one in paths
                for file in write_samples(self.motions, one, self.leader, shown)
            ]
