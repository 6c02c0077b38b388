"""Dances as USD: skinned figures and their animation as UsdSkel has them. Needs `usd-core`."""

import errno
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.generate.cast import GENERATOR, Colour, Dancer, cast_of, linear, notes_of
from duet_rl.meshes.figure_mesh import CARRIERS, figure_mesh, joint_tracks

SUFFIXES = (".usda", ".usdc", ".usd")
ROOT = "/dance"
ROUGHNESS = 0.7  # of the figures, which are no metal
_AROUND = 0.3  # m; how far a body reaches beyond its joints at most


def require_usd(path: Path | str) -> None:
    """Ask before a long computation whether USD can be written to `path`.

    Raises:
        InputError: the package that writes USD is not installed, or it cannot say this name.
    """
    if find_spec("pxr") is None:
        raise InputError(
            "USD is written by the package usd-core, which is not installed; "
            "pip install 'duet-rl[usd]', or write .glb"
        )
    if _as_text(str(path)) != str(path):
        raise InputError(
            f"{_as_text(str(path))} has letters that are no text, and USD takes only text; give "
            "another name, or write .glb"
        )


def joint_paths() -> tuple[str, ...]:
    """Return the 55 joints as UsdSkel names them: `pelvis/left_hip/left_knee`."""
    paths: list[str] = []
    for name, parent in zip(JOINT_NAMES, PARENTS, strict=True):
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return tuple(paths)


def write_usd(dance: Motion | Duet, path: Path | str, audio: Path | None = None) -> None:
    """Write a dancer or a couple as USD, whole or not at all.

    Metres, Y-up, one time code a frame. Each dancer is a `SkelRoot` (`/dance/leader`,
    `/dance/follower` or `/dance/dancer`) of a skeleton with the joint names of SMPL-X, its
    animation, and the stand-in body as a skinned mesh.

    Args:
        dance: who dances.
        path: where: `.usda` is text, `.usdc` and `.usd` are binary and much smaller.
        audio: the music; only its name is written down.

    Raises:
        InputError: `usd-core` is not installed, or the name is no text.
        OSError: the file cannot be written.
    """
    require_usd(path)
    from pxr import Tf, Usd, UsdGeom

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
    stage.SetFramesPerSecond(dance.fps)
    stage.SetTimeCodesPerSecond(dance.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(dance.frames - 1)
    stage.GetRootLayer().comment = f"written by {GENERATOR}"
    root = UsdGeom.Xform.Define(stage, ROOT).GetPrim()
    notes = notes_of(dance, None if audio is None else Path(_as_text(audio.name)))
    root.SetCustomDataByKey("dance", notes)
    stage.SetDefaultPrim(root)
    for dancer in cast_of(dance):
        _add_dancer(stage, dancer)
    with atomic_path(path) as temporary:
        temporary.touch()  # tells why nothing can be written here, which USD does not
        try:
            written = stage.GetRootLayer().Export(str(temporary))
        except Tf.ErrorException as error:
            raise OSError(errno.EIO, "USD cannot be written", str(temporary)) from error
        if not written:
            raise OSError(errno.EIO, "USD cannot be written", str(temporary))


def _as_text(name: str) -> str:
    """Return the name of a file, which may be any bytes, with `?` for what is no text."""
    return name.encode(errors="replace").decode()


def _add_dancer(stage: Any, dancer: Dancer) -> None:
    from pxr import UsdSkel

    place = f"{ROOT}/{dancer.name}"
    body = UsdSkel.Root.Define(stage, place)
    joints = dancer.motion.joints.cpu().numpy().astype(np.float32)
    boxes = np.stack([joints.min(1) - _AROUND, joints.max(1) + _AROUND], axis=1)
    extent = body.CreateExtentAttr()
    for frame, box in enumerate(boxes):
        extent.Set(_vectors(box), frame)
    skeleton = _add_skeleton(stage, f"{place}/skeleton", dancer.motion)
    animation = _add_animation(stage, f"{place}/animation", dancer.motion)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    _add_mesh(stage, f"{place}/body", dancer, skeleton)


def _add_skeleton(stage: Any, place: str, motion: Motion) -> Any:
    from pxr import UsdSkel, Vt

    bind = motion.skeleton.rest_joints().double().cpu().numpy()
    rest = motion.skeleton.offsets.double().cpu().numpy().copy()
    rest[0] = bind[0]
    skeleton = UsdSkel.Skeleton.Define(stage, place)
    skeleton.CreateJointsAttr(Vt.TokenArray(joint_paths()))
    skeleton.CreateBindTransformsAttr(_moves(bind))
    skeleton.CreateRestTransformsAttr(_moves(rest))
    return skeleton


def _add_animation(stage: Any, place: str, motion: Motion) -> Any:
    from pxr import UsdSkel, Vt

    tracks = joint_tracks(motion)
    animation = UsdSkel.Animation.Define(stage, place)
    animation.CreateJointsAttr(Vt.TokenArray(joint_paths()))
    animation.CreateScalesAttr(Vt.Vec3hArray.FromNumpy(np.ones((NUM_JOINTS, 3), np.float16)))
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    for frame in range(motion.frames):
        translations.Set(_vectors(tracks.translations[frame]), frame)
        turns = np.ascontiguousarray(tracks.rotations[frame], dtype=np.float32)
        rotations.Set(Vt.QuatfArray.FromNumpy(turns), frame)
    return animation


def _add_mesh(stage: Any, place: str, dancer: Dancer, skeleton: Any) -> None:
    from pxr import Gf, UsdGeom, UsdShade, UsdSkel, Vt

    figure = figure_mesh(dancer.motion.skeleton)
    mesh = UsdGeom.Mesh.Define(stage, place)
    mesh.CreatePointsAttr(_vectors(figure.vertices))
    mesh.CreateNormalsAttr(_vectors(figure.normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    faces = figure.faces.astype(np.int32)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.reshape(-1)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(_vectors(np.stack([figure.vertices.min(0), figure.vertices.max(0)])))
    mesh.CreateDisplayColorAttr([Gf.Vec3f(*linear(dancer.colour))])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))
    binding.CreateJointIndicesPrimvar(constant=False, elementSize=CARRIERS).Set(
        Vt.IntArray.FromNumpy(figure.carriers.astype(np.int32).reshape(-1))
    )
    binding.CreateJointWeightsPrimvar(constant=False, elementSize=CARRIERS).Set(
        Vt.FloatArray.FromNumpy(figure.weights.reshape(-1))
    )
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(
        _add_material(stage, f"{place}/look", dancer.colour)
    )


def _add_material(stage: Any, place: str, colour: Colour) -> Any:
    from pxr import Gf, Sdf, UsdShade

    material = UsdShade.Material.Define(stage, place)
    shader = UsdShade.Shader.Define(stage, f"{place}/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*linear(colour)))
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(ROUGHNESS)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    return material


def _vectors(rows: np.ndarray) -> Any:
    from pxr import Vt

    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(rows, dtype=np.float32))


def _moves(places: np.ndarray) -> Any:
    """Return matrices that move to places; rows are multiplied from the left, as USD has it."""
    from pxr import Vt

    matrices = np.tile(np.eye(4), (len(places), 1, 1))
    matrices[:, 3, :3] = places
    return Vt.Matrix4dArray.FromNumpy(matrices)
