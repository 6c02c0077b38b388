"""The camera goes with the couple and keeps all of the dance in the picture."""

import numpy as np

from duet_rl.generate.render import pictures_of

WIDTH, HEIGHT = 160, 90


def coloured(picture: np.ndarray) -> np.ndarray:
    """Return the rows and columns of strongly coloured pixels, `(n, 2)`."""
    return np.argwhere(np.ptp(picture.astype(int), axis=-1) > 70)


def test_there_is_one_picture_a_frame_with_the_dancers_inside(couple):
    pictures = list(pictures_of(couple, WIDTH, HEIGHT))
    assert len(pictures) == couple.frames
    for picture in pictures:
        assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
        low, high = coloured(picture).min(axis=0), coloured(picture).max(axis=0)
        assert (low > 2).all() and (high < (HEIGHT - 3, WIDTH - 3)).all()


def test_a_couple_that_travels_stays_in_the_picture_and_as_large(couple):
    step = couple.slice(0, 1)
    here = coloured(next(pictures_of(step, WIDTH, HEIGHT)))
    there = coloured(next(pictures_of(step.moved((5.0, 0.0, -3.0)), WIDTH, HEIGHT)))
    np.testing.assert_allclose(np.ptp(here, axis=0), np.ptp(there, axis=0), atol=1)
    np.testing.assert_allclose(here.mean(axis=0), there.mean(axis=0), atol=1)


def test_one_dancer_alone_is_drawn_in_the_leader_s_colour(couple):
    picture = next(pictures_of(couple.leader, WIDTH, HEIGHT)).astype(int)
    rows, columns = coloured(picture).T
    assert len(rows) > 50
    assert (picture[rows, columns, 2] > picture[rows, columns, 0]).all()


def test_names_are_written_only_where_there_are_names(couple):
    plain = next(pictures_of(couple, 320, 180))
    named = next(pictures_of(couple, 320, 180, ("leader", "follower")))
    changed = np.argwhere((plain != named).any(axis=-1))
    assert len(changed) > 50 and changed[:, 0].max() < 30
