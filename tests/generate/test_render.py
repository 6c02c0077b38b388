"""The camera goes with the couple and keeps all of the dance in the picture."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch

from duet_rl.body.motion import Duet
from duet_rl.drawing.camera import following
from duet_rl.generate.render import pictures_of
from tests.couple import stepping_couple

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


def parting(couple: Duet, metres: float) -> list[np.ndarray]:
    """Return both dancers' joints; the follower leaps away in one frame and back in another."""
    joints = couple.follower.joints.clone()
    joints[60:90, :, 0] += metres
    follower = dataclasses.replace(couple.follower, joints=joints)
    return [couple.leader.joints.numpy(), follower.joints.numpy()]


def spread(camera, joints: np.ndarray, width: int, height: int) -> float:
    """Return how far out in the picture the outermost joint is; 1 is the edge."""
    view = camera.view(joints.reshape(-1, 3).astype(np.float64))
    assert (view[:, 2] > 0).all()
    share = np.abs(view[:, :2] / view[:, 2:]) * camera.focal(width, height) * 2 / (width, height)
    return float(share.max())


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280)])
def test_the_camera_has_everybody_in_every_picture_and_comes_near_when_it_can(width, height):
    dancers = parting(stepping_couple(8.0), 3.0)
    cameras = list(following(dancers, 30, width, height))
    for frame, camera in enumerate(cameras):
        assert spread(camera, np.stack([body[frame] for body in dancers]), width, height) < 1
    far, near = (np.linalg.norm(np.subtract(c.eye, c.target)) for c in (cameras[75], cameras[-1]))
    assert far > 1.3 * near
    assert spread(cameras[-1], np.stack([body[-1] for body in dancers]), width, height) > 0.4


def test_the_camera_does_not_jitter_with_the_dancers():
    couple = stepping_couple(8.0)
    calm = [body.joints.numpy() for body in (couple.leader, couple.follower)]
    generator = np.random.default_rng(0)
    shaking = [body + generator.normal(scale=0.02, size=(len(body), 1, 3)) for body in calm]
    eyes = np.array([camera.eye for camera in following(shaking, 30, 1280, 720)])
    jolts = np.linalg.norm(np.diff(eyes, n=2, axis=0), axis=1)  # m a frame, a frame
    assert jolts.max() < 0.002  # the dancers' own are above 0.05
    assert np.linalg.norm(np.diff(shaking[0][:, 0], n=2, axis=0), axis=1).max() > 0.05


def test_a_dance_that_is_five_times_as_long_needs_no_more_memory():
    def peak(frames: int) -> int:
        dancers = [torch.zeros(1, 55, 3).expand(frames, -1, -1)] * 2
        tracemalloc.start()
        for _ in following(dancers, 30, 1280, 720):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(10_240) < 1.2 * peak(2048)


def test_any_number_of_dancers_is_drawn_each_in_a_colour(couple):
    trio = [couple.leader, couple.follower, couple.leader.moved((0.0, 0.0, 1.6))]
    picture = next(pictures_of(trio, 320, 180)).astype(int)
    red, green, blue = picture.transpose(2, 0, 1)
    for hue in (blue - red, red - blue, green - red):
        assert (hue > 60).sum() > 100
