"""Two bodies in a few frames as meshes of warp, and what is asked of them."""

import atexit
import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duet_rl.errors import InputError

logger = logging.getLogger(__name__)

_CACHE_VARIABLE = "WARP_CACHE_PATH"  # names another folder for what warp has compiled


class Meshes:
    """What all frames of two bodies have in common.

    Args:
        faces: triangles of both, `(F, 3)`, counter-clockwise seen from outside.
        vertices: how many each body has.
        device: where the bodies are, and the work is done.
        owners: a number for each vertex, `(V,)`, that `pairs` is about.
        pairs: whether a meeting of vertices with these numbers counts; by default all do.

    Raises:
        InputError: warp is missing, or knows no such device.
    """

    def __init__(
        self,
        faces: Int[Tensor, "F 3"],
        vertices: int,
        device: torch.device,
        owners: Int[Tensor, "V"] | None = None,
        pairs: Bool[Tensor, "P P"] | None = None,
    ) -> None:
        if owners is None or pairs is None:
            owners = torch.zeros(vertices, dtype=torch.int32)
            pairs = torch.ones(1, 1, dtype=torch.bool)
        if device.type not in ("cpu", "cuda"):
            raise InputError(f"surfaces on {device}; their contact is found on cpu or cuda")
        self.kernels = load_kernels()
        self.faces = faces.to(device, torch.int32).contiguous()
        sides = torch.cat([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]])
        self.edges = sides.sort(dim=1).values.unique(dim=0).contiguous()
        self.owners = owners.to(device, torch.int32).contiguous()
        self.pairs = pairs.to(device, torch.int32).contiguous()

    def pair(self, a: Float[Tensor, "T V 3"], b: Float[Tensor, "T V 3"]) -> "Pair":
        """Return the two bodies in some frames, metres."""
        return Pair(self, a, b)


class Pair:
    """Two bodies in `T` frames. Frames in which the boxes around them are apart are left out."""

    def __init__(
        self, meshes: Meshes, a: Float[Tensor, "T V 3"], b: Float[Tensor, "T V 3"]
    ) -> None:
        low = torch.maximum(a.amin(1), b.amin(1))
        high = torch.minimum(a.amax(1), b.amax(1))
        self._meshes, self._frames = meshes, len(a)
        self._near = (low <= high).all(-1).nonzero()[:, 0]
        # About the middle of the box that both reach into: the place in the room changes nothing.
        middle = (low + high)[self._near] / 2
        self._low, self._high = low[self._near] - middle, high[self._near] - middle
        self._bodies = [
            (body[self._near] - middle[:, None]).to(torch.float32).contiguous() for body in (a, b)
        ]
        with self._on_device():
            self._trees = [[self._tree(frame) for frame in body] for body in self._bodies]
            self._ids = [self._ids_of(trees) for trees in self._trees]

    def crossing(self) -> Bool[Tensor, "T"]:
        """Return whether the two surfaces cross: an edge of the one goes through the other."""
        crossing = self._low.new_zeros(len(self._near), dtype=torch.bool)
        for own, other in ((0, 1), (1, 0)):
            ends = self._bodies[own][:, self._meshes.edges.long()]  # (T, E, 2, 3)
            frames, edges = self._reaching(ends.amin(2), ends.amax(2))
            found = torch.zeros_like(frames)
            self._ask("edges_crossing", own, other, frames, edges, found)
            crossing[frames[found > 0].long()] = True
        return self._all_frames(crossing)

    def depth(self) -> Float[Tensor, "T"]:
        """Return how deep the deepest vertex of either lies below the other's surface, metres."""
        depth = self._low.new_zeros(len(self._near), dtype=torch.float32)
        for own, other in ((0, 1), (1, 0)):
            points = self._bodies[own]
            frames, vertices = self._reaching(points, points)
            found = torch.zeros_like(frames, dtype=torch.float32)
            self._ask("depths", own, other, frames, vertices, found)
            depth.scatter_reduce_(0, frames.long(), found, "amax")
        return self._all_frames(depth)

    def volume(self, wanted: Bool[Tensor, "T"], side: float) -> Float[Tensor, "T"]:
        """Return how much of space lies in both bodies, m^3.

        Args:
            wanted: frames to look at; the others have none.
            side: of the square columns that are summed, metres.
        """
        volume = self._low.new_zeros(len(self._near), dtype=torch.float32)
        counts = ((self._high - self._low) / side).ceil().long().clamp_min(1)  # (T, 3)
        columns = torch.where(wanted[self._near], counts[:, 0] * counts[:, 2], 0)
        frames = torch.arange(len(columns), device=columns.device).repeat_interleave(columns)
        first = torch.cumsum(columns, 0) - columns
        number = torch.arange(len(frames), device=columns.device) - first[frames]
        place = torch.stack([number // counts[frames, 2], number % counts[frames, 2]], dim=-1)
        feet = self._low[frames].to(torch.float32)
        feet[:, [0, 2]] += (place + 0.5) * side
        heights = (self._high - self._low)[frames, 1].to(torch.float32)
        found = torch.zeros_like(heights)
        meshes = self._meshes
        self._launch(
            "column_overlaps",
            len(frames),
            *(self._ids[0], self._ids[1], meshes.faces, meshes.owners, meshes.pairs),
            *(frames.to(torch.int32), feet.contiguous(), heights, found),
        )
        volume.index_add_(0, frames, found)
        return self._all_frames(volume * side * side)

    def _reaching(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return frame and number of what reaches into the box that both bodies reach into.

        Args:
            low: corners of things, `(T, N, 3)`, metres.
            high: their other corners.
        """
        reaching = (low <= self._high[:, None]).all(-1) & (high >= self._low[:, None]).all(-1)
        frames, numbers = reaching.nonzero().to(torch.int32).unbind(1)
        return frames.contiguous(), numbers.contiguous()

    def _ask(
        self, kernel: str, own: int, other: int, frames: Tensor, which: Tensor, found: Tensor
    ) -> None:
        """Ask of edges or vertices of one body how they lie to the other."""
        meshes = self._meshes
        given = [self._ids[other], self._bodies[own]]
        given += [meshes.edges] if kernel == "edges_crossing" else []
        given += [meshes.faces, meshes.owners, meshes.pairs, frames, which, found]
        self._launch(kernel, len(frames), *given)

    def _launch(self, kernel: str, count: int, *given: Any) -> None:
        kernels = self._meshes.kernels
        if not count:
            return
        with self._on_device():
            kernels.wp.launch(
                getattr(kernels, kernel),
                dim=count,
                inputs=[self._to_warp(array) for array in given],
                device=kernels.wp.device_from_torch(self._low.device),
            )

    def _to_warp(self, array: Any) -> Any:
        warp = self._meshes.kernels.wp
        if not isinstance(array, Tensor):
            return array
        points = array.dtype == torch.float32 and array.ndim > 1
        return warp.from_torch(array, dtype=warp.vec3 if points else None)

    def _tree(self, vertices: Float[Tensor, "V 3"]) -> Any:
        """Return a mesh with a tree of boxes, and its winding number."""
        indices = self._to_warp(self._meshes.faces.flatten())
        return self._meshes.kernels.wp.Mesh(
            self._to_warp(vertices), indices, support_winding_number=True
        )

    def _ids_of(self, trees: list[Any]) -> Any:
        warp = self._meshes.kernels.wp
        device = warp.device_from_torch(self._low.device)
        return warp.array([tree.id for tree in trees], dtype=warp.uint64, device=device)

    def _all_frames(self, near: Tensor) -> Tensor:
        """Return values of the frames that were looked at, and zero for the others."""
        return near.new_zeros(self._frames).index_copy_(0, self._near, near)

    def _on_device(self) -> contextlib.AbstractContextManager[Any]:
        """On a GPU, let warp work in torch's own queue, so that neither runs ahead of the other."""
        if self._low.device.type != "cuda":
            return contextlib.nullcontext()
        warp = self._meshes.kernels.wp
        return warp.ScopedStream(warp.stream_from_torch(self._low.device))


@lru_cache(maxsize=1)
def load_kernels() -> ModuleType:
    """Return `meshes/mesh_kernels.py`, with warp started.

    Raises:
        InputError: warp is not installed.
    """
    try:
        import warp
    except ImportError as error:
        raise InputError(
            "contact of surfaces needs the package warp-lang, which is not installed; "
            "run: pip install 'duet-rl[mesh]'"
        ) from error
    _start(warp)
    from duet_rl.meshes import mesh_kernels

    return mesh_kernels


def _start(warp: Any) -> None:
    """Start warp with a folder for what it compiles: its own, or one that goes with the process."""
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)  # no greeting
    with _silence():
        try:
            warp.init()
            if os.access(warp.config.kernel_cache_dir, os.W_OK):
                return
            refused = warp.config.kernel_cache_dir
        except OSError as error:
            refused = error.filename
    folder = tempfile.TemporaryDirectory(prefix="duet_rl_warp_")
    atexit.register(folder.cleanup)
    logger.warning(
        "%s cannot be written, so every process compiles the contact of surfaces anew (some "
        "seconds); let %s name a folder that can",
        refused,
        _CACHE_VARIABLE,
    )
    warp.config.kernel_cache_dir = folder.name
    with _silence():
        warp.init()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what warp's own library says about a GPU that is not there: nobody missed it."""
    if torch.cuda.is_available():
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
