"""What dancers hear: each kind its rows, whole or cut, from a store or from a file."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.audio.bailando import FRAME_RATE, TEMPOGRAM, TOKEN_RATE, bailando_features
from duet_rl.audio.features import BEAT, MUSIC_DIMS, ONSET, load_audio, music_features_of
from duet_rl.audio.files import write_wav
from duet_rl.audio.synth import SAMPLE_RATE, render_rhythm
from duet_rl.datasets import hearing
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.hearing import HEARING_CHANNELS, HEARINGS, Hearing, hear, hear_song
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from tests.datasets.conftest import make_clip

FRAMES = 176  # 5.9 s
TOKEN = 4  # frames
each_kind = pytest.mark.parametrize("kind", HEARINGS)
each_heard = pytest.mark.parametrize("kind", [kind for kind in HEARINGS if kind != "duolando"])


@pytest.fixture(scope="module")
def wave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "salsa.wav"
    write_wav(path, render_rhythm(150, 4, FRAMES / 30, "salsa", seed=1), SAMPLE_RATE)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, wave: Path) -> DuetClip:
    """A clip that lies in a store with its sound."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    return DuetStore.create(folder, [make_clip("salsa", frames=FRAMES, audio=wave)]).clip("salsa")


@each_kind
def test_every_kind_gives_a_row_a_frame(clip: DuetClip, kind: Hearing) -> None:
    rows = hear(clip, kind)
    assert rows.shape == (FRAMES, HEARING_CHANNELS[kind]) and rows.isfinite().all()


@each_kind
def test_a_song_is_heard_as_the_clip_that_holds_it(
    clip: DuetClip, wave: Path, kind: Hearing
) -> None:
    song = hear_song(wave, kind)
    assert len(song) == FRAMES
    wanted = torch.from_numpy(music_features_of(wave))[:FRAMES]
    assert torch.equal(song, wanted if kind == "duolando" else hear(clip, kind))


def test_duolando_hears_the_music_of_the_clip(clip: DuetClip) -> None:
    assert torch.equal(hear(clip, "duolando"), clip.music)


@pytest.mark.parametrize("kind", ["bailando", "bailando_fixed"])
def test_the_frames_of_a_token_hear_one_row(clip: DuetClip, kind: Hearing) -> None:
    tokens = hear(clip, kind).unflatten(0, (-1, TOKEN))
    assert torch.equal(tokens, tokens[:, :1].expand_as(tokens))
    assert len(tokens[:, 0].unique(dim=0)) == FRAMES // TOKEN


def test_bailando_hears_the_rows_of_the_published_networks(clip: DuetClip, wave: Path) -> None:
    rows = hear(clip, "bailando")
    table = bailando_features(load_audio(wave, TOKEN_RATE), TOKEN_RATE, compat="0.8")
    np.testing.assert_array_equal(rows[::TOKEN], table[: FRAMES // TOKEN])
    assert not rows[:, ONSET : TEMPOGRAM.stop].any()  # its quirk: no onset, no beat, no tempogram


def test_the_mended_one_hears_the_beats_that_the_song_has(clip: DuetClip) -> None:
    beats = hear(clip, "bailando_fixed")[::TOKEN, BEAT]
    wanted = FRAMES / 30 * 150 / 60  # of 150 a minute
    assert set(beats.tolist()) == {0.0, 1.0}
    assert wanted - 4 <= beats.sum() <= wanted + 1  # the tracker starts late and stops early


def test_the_row_of_a_token_is_the_mean_of_its_frames_at_60_fps(clip: DuetClip, wave: Path) -> None:
    rows = hear(clip, "bailando_fixed")[::TOKEN].numpy()
    fine = bailando_features(load_audio(wave, FRAME_RATE), FRAME_RATE)[: 2 * FRAMES]
    means = fine.reshape(len(rows), -1, fine.shape[1]).mean(1)
    others = np.delete(np.arange(fine.shape[1]), BEAT)
    np.testing.assert_allclose(rows[:, others], means[:, others], atol=1e-4, rtol=1e-5)
    np.testing.assert_array_equal(rows[:, BEAT], means[:, BEAT] > 0)


def test_a_frame_of_bailando_pp_holds_two_rows_of_60_fps(clip: DuetClip, wave: Path) -> None:
    rows = hear(clip, "bailando_pp").reshape(2 * FRAMES, MUSIC_DIMS + 1)
    fine = bailando_features(load_audio(wave, FRAME_RATE), FRAME_RATE, compat="0.8")
    np.testing.assert_allclose(rows, fine[: 2 * FRAMES, : MUSIC_DIMS + 1], atol=1e-6)


@each_kind
def test_a_cut_hears_what_the_whole_clip_hears_there(clip: DuetClip, kind: Hearing) -> None:
    cut = clip.slice(8, 168).slice(32, 96)
    assert torch.equal(hear(cut, kind), hear(clip, kind)[40:104])


def test_a_stored_cut_still_knows_where_its_sound_begins(clip: DuetClip, tmp_path: Path) -> None:
    store = DuetStore.create(tmp_path / "cuts", [clip.slice(40, 104)])
    wanted = hear(clip, "bailando_fixed")[40:104]
    assert torch.equal(hear(store.clip("salsa"), "bailando_fixed"), wanted)


@each_kind
def test_more_frames_than_the_song_has_are_silent(wave: Path, kind: Hearing) -> None:
    longer = hear_song(wave, kind, FRAMES + 60)
    assert len(longer) == FRAMES + 60 and longer.isfinite().all()
    assert len(hear_song(wave, kind, 30)) == 30


@each_heard
def test_rows_are_kept_in_the_store_and_read_from_there(
    wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Hearing
) -> None:
    store = DuetStore.create(tmp_path / "s", [make_clip("salsa", frames=FRAMES, audio=wave)])
    first = hear(store.clip("salsa"), kind)
    monkeypatch.setattr(hearing, "load_audio", lambda *_: pytest.fail("heard twice"))
    assert torch.equal(hear(store.clip("salsa"), kind), first)
    assert DuetStore.open(tmp_path / "s").hash == store.hash


def test_damaged_rows_and_other_sound_are_heard_anew(
    wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuetStore.create(tmp_path / "s", [make_clip("salsa", frames=FRAMES, audio=wave)])
    clip = store.clip("salsa")
    first = hear(clip, "bailando_pp")
    (kept,) = (tmp_path / "s").rglob("*.npy")
    kept.write_bytes(kept.read_bytes()[:1000])
    assert torch.equal(hear(clip, "bailando_pp"), first)
    assert clip.audio is not None
    write_wav(clip.audio, render_rhythm(90, 3, FRAMES / 30, "waltz", seed=2), SAMPLE_RATE)
    assert not torch.equal(hear(clip, "bailando_pp"), first)


def test_nothing_is_left_beside_a_persons_own_music(wave: Path) -> None:
    before = sorted(wave.parent.rglob("*"))
    hear(make_clip("own", frames=FRAMES, audio=wave), "bailando")
    hear_song(wave, "bailando")
    assert sorted(wave.parent.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_store_to_read_only_is_heard_all_the_same(wave: Path, tmp_path: Path) -> None:
    store = DuetStore.create(tmp_path / "s", [make_clip("salsa", frames=FRAMES, audio=wave)])
    (tmp_path / "s" / "audio").chmod(0o555)
    assert len(hear(store.clip("salsa"), "bailando")) == FRAMES


def test_who_has_no_sound_is_told(wave: Path) -> None:
    mute = make_clip("mute", frames=FRAMES)
    assert torch.equal(hear(mute, "duolando"), mute.music)
    with pytest.raises(InputError, match="has no sound"):
        hear(mute, "bailando")


def test_sound_that_ends_before_the_dance_is_refused(wave: Path) -> None:
    long = make_clip("long", frames=FRAMES + 60, audio=wave)
    with pytest.raises(InputError, match=r"lasts 5\.9 s .* until 7\.9 s"):
        hear(long, "bailando_fixed")
