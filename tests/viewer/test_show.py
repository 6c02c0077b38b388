"""What the server sends is what the store holds, and it is gone when it is stopped."""

import socket
import threading
import time
import urllib.request
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.meshes.figure_mesh import figure_mesh
from duet_rl.meshes.skinning import surface_of
from duet_rl.viewer import server as viewer_server
from duet_rl.viewer.figures import HELD, MISSED, UNDUE, BonePlaces
from duet_rl.viewer.hall import open_hall
from duet_rl.viewer.panel import SPACING
from duet_rl.viewer.server import HOST, address_of, serving
from duet_rl.viewer.show import Viewer
from duet_rl.viewer.takes import TRUTH
from tests.ports import free_port
from tests.viewer.conftest import FRAMES

PATIENCE = 120.0  # s that a busy machine gets


class Wall:
    """A clock that goes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def viewer(place, wall):
    hall = open_hall([f"ours={place / 'mine'}"], data=place / "data")
    with serving(free_port()) as server:
        shown = Viewer(hall, server, wall)
        until(shown, lambda: set(shown.couples) == {TRUTH, "ours"})
        yield shown
        shown.dancing.stop()


def until(viewer: Viewer, done) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        viewer.tick()
        time.sleep(0.01)


def test_bones_stand_where_the_store_says_at_the_moment_of_the_clock(viewer, wall):
    viewer.play_or_pause()
    wall.now += 0.9
    viewer.tick()
    frame = 27
    assert viewer.panel.frame.value == frame
    duet = viewer.take.clip.duet
    for role, motion in (("leader", duet.leader), ("follower", duet.follower)):
        bones = viewer.couples[TRUTH].figures[role].body.bones
        sent = np.stack([bone.position for bone in bones])
        np.testing.assert_allclose(sent, motion.joints[frame], atol=2e-5)


def test_the_skin_that_the_bones_carry_is_the_body_of_the_dancer(viewer):
    motion = viewer.take.leader.slice(20, 21)
    mesh, bones = figure_mesh(motion.skeleton), BonePlaces(motion)
    rest = motion.skeleton.rest_joints().double().numpy()
    w, x, y, z = bones.wxyz[0].T
    turns = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        axis=-2,
    )
    carried = mesh.vertices[:, None] - rest[mesh.carriers]  # (V, 4, 3)
    moved = np.einsum("vcij,vcj->vci", turns[mesh.carriers], carried)
    moved += bones.positions[0][mesh.carriers]
    skin = (mesh.weights[..., None] * moved).sum(1)
    np.testing.assert_allclose(skin, surface_of(motion).vertices[0], atol=2e-3)


def test_marks_of_hands_and_feet_follow_the_store(viewer, wall):
    for frame in (2, FRAMES // 2 + 6):
        viewer.clock.seek(frame / 30, wall())
        viewer.tick()
        figures = viewer.couples[TRUTH]
        couple = figures.couple
        for hand, mark in enumerate(figures.marks.hands):
            due, held = bool(couple.due[frame, hand]), bool(couple.held[frame, hand])
            assert mark.visible == (due or held)
            wanted = (HELD if due else UNDUE) if held else MISSED
            assert not mark.visible or tuple(mark.color) == wanted
        planted = [mark.visible for mark in figures.marks.feet]
        assert planted == couple.planted[frame].tolist()


def test_couples_stand_side_by_side_and_share_a_leader_in_one_place(viewer):
    places = {name: float(one.frame.position[0]) for name, one in viewer.couples.items()}
    assert places["ours"] - places[TRUTH] == pytest.approx(SPACING)
    viewer.panel.spacing.value = 0.0
    viewer._place()
    assert {float(one.frame.position[0]) for one in viewer.couples.values()} == {0.0}
    leaders = [one.figures["leader"].body.visible for one in viewer.couples.values()]
    assert leaders == [True, False]


@pytest.mark.parametrize("width, height", [(1100, 900), (390, 844)])
def test_a_new_browser_sees_all_couples_and_on_a_phone_above_the_panel(viewer, width, height):
    camera = SimpleNamespace(fov=1.3, aspect=width / height, image_width=width)
    viewer._greet(SimpleNamespace(camera=camera, atomic=nullcontext))
    eyes, aim = np.array(camera.position), np.array(camera.look_at)
    ahead = (aim - eyes) / np.linalg.norm(aim - eyes)
    up = np.cross(np.cross(ahead, [0, 1, 0]), ahead)
    for couple in viewer.couples.values():
        place = np.array([couple.frame.position[0], 0.9, 0.0]) - eyes
        depth, size = place @ ahead, np.tan(camera.fov / 2)
        assert abs(place[0]) < depth * size * camera.aspect
        if width < 640:
            assert 0.2 < place @ up / (depth * size) < 0.9


def test_who_is_not_to_be_seen_is_hidden_and_leaves_no_gap(viewer):
    viewer.panel.shown[TRUTH].value = False
    viewer._place()
    assert not viewer.couples[TRUTH].frame.visible
    assert float(viewer.couples["ours"].frame.position[0]) == 0.0


def test_another_clip_replaces_the_first(viewer, wall):
    viewer.clock.seek(1.0, wall())
    viewer.choose("learned")
    until(viewer, lambda: set(viewer.couples) == {TRUTH, "ours"})
    assert viewer.take.name == "learned" and viewer.clock.at(wall()) == 0.0
    assert torch.equal(
        viewer.couples[TRUTH].couple.follower.joints,
        viewer.hall.store.clip("learned").duet.follower.joints,
    )


def test_the_song_begins_where_the_clip_begins(place):
    take = open_hall([str(place / "data")]).take("kept")
    whole = take.sound()
    late = type(take)(**{**vars(take), "audio_start": 0.5}).sound()
    assert len(late) == len(whole)
    half = round(0.5 * 44_100)
    np.testing.assert_allclose(late[:half], whole[half : 2 * half], atol=1e-3)


def test_a_port_that_is_taken_is_left_alone():
    port = free_port()
    with serving(port) as first, serving(port) as second:
        assert first.get_port() == port and second.get_port() > port
        assert address_of(second) == f"http://{HOST}:{second.get_port()}"


def test_it_listens_here_only_and_asks_nobody_to_pass_it_on():
    with serving(free_port()) as server:
        assert server.get_host() == HOST and server.request_share_url() is None
        assert b"<html" in urllib.request.urlopen(address_of(server)).read().lower()[:400]


def test_a_server_that_is_stopped_leaves_its_port_and_no_thread():
    port, before = free_port(), set(threading.enumerate())
    with serving(port):
        pass
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((HOST, port))
    left = {thread for thread in threading.enumerate() if thread.is_alive()} - before
    for thread in left:
        thread.join(PATIENCE)
    assert not [thread for thread in left if thread.is_alive()]


def test_no_such_port_is_refused():
    with pytest.raises(InputError, match=r"no port 70000.*65535"), serving(70_000):
        pass


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(InputError, match=r"duet-rl\[view\]"):
        importlib.reload(viewer_server)
    monkeypatch.undo()
    importlib.reload(viewer_server)
