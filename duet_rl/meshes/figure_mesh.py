"""A dancer as other programs animate one: a skinned mesh at rest, and tracks of its joints."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from scipy.spatial.transform import Rotation

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import NUM_JOINTS, PARENTS, Skeleton
from duet_rl.meshes.skinning import skinned_stand_in

CARRIERS = 4  # joints that carry a vertex at most: what every program reads
_CHUNK = 1024  # frames whose kinematics are held at once: 20 MB
_OFF_BONES = 1e-5  # m; a joint that strays less from the end of its bone has not left it


class FigureMesh(NamedTuple):
    """The stand-in at rest, a T-pose that faces +Z; the same faces and carriers on any bones."""

    vertices: Float[np.ndarray, "V 3"]  # m
    normals: Float[np.ndarray, "V 3"]  # of unit length, outwards
    faces: UInt16[np.ndarray, "F 3"]  # counter-clockwise seen from outside
    carriers: UInt8[np.ndarray, "V 4"]  # joints, the strongest first; 0 where the weight is 0
    weights: Float[np.ndarray, "V 4"]  # of the carriers; rows sum to 1


class JointTracks(NamedTuple):
    """Each joint as its parent sees it, the pelvis as the world does."""

    translations: Float[np.ndarray, "T 55 3"]  # m
    rotations: Float[np.ndarray, "T 55 4"]  # unit quaternions x, y, z, w


def figure_mesh(skeleton: Skeleton) -> FigureMesh:
    """Return the stand-in on the bones of a skeleton, carried by four joints at most.

    Of the few vertices that five joints carry, the weakest joint lets go: one vertex in a thousand
    is then up to a millimetre off the surface of `skinning.surface_of`.
    """
    body = skinned_stand_in(skeleton)
    vertices, faces = body.vertices.numpy(), body.faces.numpy()
    all_weights = body.weights.numpy()
    carriers = np.argsort(-all_weights, axis=1, kind="stable")[:, :CARRIERS]
    weights = np.take_along_axis(all_weights, carriers, axis=1)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return FigureMesh(
        vertices.astype(np.float32),
        _normals(vertices, faces).astype(np.float32),
        faces.astype(np.uint16),
        np.where(weights > 0, carriers, 0).astype(np.uint8),
        weights,
    )


def joint_tracks(motion: Motion) -> JointTracks:
    """Return what to tell each joint, frame by frame, so that the joints stand where they do.

    A joint that is where its bone ends has the bone as its translation in every frame. Quaternions
    of neighbouring frames are of one sign, so that whoever blends them goes the short way.
    """
    pieces = [
        _seen_from_parents(motion.slice(start, start + _CHUNK))
        for start in range(0, motion.frames, _CHUNK)
    ]
    bones, rotations = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    offsets = motion.skeleton.offsets[1:].double().cpu().numpy()
    strays = np.linalg.norm(bones - offsets, axis=-1).max(axis=0) > _OFF_BONES
    bones = np.where(strays[:, None], bones, offsets)
    root = motion.root.double().cpu().numpy()[:, None]
    return JointTracks(np.concatenate([root, bones], axis=1), _of_one_sign(rotations))


def _seen_from_parents(
    motion: Motion,
) -> tuple[Float[np.ndarray, "T 54 3"], Float[np.ndarray, "T 55 4"]]:
    """Return the bone to each joint but the pelvis in its parent's axes, and all quaternions."""
    local, joints = motion.rotations.double().cpu(), motion.joints.double().cpu()
    offsets = motion.skeleton.offsets.double().cpu()
    turns = forward_kinematics(local, joints[:, 0], offsets).global_rotations
    parents = list(PARENTS[1:])
    bones = joints[:, 1:] - joints[:, parents]
    bones = (turns[:, parents].mT @ bones[..., None]).squeeze(-1)
    quaternions = Rotation.from_matrix(local.reshape(-1, 3, 3).numpy()).as_quat()
    return bones.numpy(), quaternions.reshape(motion.frames, NUM_JOINTS, 4)


def _of_one_sign(quaternions: Float[np.ndarray, "T 55 4"]) -> Float[np.ndarray, "T 55 4"]:
    first = np.where(quaternions[:1, :, 3] < 0, -1.0, 1.0)
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    return quaternions * np.cumprod(np.concatenate([first, flips]), axis=0)[..., None]


def _normals(vertices: Float[np.ndarray, "V 3"], faces: np.ndarray) -> Float[np.ndarray, "V 3"]:
    """Return means of the normals of the faces about each vertex, weighed by their areas."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)
