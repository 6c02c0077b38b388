"""Sound and video files: a picture a frame with its music as MP4, a sound as MP3."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float, UInt8

from duet_rl.audio.files import read_audio
from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.files import atomic_path

SAMPLE_RATE = 44_100  # Hz of every sound that is written
MP3_BIT_RATE = 96_000  # bit/s; mono
AAC_BIT_RATE = 128_000  # bit/s; mono
_LONGEST_FRACTION = 1001  # denominators up to that of 29.97 fps = 30000 / 1001
_STREAMED = {"movflags": "+faststart"}  # a browser plays it while it is still loading
_CHUNK_SECONDS = 1.0  # of sound that is handed to the encoder at once


class VideoConfig(Config):
    """How videos are written."""

    width: int = 960  # pixels, even
    height: int = 540  # pixels, even
    quality: int = 21  # x264's constant rate factor: 18 looks lossless, 28 is small
    speed: str = "veryfast"  # x264's preset


def sound_of(path: Path | str, seconds: float, start: float = 0.0) -> Float[np.ndarray, "samples"]:
    """Return a sound file as mono samples at `SAMPLE_RATE`, cut or filled up to `seconds`.

    Args:
        path: of the file.
        seconds: how much of it.
        start: second of the file at which that begins.

    Raises:
        InputError: the file is missing or broken.
    """
    samples, rate = read_audio(path)
    before = round(start * SAMPLE_RATE)
    sound, filled = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32), 0
    for chunk in _resampled(samples, rate):  # a second at a time: all at once takes ten times more
        left_out = min(before, len(chunk))
        before -= left_out
        taken = chunk[left_out : left_out + len(sound) - filled]
        np.clip(taken, -1, 1, out=sound[filled : filled + len(taken)])
        filled += len(taken)
        if filled == len(sound):
            break
    return sound


def _resampled(samples: Float[np.ndarray, "samples"], rate: int) -> Iterator[np.ndarray]:
    """Yield samples at `SAMPLE_RATE`, piece by piece."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    step = round(_CHUNK_SECONDS * rate)
    for start in range(0, len(samples), step):
        frame = _audio_frame(samples[start : start + step], rate, "flt")
        frame.pts, frame.time_base = start, Fraction(1, rate)
        for chunk in resampler.resample(frame):
            yield chunk.to_ndarray()[0]
    for chunk in resampler.resample(None):
        yield chunk.to_ndarray()[0]


def mp3_of(sound: Float[np.ndarray, "samples"]) -> bytes:
    """Return mono samples at `SAMPLE_RATE` as an MP3 file, which every browser plays."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = _sound_stream(container, "libmp3lame", MP3_BIT_RATE)
        for packet in _encoded_sound(stream, sound):
            container.mux(packet)
    return buffer.getvalue()


def write_video(
    path: Path | str,
    pictures: Iterator[UInt8[np.ndarray, "H W 3"]],
    fps: float,
    sound: Float[np.ndarray, "samples"] | None = None,
    config: VideoConfig | None = None,
) -> None:
    """Write pictures and sound as MP4 (H.264, AAC), whole or not at all.

    Args:
        path: where.
        pictures: red, green, blue, each of the configured size.
        fps: pictures per second.
        sound: mono samples at `SAMPLE_RATE`, as long as the pictures; no sound track if None.
        config: size and quality.

    Raises:
        InputError: the size is odd, which H.264 cannot store.
    """
    config = config or VideoConfig()
    if config.width % 2 or config.height % 2:
        raise InputError(
            f"a video of {config.width}x{config.height} pixels; width and height must be even"
        )
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options=_STREAMED) as container,
    ):
        rate = Fraction(fps).limit_denominator(_LONGEST_FRACTION)
        video: Any = container.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = config.width, config.height, "yuv420p"
        video.options = {"crf": str(config.quality), "preset": config.speed}
        audio = None if sound is None else _sound_stream(container, "aac", AAC_BIT_RATE)
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for packet in _encoded_sound(audio, sound):
                container.mux(packet)


def _sound_stream(container: Any, codec: str, bit_rate: int) -> Any:
    stream = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
    stream.bit_rate = bit_rate
    return stream


def _encoded_sound(stream: Any, sound: np.ndarray) -> Iterator[Any]:
    step = round(_CHUNK_SECONDS * SAMPLE_RATE)
    for start in range(0, len(sound), step):
        frame = _audio_frame(sound[start : start + step], SAMPLE_RATE, "fltp")
        frame.pts, frame.time_base = start, Fraction(1, SAMPLE_RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _audio_frame(samples: np.ndarray, rate: int, layout: str) -> av.AudioFrame:
    plane = np.ascontiguousarray(samples, dtype=np.float32)[None]
    frame = av.AudioFrame.from_ndarray(plane, format=layout, layout="mono")
    frame.sample_rate = rate
    return frame
