"""A closed triangle mesh with a wanted number of vertices around everything inside a surface."""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

Vertices = Float[np.ndarray, "V 3"]
Faces = Int[np.ndarray, "F 3"]

Voxel = tuple[int, int, int]

# The eight voxels round a corner.
_CUBE: tuple[Voxel, ...] = tuple((x, y, z) for x, y, z in product((0, 1), repeat=3))


def voxel_quads(
    inside: Bool[np.ndarray, "X Y Z"],
) -> tuple[Int[np.ndarray, "V 3"], Int[np.ndarray, "Q 4"]]:
    """Return the boundary of a set of voxels: lattice corners and the squares between them.

    Every edge lies between exactly two squares if the set has passed `without_pinches`. Corner
    `(i, j, k)` is the corner of voxel `(i, j, k)` that is nearest to the origin; squares are
    counter-clockwise seen from outside. The outermost voxels must be empty.
    """
    squares = []
    for axis in range(3):
        u, v = np.eye(3, dtype=np.int64)[[(axis + 1) % 3, (axis + 2) % 3]]
        solid = np.moveaxis(inside, axis, 0)
        for upwards in (True, False):
            here, beyond = (solid[:-1], solid[1:]) if upwards else (solid[1:], solid[:-1])
            cells = np.argwhere(np.moveaxis(here & ~beyond, 0, axis))
            corner = cells + np.eye(3, dtype=np.int64)[axis]
            around = (corner, corner + u, corner + u + v, corner + v)
            squares.append(np.stack(around if upwards else around[::-1], axis=1))
    corners, quads = np.unique(np.concatenate(squares).reshape(-1, 3), axis=0, return_inverse=True)
    return corners, quads.reshape(-1, 4)


def without_pinches(
    inside: Bool[np.ndarray, "X Y Z"], value: Float[np.ndarray, "X Y Z"]
) -> Bool[np.ndarray, "X Y Z"]:
    """Return the set with voxels added until nothing hangs together by an edge or a corner only.

    Args:
        inside: voxels.
        value: what is lowest is added first.
    """
    inside = inside.copy()
    clean = _clean_patterns()
    steps = np.array(_CUBE)
    while True:
        bits = [_shifted(inside, step) << bit for bit, step in enumerate(_CUBE)]
        pattern = np.sum(bits, axis=0)
        pinched = np.argwhere(~clean[pattern])
        if not len(pinched):
            return inside
        for corner in pinched:
            around = corner + steps
            empty = around[~inside[tuple(around.T)]]
            if len(empty):
                inside[tuple(empty[value[tuple(empty.T)].argmin()])] = True


def relaxed(
    vertices: Vertices,
    neighbours: scipy.sparse.csr_array,
    surface: Callable[[Vertices], tuple[np.ndarray, np.ndarray]],
    rounds: int,
    speed: float = 0.6,
) -> Vertices:
    """Return the vertices spread evenly on the surface.

    Args:
        vertices: where they begin, near the surface, metres.
        neighbours: row v holds the share that each neighbour of v has in their mean.
        surface: value and gradient at given points.
        rounds: how often each vertex goes towards its neighbours and back to the surface.
        speed: share of the way to their mean.
    """
    for _ in range(rounds):
        vertices = vertices + speed * (neighbours @ vertices - vertices)
        value, outwards = surface(vertices)
        steepness = np.maximum((outwards * outwards).sum(1), 0.05)
        vertices = vertices - (value / steepness)[:, None] * outwards
    return vertices


def mean_of_neighbours(faces: Int[np.ndarray, "F K"], count: int) -> scipy.sparse.csr_array:
    """Return the matrix that takes `count` vertices to the means of their neighbours."""
    ends = np.concatenate([faces[:, [a, b]] for a, b in pairwise([*range(faces.shape[1]), 0])])
    ends = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    rows = scipy.sparse.csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    return scipy.sparse.csr_array(scipy.sparse.diags_array(1 / rows.sum(axis=1)) @ rows)


def triangles(vertices: Vertices, quads: Int[np.ndarray, "Q 4"]) -> Faces:
    """Return each quad cut along its shorter diagonal."""
    a, b, c, d = quads.T
    first = _length(vertices, a, c) <= _length(vertices, b, d)
    halves = np.where(
        first[:, None, None],
        np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1),
        np.stack([np.stack([a, b, d], 1), np.stack([b, c, d], 1)], 1),
    )
    return halves.reshape(-1, 3)


def with_vertices(
    vertices: Vertices, faces: Faces, wanted: int
) -> tuple[Float[np.ndarray, "W 3"], Int[np.ndarray, "G 3"]]:
    """Return the mesh with the longest edges halved until it has `wanted` vertices.

    Halving an edge cuts the two triangles beside it, so a closed mesh stays closed. No triangle is
    cut twice in one pass.
    """
    assert len(vertices) <= wanted, f"{len(vertices)} vertices are more than the {wanted} wanted"
    while len(vertices) < wanted:
        edges, sides = _edges(faces)  # (E, 2), (E, 2): the triangles left and right of each
        order = np.argsort(-_length(vertices, *edges.T), kind="stable")
        cut = np.zeros(len(faces), bool)
        chosen: list[int] = []
        for edge in order.tolist():
            if len(vertices) + len(chosen) == wanted:
                break
            if not cut[sides[edge]].any():
                cut[sides[edge]] = True
                chosen.append(edge)
        new = len(vertices) + np.arange(len(chosen))
        ends = edges[chosen]
        vertices = np.concatenate([vertices, vertices[ends].mean(axis=1)])
        halves = []
        for side in (0, 1):
            whole = faces[sides[chosen, side]]
            at = ((whole != ends[:, :1]) & (whole != ends[:, 1:])).argmax(1)  # the far corner
            far, one, other = (
                np.take_along_axis(whole, (at[:, None] + k) % 3, 1)[:, 0] for k in range(3)
            )
            halves += [np.stack([far, one, new], 1), np.stack([far, new, other], 1)]
        faces = np.concatenate([faces[~cut], *halves])
    return vertices, faces


def volume(vertices: Vertices, faces: Faces) -> float:
    """Return what a closed mesh encloses, m^3; negative if its faces look inwards."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def _edges(faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Return every edge once, and the two triangles beside it."""
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    triangle = np.tile(np.arange(len(faces)), 3)
    half.sort(axis=1)
    order = np.lexsort(half.T)
    half, triangle = half[order], triangle[order]
    assert (half[::2] == half[1::2]).all(), "an edge does not lie between two triangles"
    return half[::2], np.stack([triangle[::2], triangle[1::2]], 1)


def _length(vertices: Vertices, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vertices[a] - vertices[b], axis=1)


def _shifted(inside: np.ndarray, step: Voxel) -> np.ndarray:
    x, y, z = (slice(s, size - 1 + s) for s, size in zip(step, inside.shape, strict=True))
    return inside[x, y, z]


@lru_cache(maxsize=1)
def _clean_patterns() -> np.ndarray:
    """Return for all 256 ways to fill eight voxels whether full and empty ones hang together."""
    clean = np.zeros(256, bool)
    for pattern in range(256):
        full = {voxel for bit, voxel in enumerate(_CUBE) if pattern >> bit & 1}
        clean[pattern] = _connected(full) and _connected(set(_CUBE) - full)
    return clean


def _connected(voxels: set[Voxel]) -> bool:
    found = set(sorted(voxels)[:1])
    while True:
        more = {v for v in voxels - found if any(_beside(v, other) for other in found)}
        if not more:
            return found == voxels
        found |= more


def _beside(a: Voxel, b: Voxel) -> bool:
    return sum(abs(p - q) for p, q in zip(a, b, strict=True)) == 1
