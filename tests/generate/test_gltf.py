"""A GLB opens right in other programs: valid, joint by joint, skin and all."""

import math
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import JOINT, JOINT_NAMES, PARENTS
from duet_rl.errors import InputError
from duet_rl.generate import export
from duet_rl.meshes.skinning import surface_of
from tests.couple import stepping_couple
from tests.generate.gltf_reader import Glb
from tests.generate.wild import TENTH_OF_A_MILLIMETRE, wild

CHECK = Path(__file__).parents[2] / "scripts" / "check_glb"


def distance(glb: Glb, name: str, motion: Motion, frame: int) -> float:
    found = glb.joints(name, frame / motion.fps)
    assert sorted(found) == sorted(JOINT_NAMES)
    places = np.stack([found[joint] for joint in JOINT_NAMES])
    return float(np.linalg.norm(places - motion.joints[frame].numpy(), axis=1).max())


@pytest.mark.parametrize("make", ["stepping", "facing away", "wild"])
def test_both_dancers_come_back_joint_by_joint(tmp_path, couple, make):
    dance = couple.turned(math.pi, (1.0, 0.0, 2.0)) if make == "facing away" else couple
    if make == "wild":
        dance = Duet(wild(couple.leader), couple.follower)
    export.write(dance, tmp_path / "dance.glb")
    glb = Glb(tmp_path / "dance.glb")
    for frame in (0, 1, 2, 3, 18, dance.frames - 1):
        assert distance(glb, "leader", dance.leader, frame) < TENTH_OF_A_MILLIMETRE
        assert distance(glb, "follower", dance.follower, frame) < TENTH_OF_A_MILLIMETRE


def test_the_tree_is_that_of_the_joints(tmp_path, couple):
    export.write(couple, tmp_path / "dance.glb")
    glb = Glb(tmp_path / "dance.glb")
    parent = {child: i for i, node in enumerate(glb.nodes) for child in node.get("children", [])}
    for name in ("leader", "follower"):
        for joint, node in enumerate(glb.skin_of(name)["joints"]):
            above = name if joint == 0 else JOINT_NAMES[PARENTS[joint]]
            assert glb.names[parent[node]] == above


def test_the_skin_follows_the_joints(tmp_path, couple):
    export.write(couple, tmp_path / "dance.glb")
    glb = Glb(tmp_path / "dance.glb")
    for name, motion in (("leader", couple.leader), ("follower", couple.follower)):
        vertices, faces = glb.surface(name, 20 / motion.fps)
        wanted = surface_of(motion.slice(20, 21))
        off = np.linalg.norm(vertices - wanted.vertices[0].numpy(), axis=1)
        assert np.median(off) < 1e-6 and off.max() < 2e-3
        assert (faces == wanted.faces.numpy()).all()


def test_between_frames_turns_go_the_short_way(tmp_path):
    still = stepping_couple(0.1).leader.slice(0, 1)
    angles = [0.0, 1.5, 3.0, 4.5, 6.0, 7.5]
    turned = [still.turned(angle) for angle in angles]
    motion = Motion(
        torch.cat([one.joints for one in turned]),
        torch.cat([one.rotations for one in turned]),
        still.skeleton,
    )
    export.write(motion, tmp_path / "spin.glb")
    glb = Glb(tmp_path / "spin.glb")
    for frame in range(len(angles) - 1):
        middle = still.turned((angles[frame] + angles[frame + 1]) / 2)
        found = glb.joints("dancer", (frame + 0.5) / motion.fps)["left_wrist"]
        wanted = middle.joints[0, JOINT["left_wrist"]].numpy()
        centre = (motion.root[frame] + motion.root[frame + 1] - 2 * middle.root[0]).numpy() / 2
        np.testing.assert_allclose(found, wanted + centre, atol=1e-4)
    spins = [values for (_, path), (_, values) in glb.tracks().items() if path == "rotation"]
    assert all(((one[1:] * one[:-1]).sum(1) > 0).all() for one in spins)


def test_the_animation_lasts_as_long_as_the_dance(tmp_path, couple):
    dance = couple.resample(25)
    export.write(dance, tmp_path / "dance.glb")
    for times, values in Glb(tmp_path / "dance.glb").tracks().values():
        np.testing.assert_allclose(times, np.arange(dance.frames) / 25, atol=1e-6)
        assert len(values) == dance.frames


def test_another_library_sees_two_closed_bodies_in_two_colours(tmp_path, couple):
    export.write(couple, tmp_path / "dance.glb")
    scene = trimesh.load_scene(tmp_path / "dance.glb")
    assert set(scene.geometry) == {"leader_body", "follower_body"}
    leader, follower = (scene.geometry[f"{name}_body"] for name in ("leader", "follower"))
    for body in (leader, follower):
        assert body.is_watertight and body.is_winding_consistent and body.volume > 0.03
        assert (np.abs(np.linalg.norm(body.vertex_normals, axis=1) - 1) < 1e-3).all()
        assert 1.6 < np.ptp(body.vertices[:, 1]) < 1.8
    blue, coral = (body.visual.material.baseColorFactor for body in (leader, follower))
    assert blue[2] > blue[0] and coral[0] > coral[2]


@pytest.mark.parametrize("make", ["couple", "one dancer", "one frame", "wild"])
def test_the_khronos_validator_finds_nothing(tmp_path, couple, make):
    if shutil.which("node") is None or not (CHECK.parent / "gltf" / "node_modules").is_dir():
        pytest.skip("the validator is not installed; scripts/check_glb installs it")
    dance = {
        "couple": couple,
        "one dancer": couple.leader,
        "one frame": couple.slice(0, 1),
        "wild": Duet(wild(couple.leader), wild(couple.follower)),
    }[make]
    export.write(dance, tmp_path / "dance.glb", tmp_path / "a song.ogg")
    told = subprocess.run([CHECK, tmp_path / "dance.glb"], capture_output=True, text=True)
    assert told.stdout.endswith("0 errors, 0 warnings, 0 infos, 0 hints\n"), told
    assert told.returncode == 0


def test_the_music_is_noted_by_name(tmp_path, couple):
    export.write(couple, tmp_path / "dance.glb", tmp_path / "a song.ogg")
    notes = Glb(tmp_path / "dance.glb").json["scenes"][0]["extras"]
    assert notes["music"].startswith("a song.ogg (not in this file")
    export.write(couple, tmp_path / "dance.glb")
    assert "music" not in Glb(tmp_path / "dance.glb").json["scenes"][0]["extras"]


@pytest.mark.parametrize("name", ["dance.glb", "dance.bvh", "dance.npz", "dance.html"])
def test_a_full_disk_leaves_the_earlier_files_and_names_the_new_one(tmp_path, couple, name):
    (tmp_path / name).write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            export.write(couple, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Path(error.value.filename).suffix == Path(name).suffix
    assert ".tmp" not in error.value.filename
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_places_where_nothing_can_be_written_are_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.glb").mkdir()
    with pytest.raises(InputError, match="is a file; give another folder"):
        export.writer(tmp_path / "file" / "deeper" / "dance.glb")
    with pytest.raises(InputError, match="is a folder; give the name of a file"):
        export.writer(tmp_path / "folder.glb")
    export.writer(tmp_path / "new" / "folder" / "dance.glb")
    assert not (tmp_path / "new").exists()
