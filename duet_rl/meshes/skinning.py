"""The surface of any dancer: a licensed body, or the stand-in fitted to the dancer's own bones."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT, JOINT_NAMES, Skeleton, default_skeleton
from duet_rl.meshes.smplx import BETAS, BodyModel
from duet_rl.meshes.stand_in_mesh import skin

_CHUNK = 64  # frames whose blended turns are held at once: 40 MB
_FACE = ("jaw", "left_eye", "right_eye")  # go with the head, whatever a file says of them
_ANCHORS = [JOINT[name] for name in JOINT_NAMES if name not in _FACE]


class Surface(NamedTuple):
    """A moving triangle mesh."""

    vertices: Float[Tensor, "T V 3"]  # m, in the axes of the motion
    faces: Int[Tensor, "F 3"]  # counter-clockwise seen from outside
    owners: Int[Tensor, "V"]  # the joint that carries most of each vertex


class Skinned(NamedTuple):
    """A surface at rest and who carries it."""

    vertices: Float[Tensor, "V 3"]  # m, round `skeleton.rest_joints()`
    faces: Int[Tensor, "F 3"]  # counter-clockwise seen from outside
    weights: Float[Tensor, "V 55"]  # shares of the joints that carry each vertex; rows sum to 1


class _StandIn(NamedTuple):
    vertices: Float[Tensor, "V 3"]  # m, of the default skeleton at rest
    faces: Int[Tensor, "F 3"]
    weights: Float[Tensor, "V 55"]
    anchors: Float[Tensor, "A 3"]  # m, joints of the default skeleton at rest
    spread: Float[Tensor, "V A"]  # how much of each anchor's shift a vertex takes; rows sum to 1


def surface_of(
    motion: Motion, model: BodyModel | None = None, betas: Float[Tensor, "K"] | None = None
) -> Surface:
    """Return the surface of a dancer.

    A frame takes 126 kB: cut a long motion with `motion.slice`.

    Args:
        motion: a dancer on any skeleton.
        model: a body of SMPL-X, for motions on its bones. Without one it is the stand-in, fitted
            to the bones of the motion and skinned to its joints, wherever they are.
        betas: shape for `model`; by default its mean body.
    """
    if model is not None:
        shape = torch.zeros(BETAS) if betas is None else betas
        surface = Surface(model.vertices(motion, shape), model.faces, model.owners)
        return Surface(*(tensor.to(motion.joints.device) for tensor in surface))
    body = _stand_in()
    rest = fitted_stand_in(motion.skeleton).to(motion.joints)
    weights = body.weights.to(motion.joints)
    at_rest = motion.skeleton.rest_joints().to(motion.joints)
    parts = [
        _skinned(motion.slice(start, start + _CHUNK), rest, at_rest, weights)
        for start in range(0, motion.frames, _CHUNK)
    ]
    device = motion.joints.device
    return Surface(torch.cat(parts), body.faces.to(device), body.weights.argmax(1).to(device))


def skinned_stand_in(skeleton: Skeleton) -> Skinned:
    """Return the stand-in at rest on the bones of a skeleton, and the joints that carry it."""
    body = _stand_in()
    return Skinned(fitted_stand_in(skeleton), body.faces, body.weights)


def fitted_stand_in(skeleton: Skeleton) -> Float[Tensor, "V 3"]:
    """Return the stand-in at rest on the bones of a skeleton, metres.

    The body is scaled as a whole by the length of all bones; what is left between its joints and
    those of the skeleton is spread over the surface by the interpolation of Duchon (1977) with the
    kernel `r`: it meets every joint, and bends what lies between them least.
    """
    body, wanted = _stand_in(), skeleton.rest_joints().double().cpu()
    own = default_skeleton().offsets.double().norm(dim=-1).sum()
    size = skeleton.offsets.double().cpu().norm(dim=-1).sum() / own
    shift = wanted[_ANCHORS] - size * body.anchors
    return size * body.vertices + body.spread @ shift


def _skinned(
    motion: Motion, rest: Tensor, at_rest: Tensor, weights: Tensor
) -> Float[Tensor, "T V 3"]:
    """Return the fitted body blended between the joints: linear blend skinning."""
    offsets = motion.skeleton.offsets.to(motion.joints)
    turns = forward_kinematics(motion.rotations, motion.root, offsets).global_rotations
    # Turning about each joint of the motion itself, which may be off the bones by a little.
    moves = motion.joints - (turns @ at_rest[..., None]).squeeze(-1)
    blended = torch.einsum("vj,tjx->tvx", weights, torch.cat([turns.flatten(2), moves], dim=-1))
    turned = blended[..., :9].unflatten(-1, (3, 3)) @ rest[:, :, None]
    return turned.squeeze(-1) + blended[..., 9:]


@lru_cache(maxsize=1)
def _stand_in() -> _StandIn:
    rest = default_skeleton().rest_joints().double()
    body = skin(rest.numpy())
    vertices, anchors = torch.from_numpy(body.vertices), rest[_ANCHORS]
    count = len(anchors)
    # Interpolation by kernels `r` and a constant; the last row makes the kernels' shares sum to 0.
    system = torch.zeros(count + 1, count + 1, dtype=torch.float64)
    system[:count, :count] = torch.cdist(anchors, anchors)
    system[count, :count] = system[:count, count] = 1
    kernels = torch.cat([torch.cdist(vertices, anchors), torch.ones(len(vertices), 1)], dim=1)
    spread = torch.linalg.solve(system, kernels, left=False)[:, :count]
    return _StandIn(
        vertices, torch.from_numpy(body.faces), torch.from_numpy(body.weights), anchors, spread
    )
