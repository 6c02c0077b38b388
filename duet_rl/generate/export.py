"""Writing a dance: the suffix of the file says how."""

from collections.abc import Callable
from pathlib import Path

from duet_rl.body.bvh import write_bvh
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.npz import write_npz
from duet_rl.errors import InputError
from duet_rl.generate.media import VideoConfig, sound_of, write_video
from duet_rl.generate.render import pictures_of
from duet_rl.generate.view import DanceScene, write_page

Dance = Motion | Duet


def write(dance: Dance, path: Path | str, audio: Path | None = None) -> None:
    """Write a dance as `.npz`, `.bvh`, `.mp4` or `.html`, whole or not at all.

    Args:
        dance: one dancer, or a couple. Motion files hold one body: of a couple, the follower's.
        path: where; its suffix says what to write.
        audio: the music, from the first frame on; sounds in the video and the page.

    Raises:
        InputError: a suffix that is none of `SUFFIXES`, or music that cannot be read.
    """
    path = Path(path)
    writer(path)(dance, path, audio)


def writer(path: Path | str) -> Callable[[Dance, Path, Path | None], None]:
    """Return what writes files of this suffix; ask before a long computation.

    Raises:
        InputError: a suffix that is none of `SUFFIXES`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise InputError(
            f"{Path(path).name} ends in {suffix or 'no suffix'!r}; a dance is written as "
            f"{', '.join(SUFFIXES)}"
        )
    return _WRITERS[suffix]


def write_mp4(
    dance: Dance, path: Path, audio: Path | None = None, config: VideoConfig | None = None
) -> None:
    """Write a dance as a video with sound."""
    config = config or VideoConfig()
    names = ("leader", "follower") if isinstance(dance, Duet) else ()
    sound = None if audio is None else sound_of(audio, dance.seconds)
    pictures = pictures_of(dance, config.width, config.height, names)
    write_video(path, pictures, dance.fps, sound, config)


def write_html(dance: Dance, path: Path, audio: Path | None = None) -> None:
    """Write a dance as a page that plays it in 3D."""
    if isinstance(dance, Duet):
        scene = DanceScene(path.stem, dance.leader, {"follower": dance.follower}, audio)
    else:
        scene = DanceScene(path.stem, dance, audio=audio, leader_name="dancer")
    write_page(path, [scene], title=path.stem)


def _body(dance: Dance) -> Motion:
    return dance.follower if isinstance(dance, Duet) else dance


_WRITERS: dict[str, Callable[[Dance, Path, Path | None], None]] = {
    ".npz": lambda dance, path, audio: write_npz(path, _body(dance)),
    ".bvh": lambda dance, path, audio: write_bvh(path, _body(dance)),
    ".mp4": write_mp4,
    ".html": write_html,
}
SUFFIXES = tuple(_WRITERS)
