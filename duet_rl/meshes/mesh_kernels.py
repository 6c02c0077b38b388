"""What is asked of two triangle meshes at once, in the language of warp: one function, any device.

Kernels are compiled when they are first launched, so this file is imported where they are needed.
Every mesh is one body in one frame; `frames` says of each item which one it is about.
"""

from typing import no_type_check

import warp as wp

_FAR = wp.constant(1e3)  # m; beyond any mesh
_STEP = wp.constant(1e-6)  # m past a hit from which the next one is looked for
_MOST_HITS = wp.constant(64)  # of one column; a body that is folded has ten
_ACCURACY = wp.constant(1.0)  # of the winding number; 2 says the same and takes twice as long
_INSIDE = wp.constant(0.5)  # winding number from which a point is inside


@no_type_check
@wp.kernel
def edges_crossing(
    meshes: wp.array(dtype=wp.uint64),  # (T) the other body
    points: wp.array2d(dtype=wp.vec3),  # (T, V)
    edges: wp.array2d(dtype=wp.int32),  # (E, 2)
    faces: wp.array2d(dtype=wp.int32),  # (F, 3) of the other body
    owners: wp.array(dtype=wp.int32),  # (V)
    counted: wp.array2d(dtype=wp.int32),  # (owners, owners)
    frames: wp.array(dtype=wp.int32),  # (N)
    which: wp.array(dtype=wp.int32),  # (N) of the edges
    crossing: wp.array(dtype=wp.int32),  # (N) out: whether the edge goes through the other surface
):
    item = wp.tid()
    frame, edge = frames[item], which[item]
    start, end = points[frame, edges[edge, 0]], points[frame, edges[edge, 1]]
    length = wp.length(end - start)
    if length == 0.0:
        return
    hit = wp.mesh_query_ray(meshes[frame], start, (end - start) / length, length)
    if hit.result:
        crossing[item] = counted[owners[edges[edge, 0]], owners[faces[hit.face, 0]]]


@no_type_check
@wp.kernel
def depths(
    meshes: wp.array(dtype=wp.uint64),  # (T) the other body
    points: wp.array2d(dtype=wp.vec3),  # (T, V)
    faces: wp.array2d(dtype=wp.int32),  # (F, 3) of the other body
    owners: wp.array(dtype=wp.int32),  # (V)
    counted: wp.array2d(dtype=wp.int32),  # (owners, owners)
    frames: wp.array(dtype=wp.int32),  # (N)
    which: wp.array(dtype=wp.int32),  # (N) of the vertices
    depth: wp.array(dtype=wp.float32),  # (N) out: m below the other surface, 0 above it
):
    item = wp.tid()
    point = points[frames[item], which[item]]
    mesh = meshes[frames[item]]
    near = wp.mesh_query_point_sign_winding_number(mesh, point, _FAR, _ACCURACY, _INSIDE)
    if near.result and near.sign < 0.0:
        if counted[owners[which[item]], owners[faces[near.face, 0]]] != 0:
            surface = wp.mesh_eval_position(mesh, near.face, near.u, near.v)
            depth[item] = wp.length(surface - point)


@no_type_check
@wp.kernel
def column_overlaps(
    first: wp.array(dtype=wp.uint64),  # (T) one body
    second: wp.array(dtype=wp.uint64),  # (T) the other
    faces: wp.array2d(dtype=wp.int32),  # (F, 3)
    owners: wp.array(dtype=wp.int32),  # (V)
    counted: wp.array2d(dtype=wp.int32),  # (owners, owners)
    frames: wp.array(dtype=wp.int32),  # (N)
    feet: wp.array(dtype=wp.vec3),  # (N) where the columns begin, m
    heights: wp.array(dtype=wp.float32),  # (N) m
    overlap: wp.array(dtype=wp.float32),  # (N) out: m of the column that lie in both bodies
):
    item = wp.tid()
    one, other = first[frames[item]], second[frames[item]]
    foot, height = feet[item], heights[item]
    up = wp.vec3(0.0, 1.0, 0.0)
    inside = wp.float32(0.0)  # so that it may change in the loop
    low = wp.float32(0.0)
    # Between two hits a column is all inside or all outside, and its middle says which.
    for _hit in range(_MOST_HITS):
        if low < height:
            start = foot + up * (low + _STEP)
            high = height
            hit = wp.mesh_query_ray(one, start, up, high - low)
            if hit.result:
                high = low + _STEP + hit.t
            hit = wp.mesh_query_ray(other, start, up, high - low)
            if hit.result:
                high = wp.min(high, low + _STEP + hit.t)
            middle = foot + up * (0.5 * (low + high))
            a = wp.mesh_query_point_sign_winding_number(one, middle, _FAR, _ACCURACY, _INSIDE)
            if a.result and a.sign < 0.0:
                b = wp.mesh_query_point_sign_winding_number(other, middle, _FAR, _ACCURACY, _INSIDE)
                if b.result and b.sign < 0.0:
                    if counted[owners[faces[a.face, 0]], owners[faces[b.face, 0]]] != 0:
                        inside += high - low
            low = high
    overlap[item] = inside
