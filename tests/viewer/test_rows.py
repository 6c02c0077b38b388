"""Rows and words say what the store says: tokens, beats, holds, feet."""

import torch

from duet_rl.datasets.solo import as_soloist
from duet_rl.datasets.store import DuetStore
from duet_rl.tokenizers.codec import load_codec
from duet_rl.viewer.takes import TRUE_DANCER, TRUTH, couple_of, take_of_clip, take_of_files
from duet_rl.viewer.timeline import ROW_HEIGHT, WINDOW, picture_of, rows_to_draw
from duet_rl.viewer.tokens import batch_of, colours_of, encoded
from duet_rl.viewer.words import moment_of, tokens_of
from tests.couple import slide, stepping_couple
from tests.viewer.conftest import FRAMES


def seen(place, codec=None):
    take = take_of_clip(DuetStore.open(place / "data").clip("kept"))
    follower = take.followers[TRUTH]
    rows = None if codec is None else encoded(codec, take.leader, follower)
    return take, couple_of(take, TRUTH, follower, rows)


def test_tokens_are_those_of_the_codec_and_equal_classes_look_alike(place):
    codec = load_codec(place / "mine" / "follower")
    take, couple = seen(place, codec)
    rows = couple.tokens
    duet = take.clip.duet
    wanted = codec.encode(batch_of(duet.leader, codec), batch_of(duet.follower, codec))[0]
    assert torch.equal(rows.tokens, wanted)
    assert rows.at(7) == wanted[1].tolist() and rows.at(FRAMES + 9) == wanted[-1].tolist()
    colours = colours_of(rows)
    for stream in range(len(codec.spec)):
        for token in wanted[:, stream].unique():
            alike = colours[wanted[:, stream].numpy() == int(token), stream]
            assert (alike == alike[0]).all()


def test_who_dances_alone_is_no_partner_and_follows_nobody(place):
    clip = DuetStore.open(place / "data").clip("kept")
    take = take_of_clip(as_soloist(clip))
    assert list(take.followers) == [TRUE_DANCER] and take.leader is None
    couple = couple_of(take, TRUE_DANCER, take.followers[TRUE_DANCER])
    assert "left foot" in rows_to_draw(couple, take.beats).names
    told = moment_of(take, couple, 3)
    assert "feet" in told and "follower" not in told and "hands" not in told


def test_the_picture_has_the_tokens_of_the_moment_in_the_middle(place):
    take, couple = seen(place, load_codec(place / "mine" / "follower"))
    rows = rows_to_draw(couple, take.beats)
    frame = 30  # inside token 7
    picture = picture_of(rows, frame)
    middle = picture.shape[1] - round(WINDOW * 30 / 2) * 3
    colours = colours_of(couple.tokens)
    for stream, name in enumerate(couple.tokens.spec.names):
        height = rows.names.index(name) * ROW_HEIGHT + ROW_HEIGHT // 2
        assert picture[height, middle + 4].tolist() == colours[frame // 4, stream].tolist()


def test_beats_are_dark_where_the_music_has_them(place):
    take, couple = seen(place)
    row = rows_to_draw(couple, take.beats).colours[0]
    dark = (row < 100).all(-1)
    assert dark[take.beats.numpy()].all() and dark.sum() <= 2 * int(take.beats.sum())


def test_a_hold_is_told_as_due_free_or_more_than_due(place):
    take, couple = seen(place)
    assert "left holds, right holds<" in moment_of(take, couple, 4)
    late = FRAMES // 2 + 6
    assert couple.held[late, 1] and "right holds, not due" in moment_of(take, couple, late)
    away = take.followers[TRUTH].moved((3.0, 0.0, 0.0))
    assert "left lets go of a hold due, right free" in moment_of(
        take, couple_of(take, "away", away), late
    )


def test_feet_that_are_dragged_are_said_to_slide(place):
    take, couple = seen(place)
    true = couple.slides[:, 2:][couple.planted[:, 2:]].float().mean()
    follower = take.followers[TRUTH]
    joints = slide(follower.joints[None], 0.5)[0]
    dragged = couple_of(
        take, "dragged", type(follower)(joints, follower.rotations, follower.skeleton, follower.fps)
    )
    slid = dragged.slides[1:, 2:][dragged.planted[1:, 2:]].float().mean()
    assert true < 0.2 and slid > 0.9
    assert "slides" in moment_of(take, dragged, 10)


def test_readable_tokens_are_told_in_words(place):
    codec = load_codec(place / "readable")
    _, couple = seen(place, codec)
    frame = 12
    for words in codec.catalogue.read(couple.tokens.tokens[frame // 4, : codec.groups]):
        assert words in tokens_of(couple, frame)


def test_names_cannot_become_elements_of_the_page(place):
    take, _ = seen(place)
    nasty = take_of_files({"<img onerror=x>": take.leader, "b": take.leader})
    assert "<img" not in tokens_of(couple_of(nasty, "<img onerror=x>", None), 0)
    from duet_rl.viewer.words import line

    assert "<img" not in line(nasty.facts)


def test_files_are_cut_to_the_shortest_and_the_first_leads():
    long, short = stepping_couple(2.0).leader, stepping_couple(1.0, fps=60).follower
    take = take_of_files({"a": long, "b": short})
    assert take.frames == 30 and "a leads" in take.facts and "shortest" in take.facts
    assert torch.equal(take.leader.joints, long.joints[:30])
    torch.testing.assert_close(take.followers["b"].joints, short.joints[::2])
