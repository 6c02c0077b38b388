"""A short dance of the follower in training, to look at: a video with music, and a still."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.clip import FPS, FRAME_MULTIPLE, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.generate.follower import Follower, generate
from duet_rl.generate.media import VideoConfig, sound_of, write_video
from duet_rl.generate.render import pictures_of

DANCES = "dances"  # folder of the dances in the working folder
SECONDS = 8.0  # of a dance, at most
VIDEO_FPS = 15.0  # half of the motion's, for half the time of drawing
VIDEO = VideoConfig(width=480, height=270)
_ROWS, _COLUMNS = 2, 3  # of pictures in the still
_SEED = 0  # of the sampling; always the same, so that only the weights differ


@dataclass(frozen=True, eq=False)
class Shown:
    """What was drawn of one dance."""

    video: Path
    still: UInt8[np.ndarray, "H W 3"]  # pictures in the order of reading
    sound: Float[np.ndarray, "samples"] | None  # mono, at media.SAMPLE_RATE


class DanceShow:
    """Lets the follower in training dance, always with the same leader, and draws it.

    The leader is the first of the `val` split, or of `train` where nothing is held out; of a long
    take the middle is danced, for many begin with people who walk to each other.

    Args:
        follower: where the weights are put; nothing else may use it.
        store: clips with their music.
        folder: where videos and stills go.
        seconds: of a dance, at most.
        look_ahead: tokens of future that the follower may know; None is all it was made for.
    """

    def __init__(
        self,
        follower: Follower,
        store: DuetStore,
        folder: Path,
        seconds: float = SECONDS,
        look_ahead: int | None = None,
    ) -> None:
        self.follower, self.folder, self.look_ahead = follower, folder, look_ahead
        whole = _held_out(store)
        frames = round(seconds * FPS) // FRAME_MULTIPLE * FRAME_MULTIPLE
        spare = max(0, whole.frames - frames)
        self.start = spare // 2 // FRAME_MULTIPLE * FRAME_MULTIPLE  # frame of the clip
        self.clip = whole.slice(self.start, self.start + min(frames, whole.frames))

    def draw(self, weights: Mapping[str, Tensor], name: str) -> Shown:
        """Write `name.mp4` and `name.png`, each whole or not at all.

        Args:
            weights: of the follower's model.
            name: of both files, without suffix.

        Raises:
            InputError: the music cannot be read.
            OSError: the files cannot be written.
        """
        dance = self._danced(weights).resample(VIDEO_FPS)
        names = () if isinstance(dance, Motion) else ("leader", "follower")
        pictures = list(pictures_of(dance, VIDEO.width, VIDEO.height, names))
        still, sound = _contact_sheet(pictures), self._sound(dance.seconds)
        video = self.folder / f"{name}.mp4"
        write_video(video, iter(pictures), dance.fps, sound, VIDEO)
        with atomic_path(video.with_suffix(".png")) as temporary:
            Image.fromarray(still).save(temporary)
        return Shown(video, still, sound)

    def _sound(self, seconds: float) -> Float[np.ndarray, "samples"] | None:
        if self.clip.audio is None:
            return None
        return sound_of(self.clip.audio, seconds, self.clip.audio_start / FPS)

    def _danced(self, weights: Mapping[str, Tensor]) -> Motion | Duet:
        model = self.follower.model
        checkpoint.load_module(model, dict(weights), "the follower in training")
        model.eval()
        leader, sampling = self.clip.duet.leader, self.follower.usual_sampling
        follower = generate(
            self.follower,
            leader,
            self.follower.music_of(self.clip),
            _SEED,
            sampling,
            look_ahead=self.look_ahead,
        )
        return follower[0] if self.clip.solo else Duet(leader, follower[0])


def _held_out(store: DuetStore) -> DuetClip:
    """Return the clip that is shown."""
    records = store.records("val") or store.records("train")
    if not records:
        raise InputError(
            f"the store {store.path} has no clip in val or train to show a dance with; prepare it "
            "again, or set rl.show_every=null"
        )
    return store.clip(records[0].name)


def _contact_sheet(
    pictures: list[UInt8[np.ndarray, "H W 3"]],
) -> UInt8[np.ndarray, "sheet_H sheet_W 3"]:
    """Return pictures of moments equally far apart as one, in the order of reading."""
    moments = np.linspace(0, len(pictures) - 1, _ROWS * _COLUMNS).round().astype(int)
    chosen = [pictures[moment] for moment in moments]
    rows = [np.hstack(chosen[row * _COLUMNS : (row + 1) * _COLUMNS]) for row in range(_ROWS)]
    return np.vstack(rows)
