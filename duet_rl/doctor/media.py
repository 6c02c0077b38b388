"""Checks of sound and video: a second of each is written and read again."""

import tempfile
from pathlib import Path

from duet_rl.doctor.findings import Finding
from duet_rl.errors import InputError

AUDIO = ("wav", "flac", "ogg", "mp3")
_RATE = 22_050  # Hz
_SECONDS, _HERTZ = 1.0, 440.0
_WIDTH, _HEIGHT, _FPS = 64, 48, 15
_INSTALL_AUDIO = "pip install --upgrade soundfile, which has libsndfile 1.1 or newer with it"
_INSTALL_VIDEO = "pip install --force-reinstall av, which has FFmpeg with x264 and AAC with it"


def check_audio(kind: str) -> Finding:
    """Whether music of a kind can be read.

    Args:
        kind: wav, flac, ogg or mp3.
    """
    import numpy as np
    import soundfile

    from duet_rl.audio.files import read_audio

    name = f"audio: {kind}"
    tone = np.sin(2 * np.pi * _HERTZ * np.arange(round(_RATE * _SECONDS)) / _RATE)
    needed = ("prepare", "generate") if kind == "wav" else (f"music in .{kind} files",)
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"tone.{kind}"
            soundfile.write(file, tone.astype(np.float32) / 2, _RATE)
            samples, rate = read_audio(file)
    except (InputError, soundfile.LibsndfileError, ValueError, OSError) as error:
        why = " ".join(str(error).split())
        return Finding(
            name, "missing", f"cannot be written and read ({why})", needed, _INSTALL_AUDIO
        )
    if abs(len(samples) / rate - _SECONDS) > _SECONDS / 5 or not samples.any():
        found = f"{_SECONDS:g} s of sound came back as {len(samples) / rate:.2f} s"
        return Finding(name, "missing", found, needed, _INSTALL_AUDIO)
    return Finding(name, "ok", "can be read")


def check_video() -> Finding:
    """Whether videos can be made: H.264 pictures with AAC sound."""
    import numpy as np

    needed = ("generate --out x.mp4", "demo")
    try:
        import av

        from duet_rl.generate.media import SAMPLE_RATE, VideoConfig, write_video

        picture = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
        sound = np.zeros(round(SAMPLE_RATE * _SECONDS), np.float32)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "second.mp4"
            config = VideoConfig(width=_WIDTH, height=_HEIGHT)
            write_video(file, iter([picture] * _FPS), float(_FPS), sound, config)
            with av.open(str(file)) as video:
                frames = sum(1 for _ in video.decode(video=0))
    except (ImportError, OSError, ValueError) as error:  # PyAV's errors are of both kinds
        why = " ".join(str(error).split())
        return Finding("video", "missing", f"H.264 with AAC: {why}", needed, _INSTALL_VIDEO)
    if frames != _FPS:
        return Finding(
            "video", "missing", f"{_FPS} pictures came back as {frames}", needed, _INSTALL_VIDEO
        )
    return Finding("video", "ok", "H.264 with AAC")
