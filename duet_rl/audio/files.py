"""Audio files: reading whole ones, refusing broken ones, writing."""

import io
import re
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from duet_rl.errors import InputError
from duet_rl.files import atomic_path, require_file

UNKNOWN_SIZE = 0xFFFFFF00  # bytes; a streamed WAV states this or more, meaning "until the end"
MINIMUM_SECONDS = 0.5  # s; a shorter sound has no rhythm to dance to

_BLOCK = 1 << 20  # samples of every channel that are held at once

_OGG_CAPTURE = b"OggS"
_OGG_HEADER = 27  # bytes before a page's segment table
_OGG_LAST_PAGE = 0x04  # bit of a page's type byte (RFC 3533, section 6)


def read_audio(path: Path | str) -> tuple[Float[np.ndarray, "samples"], int]:
    """Return the samples of a WAV, OGG, MP3 or FLAC file, mixed to mono, and their rate in Hz.

    Returns:
        Samples in [-1, 1] (float32), and samples per second.

    Raises:
        InputError: the file is missing, corrupt, truncated, too short, or holds NaN.
    """
    path = require_file(path, "the music")
    content = path.read_bytes()
    if not content:
        raise InputError(f"{path} is empty; give a WAV, OGG, MP3 or FLAC file")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            samples = _mixed(file)
            rate, stated, log = file.samplerate, file.frames, file.extra_info
    except soundfile.LibsndfileError as error:
        why = error.error_string.strip().rstrip(".")
        raise InputError(
            f"{path} cannot be read as audio ({why}); give a whole WAV, OGG, MP3 or FLAC file"
        ) from error
    if len(samples) < stated or _wav_is_cut(log) or _ogg_is_cut(content):
        raise InputError(
            f"{path} is cut off after {len(samples) / rate:.1f} s of sound; give the whole file"
        )
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise InputError(f"{path} has {bad} samples that are not numbers; export it again")
    if len(samples) < MINIMUM_SECONDS * rate:
        raise InputError(
            f"{path} lasts {len(samples) / rate:.2f} s; at least {MINIMUM_SECONDS} s are wanted"
        )
    return samples, rate


def write_wav(path: Path | str, samples: Float[np.ndarray, "samples"], sample_rate: int) -> None:
    """Write mono samples in [-1, 1] as a 16-bit WAV file, whole or not at all."""
    with atomic_path(path) as temporary:
        soundfile.write(temporary, samples, sample_rate, subtype="PCM_16", format="WAV")


def _mixed(file: soundfile.SoundFile) -> Float[np.ndarray, "samples"]:
    """Return all channels mixed to one, without holding them all at once."""
    samples, read = np.empty(file.frames, dtype=np.float32), 0
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        samples[read : read + len(block)] = block.mean(axis=1)
        read += len(block)
    return samples[:read]


def _wav_is_cut(log: str) -> bool:
    """Return whether libsndfile's log says that a WAV's data chunk is longer than the file."""
    stated = re.search(r"^data : (\d+) \(should be (\d+)\)", log, flags=re.MULTILINE)
    if stated is None:
        return False
    promised, found = int(stated[1]), int(stated[2])
    return found < promised < UNKNOWN_SIZE


def _ogg_is_cut(content: bytes) -> bool:
    """Return whether an Ogg stream lacks its last page, or the end of it."""
    if not content.startswith(_OGG_CAPTURE):
        return False
    page = content[content.rfind(_OGG_CAPTURE) :]
    if len(page) < _OGG_HEADER or not page[5] & _OGG_LAST_PAGE:
        return True
    segments = page[26]
    body = sum(page[_OGG_HEADER : _OGG_HEADER + segments])
    return len(page) < _OGG_HEADER + segments + body
