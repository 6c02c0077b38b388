"""Videos and sounds come back as they went in: number, rate, length, place in time."""

import errno
import io
from pathlib import Path

import av
import numpy as np
import pytest

from duet_rl.errors import InputError
from duet_rl.generate.media import SAMPLE_RATE, VideoConfig, mp3_of, sound_of, write_video

SMALL = VideoConfig(width=64, height=48)
GREEN = (0, 255, 0)


def pictures(count: int) -> list[np.ndarray]:
    """Green pictures, the last one white."""
    frames = [np.full((48, 64, 3), GREEN, np.uint8) for _ in range(count - 1)]
    return [*frames, np.full((48, 64, 3), 255, np.uint8)]


def onset(samples: np.ndarray) -> float:
    """Return when the sound begins, seconds."""
    return int(np.argmax(np.abs(samples) > 0.1)) / SAMPLE_RATE


def decoded(file: Path | io.BytesIO) -> np.ndarray:
    with av.open(file) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames)


@pytest.mark.parametrize("fps", [30.0, 29.97, 60.0])
def test_a_video_has_every_picture_at_its_time_and_sound_as_long(tmp_path, tone, fps):
    path = tmp_path / "dance.mp4"
    write_video(path, iter(pictures(45)), fps, sound_of(tone, 45 / fps), SMALL)
    with av.open(path) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(video.average_rate) == pytest.approx(fps, rel=1e-4)
        assert float(video.duration * video.time_base) == pytest.approx(45 / fps, abs=0.01)
        assert audio.codec_context.name == "aac"
        assert float(audio.duration * audio.time_base) == pytest.approx(45 / fps, abs=0.05)
    assert len(shown) == 45
    assert np.abs(shown[0].astype(int) - GREEN).max() < 30 and shown[-1].min() > 220
    assert onset(decoded(path)) == pytest.approx(0.5, abs=0.03)


def test_a_video_plays_while_it_is_still_loading(tmp_path):
    write_video(tmp_path / "dance.mp4", iter(pictures(3)), 30, None, SMALL)
    content = (tmp_path / "dance.mp4").read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat"), "what a player needs comes first"


def test_a_video_may_be_silent(tmp_path):
    write_video(tmp_path / "dance.mp4", iter(pictures(3)), 30, None, SMALL)
    with av.open(tmp_path / "dance.mp4") as container:
        assert not container.streams.audio


@pytest.mark.parametrize("seconds", [1.2, 3.5])
def test_a_sound_is_cut_or_filled_up_to_the_dance(tone, seconds):
    sound = sound_of(tone, seconds)
    assert len(sound) == round(seconds * SAMPLE_RATE)
    assert onset(sound) == pytest.approx(0.5, abs=0.002)
    assert (sound[round(2.05 * SAMPLE_RATE) :] == 0).all()


def test_the_page_s_sound_starts_with_the_dance_and_ends_with_it(tone):
    content = mp3_of(sound_of(tone, 1.5))
    samples = decoded(io.BytesIO(content))
    assert onset(samples) == pytest.approx(0.5, abs=0.03)
    assert len(samples) / SAMPLE_RATE == pytest.approx(1.5, abs=0.06)
    assert len(content) < 25_000  # bytes


def test_odd_sizes_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"65x48.*even"):
        write_video(
            tmp_path / "dance.mp4", iter(pictures(3)), 30, None, VideoConfig(width=65, height=48)
        )
    assert not list(tmp_path.iterdir())


def test_a_failure_on_the_way_leaves_no_file(tmp_path):
    def broken():
        yield pictures(2)[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_video(tmp_path / "dance.mp4", broken(), 30, None, SMALL)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_by_the_name_of_the_video(tmp_path):
    def on_a_full_disk():
        yield pictures(2)[0]
        raise av.error.OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"dance\.mp4") as caught:
        write_video(tmp_path / "dance.mp4", on_a_full_disk(), 30, None, SMALL)
    assert caught.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())
