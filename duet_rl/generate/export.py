"""Writing a dance: the suffix of the file says how."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.roles import Part
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_place
from duet_rl.generate import usd
from duet_rl.generate.media import VideoConfig, sound_of, write_video
from duet_rl.generate.render import pictures_of
from duet_rl.generate.view import DanceScene, write_page
from duet_rl.mocap.bvh import write_bvh
from duet_rl.mocap.npz import write_npz

Dance = Motion | Duet
Writer = Callable[[Dance, Path, Path | None], None]


def write(dance: Dance, path: Path | str, audio: Path | None = None) -> None:
    """Write a dance in one of the formats of `SUFFIXES`, whole or not at all.

    Args:
        dance: one dancer, or a couple. `.npz` holds one body, of a couple the follower's; so does
            `.bvh`, and the leader's goes beside it, see `partner_path`. All others hold both.
        path: where; its suffix says what to write.
        audio: the music, from the first frame on; sounds in the video and the page.

    Raises:
        InputError: a suffix that is none of `SUFFIXES`, a package that is not installed, a place
            where no file can be written, or music that cannot be read.
        OSError: the disk is full; what was there stays.
    """
    path = Path(path)
    writer(path)(dance, path, audio)


def writer(path: Path | str) -> Writer:
    """Return what writes files of this suffix; ask before a long computation.

    Raises:
        InputError: a suffix that is none of `SUFFIXES`, a package that is not installed, or a
            place where no file can be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise InputError(
            f"{path.name} ends in {repr(suffix) if suffix else 'no suffix'}; a dance is written as "
            f"{', '.join(SUFFIXES)}"
        )
    if suffix in usd.SUFFIXES:
        usd.require_usd(path)
    require_place(path)
    return _WRITERS[suffix]


def require_apart(outs: Sequence[Path], read: Iterable[Path | None]) -> None:
    """Refuse files that would write over each other, or over one that is read.

    Args:
        outs: all files that are to be written.
        read: files that are read; None is none.

    Raises:
        InputError: two of `outs` are one file, or one of them is read.
    """
    sources = {path.resolve() for path in read if path is not None}
    seen: set[Path] = set()
    for path in outs:
        place = path.resolve()
        if place in sources:
            raise InputError(f"{path} is read, and would be written over; give another name")
        if place in seen:
            raise InputError(f"{path} would be written twice; give each file a name of its own")
        seen.add(place)


def partner_path(path: Path, part: Part = "leader") -> Path:
    """Return where the partner goes of who is in `path`: `dance.leader.bvh`."""
    return path.with_name(f"{path.stem}.{part}{path.suffix}")


def write_bvhs(dance: Dance, path: Path, audio: Path | None = None) -> None:
    """Write a dancer as BVH; of a couple the follower, and beside it the leader, or neither.

    BVH programs expect one body a file. Both stand in the same room: opened together they dance as
    a couple.
    """
    if isinstance(dance, Motion):
        write_bvh(path, dance)
        return
    write_bodies({path: dance.follower, partner_path(path): dance.leader})


def write_bodies(bodies: Mapping[Path, Motion]) -> None:
    """Write a BVH file for each body, all of them or none."""
    with ExitStack() as stack:
        places = [stack.enter_context(atomic_path(path)) for path in bodies]
        for place, motion in zip(places, bodies.values(), strict=True):
            write_bvh(place, motion)


def write_glb(dance: Dance, path: Path, audio: Path | None = None) -> None:
    """Write a dance as GLB; see `gltf.write_glb`."""
    from duet_rl.generate import gltf  # loads its library, which few commands need

    gltf.write_glb(dance, path, audio)


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


_WRITERS: dict[str, Writer] = {
    ".npz": lambda dance, path, audio: write_npz(path, _body(dance)),
    ".bvh": write_bvhs,
    ".glb": write_glb,
    **dict.fromkeys(usd.SUFFIXES, usd.write_usd),
    ".mp4": write_mp4,
    ".html": write_html,
}
SUFFIXES = tuple(_WRITERS)
