"""What a dancer hears of a clip's music: the features of one kind of network or another."""

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.bailando import (
    BAILANDO_DIMS,
    FRAME_RATE,
    PLUS_PLUS_DIMS,
    TOKEN_RATE,
    bailando_features,
    paired_features,
    pooled_features,
)
from duet_rl.audio.features import MUSIC_DIMS, load_audio, music_features
from duet_rl.audio.provenance import music_facts
from duet_rl.audio.recipes import Compat, MusicConfig
from duet_rl.audio.spectra import SAMPLE_RATE
from duet_rl.datasets.clip import FPS, FRAME_MULTIPLE, DuetClip
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.store_files import AUDIO, INDEX
from duet_rl.errors import InputError
from duet_rl.files import atomic_path, sha256_of
from duet_rl.models.bailando import Hearing

HEARINGS: tuple[Hearing, ...] = get_args(Hearing)
HEARING_CHANNELS: dict[Hearing, int] = {
    "duolando": MUSIC_DIMS,
    "bailando": BAILANDO_DIMS,
    "bailando_fixed": BAILANDO_DIMS,
    "bailando_pp": 2 * PLUS_PLUS_DIMS,
}

_COMPATS: dict[Hearing, Compat] = {
    "bailando": "0.8",
    "bailando_fixed": "0.11",
    "bailando_pp": "0.8",
}
_RATES: dict[Hearing, int] = {  # Hz
    "duolando": SAMPLE_RATE,
    "bailando": TOKEN_RATE,
    "bailando_fixed": FRAME_RATE,
    "bailando_pp": FRAME_RATE,
}
FRAMES_PER_ROW: dict[Hearing, int] = {  # of 30 fps
    "duolando": 1,
    "bailando": FRAME_MULTIPLE,
    "bailando_fixed": FRAME_MULTIPLE,
    "bailando_pp": 1,
}
_HEARD = "heard"  # folder of kept features, in that of the audio of a store
_GENERATION = 1  # raised when the same sound gives other rows, so that they are made anew

logger = logging.getLogger(__name__)


def hear(clip: DuetClip, kind: Hearing) -> Float[Tensor, "T C"]:
    """Return what a network of this kind hears of a clip, one row a frame.

    Rows of whole tokens are repeated for each of their frames. Of a clip that lies in a store the
    rows are kept there, beside its sound.

    Args:
        clip: `duolando` hears its music, the others its sound.
        kind: which features.

    Returns:
        `(clip.frames, HEARING_CHANNELS[kind])`, raw (not normalised).

    Raises:
        InputError: there is no such kind, or the clip has no sound and the kind hears sound.
    """
    _known(kind)
    if kind == "duolando":
        return clip.music
    if clip.audio is None:
        raise InputError(
            f"clip {clip.name} has no sound, only the features of Duolando; to hear as {kind} it "
            "needs its audio file: prepare it from takes with audio, or train a network that "
            "hears as duolando"
        )
    rows = _kept_rows(clip.audio, kind)
    heard, wanted = len(rows) * FRAMES_PER_ROW[kind], clip.audio_start + clip.frames
    if heard + FRAME_MULTIPLE < wanted:
        raise InputError(
            f"{clip.audio} lasts {heard / FPS:.1f} s and clip {clip.name} is danced until "
            f"{wanted / FPS:.1f} s of it; give the whole music and prepare the clip again"
        )
    return _frames_of(rows, kind, clip.audio_start, clip.frames)


def require_sound(store: DuetStore, kind: Hearing, splits: Sequence[Split]) -> None:
    """Make sure that a network of this kind can hear all clips of some splits.

    Raises:
        InputError: the kind hears sound, and clips have none.
    """
    records = [record for split in splits for record in store.records(split)]
    mute = [record.name for record in records if record.audio is None]
    if kind != "duolando" and mute:
        raise InputError(
            f"{len(mute)} of {len(records)} clips of {store.path} have no sound ({mute[0]} is one),"
            f" which a network that hears as {kind} needs: prepare them from takes with audio, or "
            "set follower.gpt.hears=duolando"
        )


def heard_near(clip: DuetClip, kind: Hearing, frame: int) -> int:
    """Return the frame from which on a dance that begins at `frame` of a clip hears the clip.

    It is the beginning of the nearest row, so that rows of whole tokens begin with the dance's own
    tokens, as they do for a cut of the clip: `hear(clip.slice(frame, ...))` hears the same.
    """
    each, start = FRAMES_PER_ROW[kind], clip.audio_start
    return (round((start + frame) / each) - round(start / each)) * each


def hear_song(
    path: Path | str, kind: Hearing, frames: int | None = None, compat: Compat = "0.11"
) -> Float[Tensor, "T C"]:
    """Return what a network of this kind hears of a music file, 30 rows a second.

    Args:
        path: a WAV, OGG, MP3 or FLAC file.
        kind: which features.
        frames: how many rows, with silence after the end of a shorter song; by default as many
            whole tokens as the song has.
        compat: for `duolando`, the librosa of the features that the network learned from; the
            other kinds have their own.

    Raises:
        InputError: there is no such kind, or the file cannot be read.
    """
    _known(kind)
    rate = _RATES[kind]
    samples = load_audio(path, rate)
    rows = _rows(samples, kind, frames, compat if kind == "duolando" else _COMPATS[kind])
    whole = (1 + round(len(samples) * FPS) // rate) // FRAME_MULTIPLE * FRAME_MULTIPLE
    return _frames_of(rows, kind, 0, whole if frames is None else frames)


def _known(kind: str) -> None:
    if kind not in HEARINGS:
        raise InputError(f"nobody hears as {kind!r}; the kinds are {', '.join(HEARINGS)}")


def _rows(
    samples: Float[np.ndarray, "samples"], kind: Hearing, frames: int | None, compat: Compat
) -> Float[Tensor, "rows C"]:
    """Return the rows of a whole track, one for every `FRAMES_PER_ROW` frames of 30 fps."""
    count = None if frames is None else math.ceil(frames / FRAMES_PER_ROW[kind])
    if kind == "duolando":
        rows = music_features(samples, count, compat)
    elif kind == "bailando":
        rows = bailando_features(samples, TOKEN_RATE, count, compat)
    elif kind == "bailando_fixed":
        rows = pooled_features(samples, count, compat)
    else:
        rows = paired_features(samples, count, compat)
    return torch.from_numpy(rows)


def _frames_of(rows: Tensor, kind: Hearing, start: int, frames: int) -> Float[Tensor, "T C"]:
    """Return one row for each of `frames` frames of 30 fps, the first at frame `start`.

    A cut that does not begin with a token of the song takes the tokens that begin nearest.
    """
    each = FRAMES_PER_ROW[kind]
    first, last = round(start / each), len(rows) - 1
    index = first + torch.arange(frames) // each
    return rows[index.clamp_max(last)]


def _kept_rows(audio: Path, kind: Hearing) -> Float[Tensor, "rows C"]:
    """Return the rows of a sound file; where it is that of a store, they are read or left there."""
    folder = audio.parent
    if folder.name != AUDIO or not (folder.parent / INDEX).is_file():
        return _rows(load_audio(audio, _RATES[kind]), kind, None, _COMPATS[kind])
    kept = folder / _HEARD / f"{kind}-{_key(audio, kind)}.npy"
    if (rows := _read(kept, kind)) is not None:
        return rows
    rows = _rows(load_audio(audio, _RATES[kind]), kind, None, _COMPATS[kind])
    try:
        with atomic_path(kept) as temporary:
            np.save(temporary, rows.numpy())
    except OSError as error:  # a store may be there to read only
        logger.info("%s cannot be kept (%s)", kept, error.strerror)
    return rows


def _key(audio: Path, kind: Hearing) -> str:
    """Return a hash of all that the rows depend on: the sound and the extractor."""
    facts = music_facts(MusicConfig(compat=_COMPATS[kind]))
    words = [_GENERATION, kind, _RATES[kind], facts, sha256_of(audio)]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:32]


def _read(kept: Path, kind: Hearing) -> Float[Tensor, "rows C"] | None:
    """Return the rows in a file, None if there are none, or it is damaged."""
    try:
        rows = np.load(kept, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = rows.ndim == 2 and rows.shape[1] == HEARING_CHANNELS[kind] and rows.dtype == np.float32
    return torch.from_numpy(rows) if fits and np.isfinite(rows).all() else None
