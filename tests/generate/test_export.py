"""The suffix decides what is written, and nothing is ever half written."""

import av
import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.generate import export
from duet_rl.generate.media import VideoConfig
from duet_rl.mocap.read import read_motion

SMALL = VideoConfig(width=96, height=64)


@pytest.mark.parametrize("suffix", [".npz", ".bvh"])
def test_a_motion_file_of_a_couple_holds_the_follower(tmp_path, couple, suffix):
    export.write(couple, tmp_path / f"dance{suffix}")
    back = read_motion(tmp_path / f"dance{suffix}")
    assert back.frames == couple.frames
    torch.testing.assert_close(back.joints, couple.follower.joints, atol=1e-4, rtol=0)


def test_a_video_has_every_frame_and_the_music(tmp_path, couple, tone):
    export.write_mp4(couple, tmp_path / "dance.mp4", tone, SMALL)
    with av.open(tmp_path / "dance.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == couple.frames
        assert container.streams.video[0].average_rate == 30
        assert container.streams.audio


def test_a_page_is_written_for_a_couple_and_for_one_dancer(tmp_path, couple, tone):
    export.write(couple, tmp_path / "couple.html", tone)
    export.write(couple.leader, tmp_path / "alone.HTML")
    assert "dancer" in (tmp_path / "alone.HTML").read_text()
    assert len((tmp_path / "couple.html").read_bytes()) < 1_500_000


@pytest.mark.parametrize("name", ["dance.fbx", "dance"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, couple, name):
    with pytest.raises(InputError, match=r"\.npz, \.bvh, \.glb, .*\.mp4, \.html"):
        export.write(couple, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dance.mp4", "dance.html"])
def test_broken_music_leaves_the_old_file(tmp_path, couple, name):
    (tmp_path / name).write_text("old")
    (tmp_path / "music.ogg").write_bytes(b"no music")
    with pytest.raises(InputError, match=r"music\.ogg"):
        export.write(couple, tmp_path / name, tmp_path / "music.ogg")
    assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
