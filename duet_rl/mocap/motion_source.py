"""Motion files of every kind as one thing: frames that are made into motions as they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from duet_rl.body.motion import Motion
from duet_rl.body.resampling import Part
from duet_rl.body.skeleton import JOINT_NAMES, NUM_JOINTS
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import BvhReader, bvh_to_motion, has_our_joints
from duet_rl.mocap.bvh_file import open_bvh
from duet_rl.mocap.couple_file import PERSONS, couple_table, is_couple
from duet_rl.mocap.joint_arrays import (
    DD100_FPS,
    JointFit,
    JointTable,
    RotationTable,
    open_npy,
)
from duet_rl.mocap.npz import PoseTable, is_wanted, load_arrays, pose_table
from duet_rl.mocap.retarget_any import Retargeter
from duet_rl.mocap.retarget_cmu import (
    CMU_JOINTS,
    CMU_LEAD_IN,
    cmu_sole,
    cmu_to_motion,
    cmu_toe_heights,
    is_cmu,
    require_person,
)
from duet_rl.mocap.skeleton_match import OURS, STRUCTURE, rig_of
from duet_rl.mocap.skeleton_names import Rig

_SAMPLE = 400  # frames, spread over the take, by which a file is looked at
_BLOCK = 2000  # frames looked at in one go
_CMU = "CMU, 3dsmax release"


@dataclass(frozen=True, eq=False)
class Opened:
    """A take in metres, in the axes of its file.

    Args:
        part: reads frames.
        sample: frames spread over the take.
        lower_toes: puts the toes lower by so many metres; None where the feet have soles.
        strays: how far the retargeted joints are off, metres; 0 where nothing is retargeted.
    """

    part: Part
    sample: Motion
    lower_toes: Callable[[float], None] | None = None
    strays: float = 0.0


@dataclass(frozen=True, eq=False)
class Source:
    """What a file says and what can be told of it before its unit and its axes are known.

    Args:
        format: of the file.
        family: of its skeleton.
        frames: in the file.
        fps: what the file or its format says; None if neither does.
        open: given metres per unit and frames per second, returns the take.
        leg: length of a leg in units of the file; None where the format has metres.
        units: metres per unit that files of the family come in, beside the usual ones.
        up: the axis that the file says is up; None if it does not say.
        ours: whether the file is one of ours, whose floor and feet are as they should be.
        joints: our joint -> the file's.
        left_out: the file's joints that are none of ours.
        missing: ours that the file lacks.
        persons: in the file.
        lead_in: frames at the start that are no dance.
        warnings: one line each.
    """

    format: str
    family: str
    frames: int
    fps: float | None
    open: Callable[[float, float], Opened]
    leg: float | None = None
    units: tuple[float, ...] = ()
    up: str | None = None
    ours: bool = False
    joints: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    persons: tuple[str, ...] = ("1",)
    lead_in: int = 0
    warnings: tuple[str, ...] = ()


def open_source(path: Path, person: int | str | None = None) -> Source:
    """Return what a file holds, by its suffix.

    Raises:
        InputError: no such file, a damaged one, one of a kind that cannot be read, or a skeleton
            in which no person can be recognised.
    """
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        return _of_bvh(path, person)
    if suffix == ".npz":
        return _of_npz(path, person)
    if suffix == ".npy":
        return _of_table(path, open_npy(path, person), "npy")
    cure = _CURES.get(suffix, "wanted .bvh, .npz or .npy: see docs/motion_files.md")
    raise InputError(f"{path}: a motion of type {suffix or 'none'}; {cure}")


_BLENDER = "open it in Blender (free) and export Motion Capture (.bvh) of the armature, then give"
_CURES = {
    ".fbx": f"an FBX file has to be converted: {_BLENDER} the .bvh",
    ".glb": f"a glTF file has to be converted: {_BLENDER} the .bvh",
    ".gltf": f"a glTF file has to be converted: {_BLENDER} the .bvh",
    ".usd": f"a USD file has to be converted: {_BLENDER} the .bvh",
    ".dae": f"a Collada file has to be converted: {_BLENDER} the .bvh",
    ".c3d": "it holds markers and no skeleton; solve one first (MoSh++ or SOMA give SMPL-X "
    "parameters as .npz, MotionBuilder or Vicon Shogun a .bvh), then give that file",
    ".trc": "it holds markers and no skeleton; solve one first (OpenSim, MotionBuilder), then give "
    "its .bvh",
    ".asf": "export the pair of .asf and .amc as BVH (amc2bvh, or Blender), then give the .bvh",
    ".amc": "export the pair of .asf and .amc as BVH (amc2bvh, or Blender), then give the .bvh",
    ".pkl": "a pickle can run any program when it is opened; save poses and trans as .npz with "
    "numpy.savez, then give that file",
}


def _of_bvh(path: Path, person: int | str | None) -> Source:
    file = open_bvh(path)
    reader = BvhReader(file, person)
    sample = reader.frames(_spread(reader.count))
    rig = rig_of(sample)
    make: Callable[[BvhReader], Opened]
    if has_our_joints(sample) and sample.moves is None:
        make, family, lead_in = _open_ours, OURS, 0
    elif is_cmu(sample) and sample.moves is None:
        make, family, lead_in = _open_cmu, _CMU, CMU_LEAD_IN
    else:
        make, family, lead_in = partial(_open_any, rig=rig), rig.family, 0
    raw = Retargeter(sample, rig)
    warnings: tuple[str, ...] = ()
    if rig.family == STRUCTURE:
        shown = ", ".join(f"{ours}: {theirs}" for ours, theirs in rig.joints.items())
        warnings = (f"the joints' names are unknown; by their structure they are {shown}",)
    if not reader.has_places:
        warnings += ("its root has no position channels: the dancer stays on one spot",)
    joints = {JOINT_NAMES[ours]: sample.names[joint] for ours, joint in raw.plan.joints.items()}
    joints = CMU_JOINTS if family == _CMU else joints
    return Source(
        "BVH",
        family,
        reader.count,
        file.fps,
        lambda scale, fps: make(_timed(reader.scaled(scale), fps)),
        leg=raw.leg,
        units=rig.units,
        ours=family == OURS,
        joints=joints,
        left_out=tuple(name for name in sample.names if name not in joints.values()),
        missing=tuple(name for name in JOINT_NAMES if name not in joints),
        persons=file.names,
        lead_in=lead_in,
        warnings=warnings,
    )


def _timed(reader: BvhReader, fps: float) -> BvhReader:
    reader.fps = fps
    return reader


def _open_ours(reader: BvhReader) -> Opened:
    sample = reader.frames(_spread(reader.count))
    require_person(sample)
    return Opened(
        lambda start, stop: bvh_to_motion(reader.frames(slice(start, stop))), bvh_to_motion(sample)
    )


def _open_cmu(reader: BvhReader) -> Opened:
    blocks = range(0, reader.count, _BLOCK)
    first = reader.frames(_spread(reader.count))
    cmu_to_motion(first)  # it tells what is wrong with the skeleton
    heights = [cmu_toe_heights(reader.frames(slice(at, at + _BLOCK))) for at in blocks]
    drop = cmu_sole(torch.cat(heights))
    return Opened(
        lambda start, stop: cmu_to_motion(reader.frames(slice(start, stop)), drop),
        cmu_to_motion(first, drop),
    )


def _open_any(reader: BvhReader, rig: Rig) -> Opened:
    sample = reader.frames(_spread(reader.count))
    retargeter = Retargeter(sample, rig)
    return Opened(
        lambda start, stop: retargeter.motion(reader.frames(slice(start, stop))),
        retargeter.motion(sample),
        retargeter.lower_toes,
        float(retargeter.strays(sample).quantile(0.95)),
    )


def _of_npz(path: Path, person: int | str | None) -> Source:
    """Return the one person in parameters of a body model, or one of two in a clip of a store."""
    arrays = load_arrays(path, lambda name: is_wanted(name) or name.startswith(PERSONS))
    if is_couple(arrays):
        return replace(_of_table(path, couple_table(path, arrays, person), "npz"), persons=PERSONS)
    if person is not None and str(person) != "1":
        raise InputError(f"{path}: no person {person!r}; it has 1: leave the person out")
    return _of_table(path, pose_table(path, arrays), "npz")


def _of_table(path: Path, table: PoseTable | RotationTable | JointTable, format: str) -> Source:
    if isinstance(table, JointTable):
        return _of_joints(path, table)
    frames = len(table.trans)
    ours = isinstance(table, PoseTable) and table.has_bones
    known = table.joints if isinstance(table, PoseTable) else range(NUM_JOINTS)
    fps = table.fps if table.fps is not None or format == "npz" else DD100_FPS

    def open_at(scale: float, fps: float) -> Opened:
        step = max(1, frames // _SAMPLE)
        picked = _every(table, step)
        return Opened(
            lambda start, stop: table.motion(fps, scale, start, stop),
            picked.motion(fps, scale, 0, None),
        )

    names = [JOINT_NAMES[joint] for joint in known]
    return Source(
        format,
        table.kind,
        frames,
        fps,
        open_at,
        up=table.up if isinstance(table, PoseTable) else None,
        ours=ours,
        joints={name: name for name in names},
        missing=tuple(name for name in JOINT_NAMES if name not in names),
    )


def _every(table: PoseTable | RotationTable, step: int) -> PoseTable | RotationTable:
    """Return every `step`th frame."""
    if isinstance(table, PoseTable):
        return replace(table, poses=table.poses[::step], trans=table.trans[::step])
    return replace(table, rotations=table.rotations[::step], trans=table.trans[::step])


def _of_joints(path: Path, table: JointTable) -> Source:
    sample = table.places[_spread(len(table.places))]

    def open_at(scale: float, fps: float) -> Opened:
        fit = JointFit(sample * scale, table.known, path.stem)
        motion = fit.motion(sample * scale, fps)
        known = list(table.known)
        off = (motion.joints - sample * scale)[:, known].norm(dim=-1).amax(-1)
        return Opened(
            lambda start, stop: fit.motion(table.places[start:stop] * scale, fps),
            motion,
            strays=float(off.quantile(0.95)),
        )

    names = [JOINT_NAMES[joint] for joint in table.known]
    hip, knee, ankle = (sample[:, joint] for joint in (1, 4, 7))
    leg = (knee - hip).norm(dim=-1) + (ankle - knee).norm(dim=-1)
    return Source(
        "npy",
        table.kind,
        len(table.places),
        table.fps,
        open_at,
        leg=float(leg.mean()),
        joints={name: name for name in names},
        missing=tuple(name for name in JOINT_NAMES if name not in names),
        persons=tuple(str(number) for number in range(1, table.persons + 1)),
    )


def _spread(frames: int) -> list[int]:
    """Return frames spread evenly over a take."""
    count = min(frames, _SAMPLE)
    return np.linspace(0, frames - 1, count).round().astype(int).tolist()
