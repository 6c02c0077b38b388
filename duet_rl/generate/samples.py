"""Several dances of one kind in files: one page for all of them, of other files one each."""

from collections.abc import Sequence
from pathlib import Path

from duet_rl.body.motion import Duet, Motion
from duet_rl.generate import export
from duet_rl.generate.view import DanceScene, write_page

PAGE = ".html"


def write_samples(
    dances: Sequence[Motion],
    path: Path | str,
    leader: Motion | None = None,
    audio: Path | None = None,
    note: str = "",
) -> list[Path]:
    """Write dances beside the same leader or alone, and return the files.

    Args:
        dances: one or more, those beside a leader as long as the leader.
        path: where; its suffix says what to write. Of several dances, files that hold one get
            numbers: `dance-1.npz`, `dance-2.npz`.
        leader: whom they follow, if anybody.
        audio: the music, from the first frame on.
        note: a line below the page's player.

    Raises:
        InputError: a suffix that nothing is written as, or music that cannot be read.
    """
    path = Path(path)
    export.writer(path)
    if path.suffix.lower() == PAGE:
        write_page(path, _scenes(dances, path.stem, leader, audio, note), title=path.stem)
        return [path]
    paths = _numbered(path, len(dances))
    for one, place in zip(dances, paths, strict=True):
        export.write(one if leader is None else Duet(leader, one), place, audio)
    return paths


def _scenes(
    dances: Sequence[Motion], name: str, leader: Motion | None, audio: Path | None, note: str
) -> list[DanceScene]:
    """Return what the page plays: beside a leader all in one scene, else one scene each.

    Dancers who are alone need not be of one length.
    """
    if leader is not None:
        names = ["follower"] if len(dances) == 1 else [f"dance {i + 1}" for i in range(len(dances))]
        followers = dict(zip(names, dances, strict=True))
        return [DanceScene(name, leader, followers, audio, note=note)]
    if len(dances) == 1:
        return [DanceScene(name, dances[0], audio=audio, note=note, leader_name="dancer")]
    return [
        DanceScene(f"{name} {i + 1}", one, audio=audio, note=note, leader_name="dancer")
        for i, one in enumerate(dances)
    ]


def _numbered(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{i + 1}{path.suffix}") for i in range(count)]
