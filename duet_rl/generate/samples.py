"""Several dances of one kind in files: one page for all of them, of other files one each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.roles import Part, partner_of
from duet_rl.generate import export
from duet_rl.generate.media import VideoConfig
from duet_rl.generate.view import DanceScene, write_page
from duet_rl.mocap.npz import write_npz

PAGE, VIDEO, BVH, NPZ = ".html", ".mp4", ".bvh", ".npz"


@dataclass(frozen=True, eq=False)
class Shown:
    """How dances are shown.

    Args:
        audio: the music, from the first frame on.
        note: a line below the page's player.
        part: what the dancers dance; the other part is their partner's.
        beats: of the music, seconds; None listens for them.
        hold: the holds that a page asks for; None asks of each dance what it holds itself.
        video: size and quality of videos; None is usual.
    """

    audio: Path | None = None
    note: str = ""
    part: Part = "follower"
    beats: Sequence[float] | None = None
    hold: Bool[Tensor, "T 2 4"] | None = None
    video: VideoConfig | None = None


def write_samples(
    dances: Sequence[Motion],
    path: Path | str,
    partner: Motion | None = None,
    shown: Shown = Shown(),
) -> list[Path]:
    """Write dances beside the same partner or alone, and return their files.

    Args:
        dances: one or more, those beside a partner as long as the partner.
        path: where; its suffix says what to write. Of several dances, files that hold one get
            numbers: `dance-1.npz`, `dance-2.npz`. The partner's BVH goes beside them, once:
            `dance.leader.bvh`.
        partner: with whom they dance, if with anybody.
        shown: the music and all else.

    Raises:
        InputError: a suffix that nothing is written as, or music that cannot be read.
    """
    path = Path(path)
    write, suffix = export.writer(path), path.suffix.lower()
    if suffix == PAGE:
        write_page(path, _scenes(dances, path.stem, partner, shown), title=path.stem)
        return [path]
    paths = places_of(path, len(dances))
    if suffix == BVH and partner is not None:
        theirs = export.partner_path(path, partner_of(shown.part))
        export.write_bodies({**dict(zip(paths, dances, strict=True)), theirs: partner})
        return paths
    for one, place in zip(dances, paths, strict=True):
        dance = one if partner is None else _couple(one, partner, shown.part)
        if suffix == NPZ:
            write_npz(place, one)
        elif suffix == VIDEO:
            export.write_mp4(dance, place, shown.audio, shown.video)
        else:
            write(dance, place, shown.audio)
    return paths


def places_of(path: Path, count: int, partner: Part | None = None) -> list[Path]:
    """Return the files that `write_samples` makes of one path.

    Args:
        path: as given.
        count: how many dances.
        partner: what the partner dances, if there is one: the last file is then his, if he gets
            one of his own.
    """
    suffix, paths = path.suffix.lower(), [path]
    if count > 1 and suffix != PAGE:
        paths = [path.with_name(f"{path.stem}-{i + 1}{path.suffix}") for i in range(count)]
    if partner is not None and suffix == BVH:
        paths.append(export.partner_path(path, partner))
    return paths


def _couple(dancer: Motion, partner: Motion, part: Part) -> Duet:
    return Duet(partner, dancer) if part == "follower" else Duet(dancer, partner)


def _scenes(
    dances: Sequence[Motion], name: str, partner: Motion | None, shown: Shown
) -> list[DanceScene]:
    """Return what the page plays: beside a partner all in one scene, else one scene each.

    Dancers who are alone need not be of one length.
    """
    audio, beats, note = shown.audio, shown.beats, shown.note
    if partner is not None:
        several = [f"dance {number}" for number in range(1, len(dances) + 1)]
        names = [shown.part] if len(dances) == 1 else several
        seen = dict(zip(names, dances, strict=True))
        theirs = partner_of(shown.part)
        return [DanceScene(name, partner, seen, audio, beats, note, theirs, hold=shown.hold)]
    named = {name: dances[0]}
    if len(dances) > 1:
        named = {f"{name} {number}": one for number, one in enumerate(dances, start=1)}
    return [DanceScene(each, one, {}, audio, beats, note, "dancer") for each, one in named.items()]
