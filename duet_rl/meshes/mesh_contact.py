"""Contact of two bodies on their surfaces: do they meet, how deep, and how much of them overlaps.

Needs the package warp (extra `mesh`): the same functions run on CPU and GPU, and nothing is built
when it is installed. It compiles them on their first use, and keeps them (`docs/contact.md`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.body.motion import Duet
from duet_rl.body.skeleton import FEET, JOINT, LEFT_HAND, NUM_JOINTS, RIGHT_HAND, WRISTS
from duet_rl.errors import InputError
from duet_rl.meshes.mesh_pair import Meshes
from duet_rl.meshes.skinning import Surface, surface_of
from duet_rl.meshes.smplx import BodyModel

COLUMN = 0.015  # m; side of the square columns whose heights in both bodies make the volume
SWELL = 0.01  # m along its normals by which Duolando lets a body grow before it touches
SOFTENER = 1e-5  # what Duolando adds to a length before it divides by it

_CHUNK = 16  # frames whose meshes are held at once: 150 MB


class MeshContact(NamedTuple):
    """How two surfaces meet in each frame."""

    touching: Bool[Tensor, "T"]  # they cross, or one lies within the other
    depth: Float[Tensor, "T"]  # m; of the deepest vertex of either below the other's surface
    volume: Float[Tensor, "T"]  # m^3 that lie in both bodies


class Counted(NamedTuple):
    """Which places of two bodies count when they meet."""

    owners: Int[Tensor, "V"]  # the joint that carries each vertex
    pairs: Bool[Tensor, "55 55"]  # whether what these joints carry may be meant; symmetric


def bodies_only(owners: Int[Tensor, "V"]) -> Counted:
    """Return what the capsules count too: no hands, no feet, and no forearm against a forearm.

    Hands are there to touch and feet to step between the partner's; held hands cross forearms.

    Args:
        owners: of a surface (`Surface.owners`).
    """
    pairs = torch.ones(NUM_JOINTS, NUM_JOINTS, dtype=torch.bool)
    ends = [*WRISTS, *LEFT_HAND, *RIGHT_HAND, *FEET]
    pairs[ends], pairs[:, ends] = False, False
    forearms = torch.tensor([JOINT["left_elbow"], JOINT["right_elbow"]])
    pairs[forearms[:, None], forearms] = False
    return Counted(owners, pairs)


@torch.no_grad()
def mesh_contact(
    vertices_a: Float[Tensor, "T V 3"],
    vertices_b: Float[Tensor, "T V 3"],
    faces: Int[Tensor, "F 3"],
    counted: Counted | None = None,
    column: float = COLUMN,
) -> MeshContact:
    """Return how two bodies of one topology meet in each frame, on the device of the input.

    An edge of the one that goes through a face of the other is a contact, so is a vertex within
    the other by its winding number (Barill et al., Fast Winding Numbers, 2018): holes and folds of
    the surface do no harm. The volume is the sum of vertical columns, each to the exact height at
    its middle. Frames in which the boxes around the bodies are apart cost next to nothing.

    Depth is the way out of the other body. When a limb is more than half through, the way is out
    on the far side, and depth falls again; the volume does not.

    Args:
        vertices_a: one body, metres, Y-up.
        vertices_b: the other, in the same axes.
        faces: triangles of both, counter-clockwise seen from outside.
        counted: places that count; by default all. A vertex, edge or column counts for where it is
            on its own body and for what is nearest on the other.
        column: side of a column, metres; half of it takes four times as long.

    Raises:
        InputError: shapes or triangles that do not fit, NaN, or warp is missing.
    """
    _check(vertices_a, vertices_b, faces, column)
    if counted is not None and len(counted.owners) != vertices_a.shape[1]:
        raise InputError(
            f"owners of {len(counted.owners)} vertices for a surface of {vertices_a.shape[1]}; "
            "give those of this surface"
        )
    owners, pairs = counted or (None, None)
    meshes = Meshes(faces, vertices_a.shape[1], vertices_a.device, owners, pairs)
    parts = []
    for start in range(0, len(vertices_a), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        pair = meshes.pair(vertices_a[chunk], vertices_b[chunk])
        crossing, depth = pair.crossing(), pair.depth()
        touching = crossing | (depth > 0)
        parts.append((touching, depth, pair.volume(touching, column)))
    if not parts:
        none = vertices_a.new_zeros(0, dtype=torch.float32)
        return MeshContact(none.bool(), none, none)
    return MeshContact(*(torch.cat(part) for part in zip(*parts, strict=True)))


@torch.no_grad()
def couple_contact(
    duet: Duet,
    models: tuple[BodyModel, BodyModel] | None = None,
    bodies: bool = True,
    column: float = COLUMN,
) -> MeshContact:
    """Return how the bodies of a couple meet in each frame; memory does not grow with its length.

    Args:
        duet: a couple on any skeletons.
        models: bodies of leader and follower, if they are SMPL-X; see `surface_of`.
        bodies: count what `bodies_only` counts, and not hands and feet.
        column: see `mesh_contact`.
    """
    parts = []
    for start in range(0, duet.frames, _CHUNK):
        leader, follower = _surfaces(duet.slice(start, start + _CHUNK), models)
        counted = bodies_only(leader.owners) if bodies else None
        parts.append(
            mesh_contact(leader.vertices, follower.vertices, leader.faces, counted, column)
        )
    return MeshContact(*(torch.cat(part) for part in zip(*parts, strict=True)))


@torch.no_grad()
def duolando_contact(
    vertices_a: Float[Tensor, "T V 3"],
    vertices_b: Float[Tensor, "T V 3"],
    faces: Int[Tensor, "F 3"],
) -> Bool[Tensor, "T"]:
    """Return in which frames two bodies are in contact as Duolando counts it (`contact_frequency`).

    Both bodies grow by `SWELL` along `softened_normals`; then any two triangles that cross are a
    contact, be they hands or feet. Triangles of one body that cross each other do not count, and
    a body that lies within the other without crossing it does not touch it.

    Raises:
        InputError: as `mesh_contact`.
    """
    _check(vertices_a, vertices_b, faces, COLUMN)
    meshes = Meshes(faces, vertices_a.shape[1], vertices_a.device)
    crossing = []
    for start in range(0, len(vertices_a), _CHUNK):
        grown = (
            body[start : start + _CHUNK]
            + SWELL * softened_normals(body[start : start + _CHUNK], faces)
            for body in (vertices_a, vertices_b)
        )
        crossing.append(meshes.pair(*grown).crossing())
    return torch.cat(crossing) if crossing else vertices_a.new_zeros(0, dtype=torch.bool)


def contact_frequency(in_contact: Sequence[Bool[Tensor, "_"]]) -> float:
    """Return the share of frames in contact over all takes; NaN where there is no frame.

    Args:
        in_contact: of each take, what `duolando_contact` says of it.
    """
    frames = sum(len(take) for take in in_contact)
    return sum(int(take.sum()) for take in in_contact) / frames if frames else float("nan")


def softened_normals(
    vertices: Float[Tensor, "T V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "T V 3"]:
    """Return Duolando's normals, outwards: the sum of those of the faces around, of unit length.

    Quirk: `SOFTENER` is added to both lengths that are divided by, that of a face's cross product
    (twice its area, m^2, and so no small thing to the faces of a finger) and that of the sum.
    Normals are a little shorter than 1, and small faces weigh less than large ones.
    """
    faces = faces.to(vertices.device)
    a, b, c = (vertices[:, faces[:, corner]] for corner in range(3))
    across = torch.linalg.cross(b - a, c - a)
    across = across / (across.norm(dim=-1, keepdim=True) + SOFTENER)
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals.index_add_(1, faces[:, corner], across)
    return normals / (normals.norm(dim=-1, keepdim=True) + SOFTENER)


def _surfaces(duet: Duet, models: tuple[BodyModel, BodyModel] | None) -> tuple[Surface, Surface]:
    leader, follower = models or (None, None)
    return surface_of(duet.leader, leader), surface_of(duet.follower, follower)


def _check(a: Tensor, b: Tensor, faces: Tensor, column: float) -> None:
    """Refuse what is no two bodies of one topology over the same frames."""
    if a.shape != b.shape or a.ndim != 3 or a.shape[-1] != 3:
        raise InputError(
            f"surfaces of shapes {tuple(a.shape)} and {tuple(b.shape)}; wanted (T, V, 3) twice: "
            "the same frames of two bodies with the same triangles"
        )
    if a.device != b.device:
        raise InputError(
            f"one surface on {a.device}, the other on {b.device}; move one to the other"
        )
    if not len(faces) or not 0 <= int(faces.min()) <= int(faces.max()) < a.shape[1]:
        raise InputError(
            f"{len(faces)} triangles that do not fit {a.shape[1]} vertices; give the triangles of "
            "this surface"
        )
    if not column > 0:
        raise InputError(f"columns of {column} m; wanted a side above 0")
    for body in (a, b):
        finite = torch.isfinite(body).flatten(1).all(1)
        if not finite.all():
            frame = int(finite.int().argmin())
            raise InputError(
                f"vertices hold NaN or infinity, first in frame {frame}; repair or cut the take"
            )
