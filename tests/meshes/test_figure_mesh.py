"""The figure that other programs animate: closed, carried by few joints, told frame by frame."""

import numpy as np
import torch

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import Skeleton, default_skeleton
from duet_rl.meshes import figure_mesh as module
from duet_rl.meshes.closed_mesh import volume
from duet_rl.meshes.figure_mesh import CARRIERS, figure_mesh, joint_tracks
from tests.body.couples import dancer

MILLIMETRE = 1e-3


def test_weights_are_shares_and_nobody_carries_nothing():
    mesh = figure_mesh(default_skeleton())
    assert mesh.weights.shape[1] == CARRIERS and (mesh.weights >= 0).all()
    np.testing.assert_allclose(mesh.weights.sum(1), 1, atol=1e-6)
    assert (mesh.carriers[mesh.weights == 0] == 0).all()
    assert (mesh.weights[:, :-1] >= mesh.weights[:, 1:]).all()


def test_normals_point_outwards():
    mesh = figure_mesh(default_skeleton())
    faces = mesh.faces.astype(int)
    grown = volume(mesh.vertices + MILLIMETRE * mesh.normals, faces)
    assert grown > volume(mesh.vertices, faces) > 0.03


def test_other_bones_have_the_same_faces_and_carriers():
    small, tall = (figure_mesh(Skeleton(default_skeleton().offsets * f)) for f in (0.9, 1.1))
    assert (small.faces == tall.faces).all() and (small.carriers == tall.carriers).all()
    np.testing.assert_allclose(
        np.ptp(tall.vertices, 0) / np.ptp(small.vertices, 0), 1.1 / 0.9, 1e-4
    )


def test_long_motions_are_told_as_short_ones_are(monkeypatch):
    spins = [dancer(1).turned(angle) for angle in np.linspace(0, 20, 30)]
    motion = Motion(
        torch.cat([one.joints for one in spins]),
        torch.cat([one.rotations for one in spins]),
        spins[0].skeleton,
    )
    whole = joint_tracks(motion)
    monkeypatch.setattr(module, "_CHUNK", 7)
    pieces = joint_tracks(motion)
    np.testing.assert_allclose(pieces.rotations, whole.rotations, atol=1e-12)
    np.testing.assert_allclose(pieces.translations, whole.translations, atol=1e-12)
    assert ((whole.rotations[1:] * whole.rotations[:-1]).sum(-1) > 0).all()


def test_only_joints_that_leave_their_bones_are_moved():
    motion = dancer(5)
    joints = motion.joints.clone()
    joints[2, 20] += 0.01  # the left wrist, for a moment
    tracks = joint_tracks(Motion(joints, motion.rotations, motion.skeleton))
    moving = np.ptp(tracks.translations[:, 1:], axis=0).max(-1) > 0
    fingers = [25, 28, 31, 34, 37]  # hang from the wrist, and stay where they were
    assert set(np.flatnonzero(moving) + 1) == {20, *fingers}
