"""Songs: sound files, found and named, and each as a clip that waits for its dancer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.features import BEAT, music_features_of
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.stage import stage
from duet_rl.datasets.clip import FPS, DuetClip, align
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.generate.follower import Follower

SUFFIXES = (".wav", ".ogg", ".mp3", ".flac")  # of the files that are taken from a folder
_MINUTE = 60.0  # s


def find_songs(places: Sequence[Path]) -> dict[str, Path]:
    """Return songs by the name that their dance gets, which is that of the file.

    Args:
        places: sound files, and folders whose sound files are taken, also those further down.

    Raises:
        InputError: a place does not exist, or a folder has no sound file.
    """
    if not places:
        raise InputError("no song was named; give sound files, or folders of them")
    found: dict[Path, None] = {}
    for place in places:
        found |= dict.fromkeys(_in_folder(place) if place.is_dir() else [_file(place)])
    songs = list(found)
    stems = Counter(song.stem for song in songs)
    names = [song.stem if stems[song.stem] == 1 else song.name for song in songs]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        same = [str(song) for song in songs if song.name == twice[0]]
        raise InputError(f"{' and '.join(same)} have one name; rename one, or give them apart")
    return dict(zip(names, songs, strict=True))


def require_leader(follower: Follower, name: str, leader: Motion | None) -> None:
    """Raise `InputError` if a soloist is given a leader, or the follower of a leader none.

    Args:
        follower: who dances.
        name: of it, for the message.
        leader: whom it is to follow.
    """
    if leader is None and follower.needs_leader:
        raise InputError(
            f"{name} follows a leader; give the leader's motion with --leader, or the checkpoint "
            "of a soloist (preset solo)"
        )
    if leader is not None and not follower.needs_leader:
        raise InputError(
            f"{name} dances alone and would not see a leader; leave out --leader, or give the "
            "checkpoint of a follower of leaders"
        )


def song_clip(
    song: Path,
    name: str,
    follower: Follower,
    leader: Motion | None = None,
    most_seconds: float | None = None,
) -> DuetClip:
    """Return the clip of a song, in which a body that only stands keeps the dancer's place.

    It begins with the song and lasts as long as the song, and the leader if there is one, in whole
    tokens.

    Args:
        song: the sound file.
        name: of the clip.
        follower: who is to dance; the music features are those that it has learned from.
        leader: whom it follows; None: it dances alone.
        most_seconds: of a longer song.

    Raises:
        InputError: the file is no sound, or too short.
    """
    rows = torch.from_numpy(music_features_of(song, compat=follower.music["compat"]))
    most = len(rows) if most_seconds is None else round(most_seconds * FPS)
    rows = rows[: most if leader is None else min(most, leader.frames)]
    waiting = stage(len(rows))
    led = waiting if leader is None else leader.slice(0, len(rows))
    return align(
        Duet(led, waiting),
        rows,
        torch.zeros(len(rows), 2, 4, dtype=torch.bool),  # nobody knows which holds are due
        name=name,
        choreography=name,
        audio=song,
        music_source="recorded",
        style="unknown",
        tempo=_tempo(rows),
        source=song.name,
        music_facts=follower.music,
        solo=leader is None,
    )


def danced_by(clip: DuetClip, motion: Motion) -> DuetClip:
    """Return the clip with a dance in the place of who stands there."""
    return replace(clip, duet=Duet(clip.duet.leader, motion))


def _tempo(rows: Float[Tensor, "T 54"]) -> float:
    """Return beats a minute, by the median time between two; 0 for fewer."""
    gaps = (rows[:, BEAT] > 0).nonzero()[:, 0].diff()
    return float(_MINUTE * FPS / gaps.median()) if len(gaps) else 0.0


def _in_folder(folder: Path) -> list[Path]:
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise InputError(f"{folder} has no song; sound files end in {', '.join(SUFFIXES)}")
    return [file.resolve() for file in files]


def _file(song: Path) -> Path:
    return require_file(song, "a song").resolve()
