"""What words name: stores, runs, codecs, recorded dances and files; and what is refused."""

import shutil

import numpy as np
import pytest
import torch

from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.follower import dance_clip, load_follower
from duet_rl.mocap.motion_file import read_motion
from duet_rl.mocap.npz import write_npz
from duet_rl.tokenizers.codec import load_codec
from duet_rl.viewer.hall import open_hall
from duet_rl.viewer.takes import TRUTH
from duet_rl.viewer.tokens import batch_of
from tests.mocap.cmu import cmu_text


def test_a_store_shows_held_out_clips_first(place):
    hall = open_hall([str(place / "data")])
    assert hall.names == ("kept", "learned") and hall.split_of("kept") == "test"
    take = hall.take("kept")
    assert [couple.name for couple in hall.couples(take)] == [TRUTH]
    assert torch.equal(take.leader.joints, hall.store.clip("kept").duet.leader.joints)


def test_a_run_dances_as_generate_does_and_its_tokens_are_of_that_dance(place):
    hall = open_hall([f"ours={place / 'mine'}"], data=place / "data", seed=3)
    take, (run,) = hall.take("kept"), hall.runs
    couple = hall.danced(take, run)
    follower = load_follower(place / "mine" / "follower")
    wanted = dance_clip(follower, take.clip, seed=3, sampling=follower.usual_sampling)
    assert couple.name == "ours" and torch.equal(couple.follower.joints, wanted.joints)
    decoded = follower.codec.decode(
        couple.tokens.tokens[None], batch_of(take.leader, follower.codec)
    )
    assert torch.equal(decoded.joints[0], wanted.joints)
    true = hall.couples(take)[0]
    assert true.tokens is not None, "the run's codec writes the true partner, too"


def test_a_whole_run_alone_shows_its_follower_before_and_after(place, tmp_path):
    for part in ("follower", "rl"):
        shutil.copytree(place / "mine" / "follower", tmp_path / "whole" / part)
    shutil.copytree(place / "data", tmp_path / "whole" / "data")
    alone = open_hall([str(tmp_path / "whole")])
    assert [run.name for run in alone.runs] == ["pretrained", "RL"]
    beside = open_hall([str(tmp_path / "whole"), f"other={place / 'mine'}"])
    assert [run.name for run in beside.runs] == ["whole", "other"]


def test_a_codec_shows_what_it_keeps_of_the_true_partner(place):
    hall = open_hall([str(place / "readable")], data=place / "data")
    take = hall.take("kept")
    couple = hall.danced(take, hall.runs[0])
    codec = load_codec(place / "readable")
    tokens = codec.encode(batch_of(take.leader, codec), batch_of(take.followers[TRUTH], codec))
    assert torch.equal(couple.tokens.tokens, tokens[0])


def test_recorded_dances_are_shown_where_there_are_any(place, tmp_path):
    follower = DuetStore.open(place / "data").clip("learned").duet.follower
    write_npz(tmp_path / "learned.npz", follower)
    hall = open_hall([f"theirs={tmp_path}", str(place / "data")])
    assert hall.danced(hall.take("kept"), hall.runs[0]) is None
    shown = hall.danced(hall.take("learned"), hall.runs[0])
    np.testing.assert_allclose(shown.follower.joints, follower.joints, atol=1e-4)


def test_files_make_one_take(place):
    hall = open_hall([str(place / "take.bvh"), str(place / "short.bvh")])
    take = hall.take(hall.names[0])
    assert hall.names == ("take.bvh + short.bvh",) and take.frames == 30
    assert list(take.followers) == ["short.bvh"]


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        (["nowhere"], {}, "there is no nowhere"),
        ([], {}, "nothing to show"),
        (["{}/song.wav"], {}, "is no motion; wanted .bvh"),
        (["{}/far/away"], {}, "no store was named for"),
        (["{}/data", "{}/take.bvh"], {}, "not shown together"),
        (["{}/data", "{}/data"], {}, "two of these are called 'data'"),
        (["{}/data"], {"music": "{}/song.wav"}, "--music is for files"),
        (["{}/mine"], {"data": "{}/readable"}, "is no store"),
        (["{}/data", "{}/empty"], {}, "neither a follower"),
        (["{}/take.bvh"], {"music": "{}/gone.wav"}, "gone.wav"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(place, words, options, told):
    with pytest.raises(InputError) as refused:
        open_hall(
            [word.format(place) for word in words],
            **{key: type(place)(value.format(place)) for key, value in options.items()},
        )
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_a_take_is_shown_from_the_frame_that_its_dance_and_music_began_with(tmp_path):
    (tmp_path / "cmu.bvh").write_text(cmu_text(frames=80, sway=0.1))
    read = read_motion(tmp_path / "cmu.bvh")
    assert read.found.lead_in > 0
    write_npz(tmp_path / "partner.npz", read.motion)
    files = [str(tmp_path / name) for name in ("cmu.bvh", "partner.npz")]
    hall = open_hall(files)
    take = hall.take(hall.names[0])
    (partner,) = take.followers.values()
    torch.testing.assert_close(take.leader.joints, partner.joints, atol=1e-4, rtol=0)
