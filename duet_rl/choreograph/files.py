"""The dances of a song as files: all kinds that are wanted, before and after on one page."""

from collections.abc import Mapping
from pathlib import Path

from duet_rl.body.motion import Duet, Motion
from duet_rl.choreograph.settings import ChoreographConfig
from duet_rl.choreograph.task import BEFORE, DANCE
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.generate.export import write, write_mp4
from duet_rl.generate.view import FARTHEST, DanceScene, write_page

AFTER = "after"  # name on the page of a dance beside that one


def write_dances(
    folder: Path, clip: DuetClip, dances: Mapping[str, Motion], config: ChoreographConfig
) -> tuple[str, ...]:
    """Write what is danced to a song; return why files are missing.

    Args:
        folder: of the song.
        clip: the song, and its leader if it has one.
        dances: `before`, and `dance` where fine-tuning has given another one.
        config: which kinds of files.
    """
    kept = dances.get(DANCE, dances[BEFORE])
    dance = kept if clip.solo else Duet(clip.duet.leader, kept)
    missing = []
    for kind in config.files:
        path = folder / f"{DANCE}.{kind}"
        if kind == "html":
            missing += _write_page(path, clip, dances)
        elif kind == "mp4":
            write_mp4(dance, path, clip.audio, config.video)
        else:
            write(dance, path, clip.audio)
    if DANCE in dances:
        write(dances[BEFORE], folder / f"{BEFORE}.npz")
    return tuple(missing)


def beats_of(clip: DuetClip) -> tuple[float, ...]:
    """Return when the beats of the music are, seconds."""
    return tuple(round(beat, 3) for beat in (clip.beats.nonzero()[:, 0] / FPS).tolist())


def _write_page(path: Path, clip: DuetClip, dances: Mapping[str, Motion]) -> list[str]:
    leader = None if clip.solo else clip.duet.leader
    everyone = [*dances.values(), *([] if leader is None else [leader])]
    farthest = max(float(one.joints.abs().max()) for one in everyone)
    if farthest > FARTHEST:
        return [f"no page: the dance goes {farthest:.0f} m away, a page reaches {FARTHEST:g} m"]
    seen = {DANCE: dances[BEFORE]}
    if DANCE in dances:
        seen = {BEFORE: dances[BEFORE], AFTER: dances[DANCE]}
    write_page(path, [DanceScene(clip.name, leader, seen, clip.audio, beats_of(clip))], clip.name)
    return []
