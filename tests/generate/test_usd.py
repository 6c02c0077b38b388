"""USD opens right: UsdSkel's own arithmetic finds our joints and our surface."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from duet_rl.body.motion import Duet
from duet_rl.body.skeleton import JOINT_NAMES
from duet_rl.errors import InputError
from duet_rl.generate import export
from duet_rl.meshes.skinning import surface_of
from tests.generate.wild import TENTH_OF_A_MILLIMETRE, wild

pxr = pytest.importorskip("pxr", reason="usd-core is not installed")
from pxr import Gf, Usd, UsdGeom, UsdSkel, UsdValidation  # noqa: E402


def opened(path: Path) -> Usd.Stage:
    stage = Usd.Stage.Open(str(path))
    assert stage is not None
    return stage


def skeleton_of(stage: Usd.Stage, name: str) -> UsdSkel.SkeletonQuery:
    skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath(f"/dance/{name}/skeleton"))
    return UsdSkel.Cache().GetSkelQuery(skeleton)


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
def test_both_dancers_come_back_joint_by_joint(tmp_path, couple, suffix):
    dance = Duet(wild(couple.leader), couple.follower).turned(2.5, (1.0, 0.0, 3.0))
    path = tmp_path / f"dance{suffix}"
    export.write(dance, path)
    stage = opened(path)
    for name, motion in (("leader", dance.leader), ("follower", dance.follower)):
        query = skeleton_of(stage, name)
        names = [Path(joint).name for joint in query.GetJointOrder()]
        assert names == list(JOINT_NAMES)
        for frame in (0, 1, 20, motion.frames - 1):
            moves = np.array(query.ComputeJointWorldTransforms(UsdGeom.XformCache(frame)))
            off = np.linalg.norm(moves[:, 3, :3] - motion.joints[frame].numpy(), axis=1)
            assert off.max() < TENTH_OF_A_MILLIMETRE


def test_the_stage_says_units_axis_rate_and_length(tmp_path, couple):
    dance = couple.resample(25)
    export.write(dance, tmp_path / "dance.usda", tmp_path / "a song.ogg")
    stage = opened(tmp_path / "dance.usda")
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert stage.GetTimeCodesPerSecond() == 25
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, dance.frames - 1)
    assert stage.GetDefaultPrim().GetPath() == "/dance"
    notes = stage.GetDefaultPrim().GetCustomDataByKey("dance")
    assert notes["music"].startswith("a song.ogg (not in this file")


def test_the_skin_follows_the_joints(tmp_path, couple):
    export.write(couple, tmp_path / "dance.usdc")
    stage = opened(tmp_path / "dance.usdc")
    for name, motion in (("leader", couple.leader), ("follower", couple.follower)):
        root = UsdSkel.Root(stage.GetPrimAtPath(f"/dance/{name}"))
        assert UsdSkel.BakeSkinning(root, Gf.Interval(20, 20))
        baked = UsdGeom.Mesh(stage.GetPrimAtPath(f"/dance/{name}/body")).GetPointsAttr().Get(20)
        wanted = surface_of(motion.slice(20, 21)).vertices[0].numpy()
        off = np.linalg.norm(np.array(baked) - wanted, axis=1)
        assert np.median(off) < 1e-6 and off.max() < 2e-3


def test_the_checks_of_usd_find_nothing(tmp_path, couple):
    for name, dance in (("couple", couple), ("one", couple.leader), ("short", couple.slice(0, 1))):
        export.write(dance, tmp_path / f"{name}.usdc")
        checks = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
        errors = UsdValidation.ValidationContext(checks).Validate(opened(tmp_path / f"{name}.usdc"))
        assert [error.GetErrorAsString() for error in errors] == []


@pytest.mark.parametrize("name", ["dance.usda", "dance.usdc"])
def test_a_full_disk_leaves_the_earlier_file_and_names_it(tmp_path, couple, name):
    (tmp_path / name).write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="USD cannot be written") as error:
            export.write(couple, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(tmp_path / name)
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_without_its_package_usd_is_refused_before_the_computation(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(InputError, match=r"pip install 'duet-rl\[usd\]', or write \.glb"):
        export.writer(tmp_path / "dance.usdc")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_text_are_refused_and_music_may_have_one(tmp_path, couple):
    with pytest.raises(InputError, match=r"dan\?e\.usda has letters that are no text.*\.glb"):
        export.writer(tmp_path / "dan\udcffe.usda")
    assert not list(tmp_path.iterdir())
    export.write(couple.slice(0, 2), tmp_path / "dance.usdc", tmp_path / "son\udcffg.wav")
    stage = opened(tmp_path / "dance.usdc")
    notes = stage.GetPrimAtPath("/dance").GetCustomDataByKey("dance")
    assert notes["music"].startswith("son?g.wav")
