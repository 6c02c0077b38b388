"""Captured couples: two motion files a take, with music or without."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from pydantic import Field

from duet_rl.audio.beats import estimate_tempo_from_feet, tempo_of
from duet_rl.audio.features import music_features_of
from duet_rl.audio.files import write_wav
from duet_rl.audio.grooves import GROOVES, Style
from duet_rl.audio.recipes import Compat, MusicConfig
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.body.contact import hold_due
from duet_rl.body.motion import Duet, Motion
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS, DuetClip, align
from duet_rl.datasets.hands import HOLD_RANGE, close_hands
from duet_rl.datasets.prepare import PrepareTask, fingerprint
from duet_rl.errors import InputError, listed
from duet_rl.files import require_folder
from duet_rl.mocap.motion_file import MotionFile, log, read_motion

MOTION_SUFFIXES = (".bvh", ".npz", ".npy")
MUSIC_SUFFIXES = (".wav", ".ogg", ".mp3", ".flac")
_SHOWN = 6  # missing partners named in an error before "and n more"


class PairsConfig(Config):
    """How to find and read the takes of couples."""

    leader: str = "*_leader"  # file name without suffix; `*` is the take
    follower: str = "*_follower"
    fps: float | None = Field(None, gt=0)  # true frames per second, where the files lie
    scale: float | None = Field(None, gt=0)  # metres per unit; by default found by the legs
    up: str | None = None  # "y" or "z"; by default found by the bodies
    music: Path | None = None  # one file for all takes, or a folder with a file a take
    style: Style = "salsa"  # what they dance; also the style of rendered music
    close_hands: bool = True  # bring held palms together by a small correction of the arms
    hold_range: float = Field(HOLD_RANGE, gt=0)  # m; palms that are nearer hold each other


@dataclass(frozen=True)
class Pair:
    """The files of one take."""

    take: str
    leader: Path
    follower: Path
    music: Path | None


def find_pairs(folder: Path | str, config: PairsConfig) -> list[Pair]:
    """Return the takes in `folder`, by name.

    Raises:
        InputError: a pattern without one `*`, one for both dancers, no takes, or a file without
            its partner.
    """
    folder = require_folder(folder, "captured couples")
    if config.leader == config.follower:
        raise InputError(
            f"leader and follower are both {config.leader!r}; give each a pattern of its own"
        )
    leaders, followers = (_takes(folder, p) for p in (config.leader, config.follower))
    lonely = [
        f"{path.name} (no {pattern.replace('*', take)})"
        for own, other, pattern in (
            (leaders, followers, config.follower),
            (followers, leaders, config.leader),
        )
        for take, path in own.items()
        if take not in other
    ]
    if not leaders and not followers:
        raise InputError(
            f"{folder} has no files {config.leader} and {config.follower} of type "
            f"{' or '.join(MOTION_SUFFIXES)}; set leader and follower to the names of the files"
        )
    if lonely:
        raise InputError(
            f"{len(lonely)} files in {folder} lack their partner: {listed(lonely, _SHOWN)}; "
            "add the partners or move these files away"
        )
    return [
        Pair(take, leaders[take], followers[take], _music_of(take, leaders[take], config.music))
        for take in sorted(leaders)
    ]


def pair_tasks(
    pairs: Sequence[Pair], config: PairsConfig, music: MusicConfig = MusicConfig()
) -> list[PrepareTask]:
    """Return what prepares each take; a take is a choreography of its own."""
    tasks = []
    for pair in pairs:
        inputs = [pair.leader, pair.follower, *([pair.music] if pair.music else [])]
        tasks.append(
            PrepareTask(
                pair.take,
                fingerprint(config.model_copy(update={"music": None}), *inputs, music=music),
                partial(read_pair, pair, config, compat=music.compat),
            )
        )
    return tasks


def read_pair(pair: Pair, config: PairsConfig, scratch: Path, compat: Compat = "0.11") -> DuetClip:
    """Return the clip of one take, 30 fps; music that is rendered for it goes into `scratch`.

    Raises:
        InputError: a file cannot be read, or the two differ in length or frame rate.
    """
    duet, before = _read_duet(pair, config)
    if config.close_hands:
        duet = close_hands(duet, config.hold_range)
    audio, tempo = pair.music, None
    if audio is None:
        audio, tempo = _render_music(pair.take, duet, config.style, scratch)
        before = 0
    features = torch.from_numpy(music_features_of(audio, compat=compat))[before:]
    if tempo is None:
        tempo = tempo_of(features)
    return align(
        duet,
        features,
        hold_due(duet.leader.joints, duet.follower.joints, FPS, threshold=config.hold_range),
        name=pair.take,
        choreography=pair.take,
        audio=audio,
        audio_start=before,
        music_source="recorded" if pair.music else "rendered",
        style=config.style,
        tempo=tempo,
        source=f"{pair.leader.name} and {pair.follower.name}",
    )


def _read_duet(pair: Pair, config: PairsConfig) -> tuple[Duet, int]:
    """Return the couple, and how many frames of the take were left out before it begins."""
    leader = read_motion(pair.leader, config.fps, config.scale, config.up)
    # A couple was captured in one world: what was found of the leader holds for the follower.
    found = leader.found
    follower = read_motion(pair.follower, config.fps, found.scale, found.up)
    _require_equal(pair, "frames", found.frames, follower.found.frames)
    _require_equal(pair, "frames per second", found.fps, follower.found.fps)
    for one in (leader, follower):
        log(one)
    duet = Duet(*_danced(leader, follower))
    return duet, leader.motion.frames - duet.leader.frames


def _danced(*takes: MotionFile) -> list[Motion]:
    """Return the motions without the T-pose that a conversion begins with, of one length."""
    motions = [take.without_lead_in() for take in takes]
    frames = min(motion.frames for motion in motions)
    return [motion.slice(motion.frames - frames) for motion in motions]


def _require_equal(pair: Pair, what: str, leader: float, follower: float) -> None:
    if leader != follower:
        raise InputError(
            f"{pair.leader} has {leader:g} {what} and {pair.follower} {follower:g}; "
            "a couple is captured together: give two files of one take"
        )


def _render_music(take: str, duet: Duet, style: Style, scratch: Path) -> tuple[Path, float]:
    """Write a track at the tempo of the leader's feet; return it and its beats per minute."""
    tempo = estimate_tempo_from_feet(duet.leader.joints, FPS)
    seed = int.from_bytes(take.encode(), "little") % 2**31  # every take has its own song
    samples = render_rhythm(
        tempo.bpm, GROOVES[style].metre, duet.seconds + 1 / FPS, style, seed, tempo.phase
    )
    path = scratch / f"{take}.wav"
    write_wav(path, samples, SAMPLE_RATE)
    return path, tempo.bpm


def _takes(folder: Path, pattern: str) -> dict[str, Path]:
    """Return take -> file for the files whose stem matches `pattern`."""
    stem = pattern
    for suffix in MOTION_SUFFIXES:
        stem = stem.removesuffix(suffix)
    if stem.count("*") != 1:
        raise InputError(f"the pattern {pattern!r} must have one *, which stands for the take")
    before, after = (re.escape(part) for part in stem.split("*"))
    found = re.compile(f"{before}(.+){after}")
    takes: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = found.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in MOTION_SUFFIXES:
            continue
        if match[1] in takes:
            raise InputError(f"{takes[match[1]]} and {path} are the same take; keep one of them")
        takes[match[1]] = path
    return takes


def _music_of(take: str, leader: Path, music: Path | None) -> Path | None:
    """Return the recording of a take: the one file, or the file named like the take."""
    if music is None or music.is_file():
        return music
    folder = require_folder(music, "the music")
    for stem in (take, leader.stem):
        for suffix in MUSIC_SUFFIXES:
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    raise InputError(
        f"{folder} has no music for the take {take!r}: wanted {take}{' or '.join(MUSIC_SUFFIXES)}; "
        "add it, or leave music out and it is rendered"
    )
