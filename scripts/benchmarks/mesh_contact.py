"""Which library finds the contact of two bodies? Speed, and whether they agree, on real frames.

    pip install libigl manifold3d python-fcl trimesh coal     # each is left out where it is missing
    python scripts/benchmarks/mesh_contact.py --couples FOLDER leader='60_*' follower='61_*' \
        fps=60 scale=1.5

Three questions of two surfaces with 10,475 vertices: do they meet, how deep, how much overlaps.
Every frame is a new pair of shapes, so trees are built anew; that is in the times.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import print_table, write_results
from couples import captured, moved_together, some_frames, synthetic

from duet_rl.body.motion import Duet
from duet_rl.meshes.mesh_contact import COLUMN, duolando_contact, mesh_contact
from duet_rl.meshes.mesh_pair import Meshes
from duet_rl.meshes.skinning import surface_of

Answer = Callable[[np.ndarray, np.ndarray, np.ndarray], float]  # of one frame

SEED = 0
NEARER = (0.0, 0.3)  # m that the follower is moved to the leader
FINE = 0.005  # m; side of the columns that the usual ones are judged by


def fcl_meets(a: np.ndarray, b: np.ndarray, faces: np.ndarray) -> float:
    fcl = importlib.import_module("fcl")  # what trimesh asks for collisions

    def tree(vertices: np.ndarray) -> Any:
        model = fcl.BVHModel()
        model.beginModel(len(vertices), len(faces))
        model.addSubModel(vertices, faces)
        model.endModel()
        return fcl.CollisionObject(model, fcl.Transform())

    return float(fcl.collide(tree(a), tree(b), fcl.CollisionRequest(), fcl.CollisionResult()) > 0)


def trimesh_meets(a: np.ndarray, b: np.ndarray, faces: np.ndarray) -> float:
    trimesh = importlib.import_module("trimesh")
    importlib.import_module("fcl")
    manager = trimesh.collision.CollisionManager()
    manager.add_object("a", trimesh.Trimesh(a, faces, process=False))
    return float(manager.in_collision_single(trimesh.Trimesh(b, faces, process=False)))


def coal_meets(a: np.ndarray, b: np.ndarray, faces: np.ndarray) -> float:
    coal = importlib.import_module("coal")

    def tree(vertices: np.ndarray) -> Any:
        model = coal.BVHModelOBBRSS()
        model.beginModel(len(faces), len(vertices))
        model.addVertices(vertices)
        model.addTriangles(faces)
        model.endModel()
        return model

    result, still = coal.CollisionResult(), coal.Transform3s()
    coal.collide(tree(a), still, tree(b), still, coal.CollisionRequest(), result)
    return float(result.isCollision())


def igl_depth(a: np.ndarray, b: np.ndarray, faces: np.ndarray) -> float:
    igl = importlib.import_module("igl")
    deepest = 0.0
    for own, other in ((a, b), (b, a)):
        square = igl.point_mesh_squared_distance(own, other, faces)[0]
        inside = igl.fast_winding_number(other, faces, own) > 0.5
        deepest = max(deepest, float(np.sqrt((square * inside).max())))
    return deepest


def manifold_volume(a: np.ndarray, b: np.ndarray, faces: np.ndarray) -> float:
    manifold3d = importlib.import_module("manifold3d")
    one, other = (
        manifold3d.Manifold(manifold3d.Mesh(v.astype(np.float32), faces.astype(np.uint32)))
        for v in (a, b)
    )
    return float((one ^ other).volume())


OTHERS: dict[str, tuple[str, Answer]] = {
    "python-fcl": ("touching", fcl_meets),
    "trimesh + fcl": ("touching", trimesh_meets),
    "coal": ("touching", coal_meets),
    "manifold3d, boolean": ("touching", manifold_volume),
    "libigl": ("depth_mm", igl_depth),
    "manifold3d": ("litres", manifold_volume),
}
SCALE = {"touching": 1.0, "depth_mm": 1e3, "litres": 1e3}


def our_answers(a: torch.Tensor, b: torch.Tensor, faces: torch.Tensor) -> list[dict[str, Any]]:
    """Return what warp says, with the time of each question."""
    meshes = Meshes(faces, a.shape[1], a.device)
    mesh_contact(a[:1], b[:1], faces)  # compiled before the clock runs
    asked: dict[str, Callable[[], torch.Tensor]] = {
        "touching": lambda: meshes.pair(a, b).crossing().float(),
        "depth_mm": lambda: meshes.pair(a, b).depth() * 1e3,
        "litres": lambda: meshes.pair(a, b).volume(touching, COLUMN) * 1e3,
        "all three": lambda: mesh_contact(a, b, faces).depth * 1e3,
        "Duolando's": lambda: duolando_contact(a, b, faces).float(),
    }
    touching = torch.ones(len(a), dtype=torch.bool)
    rows = []
    for question, ask in asked.items():
        begin = time.perf_counter()
        answer = ask()
        ms = 1e3 * (time.perf_counter() - begin) / len(a)
        if question == "touching":
            touching = answer > 0
        rows.append({"library": "warp", "question": question, "ms": ms, "answer": answer.numpy()})
    return rows


def compared(name: str, duets: list[Duet]) -> list[dict[str, Any]]:
    """Return a row for each library and question, over all frames of some couples."""
    triangles = surface_of(duets[0].leader).faces
    bodies = [
        torch.cat([surface_of(getattr(duet, role)).vertices for duet in duets])
        for role in ("leader", "follower")
    ]
    ours = our_answers(bodies[0], bodies[1], triangles)
    known = {row["question"]: row["answer"] for row in ours}
    rows = [_row(name, row["library"], row["question"], row["ms"], row["answer"]) for row in ours]
    fine = mesh_contact(bodies[0], bodies[1], triangles, column=FINE)
    answer = 1e3 * fine.volume.numpy()
    rows.append(_row(name, "warp, columns of 5 mm", "litres", None, answer, known["litres"]))
    faces = triangles.numpy()
    surfaces = [body.double().numpy() for body in bodies]
    for library, (question, ask) in OTHERS.items():
        try:
            ask(surfaces[0][0], surfaces[1][0], faces)
        except ImportError:
            continue
        begin = time.perf_counter()
        found = [ask(a, b, faces) for a, b in zip(*surfaces, strict=True)]
        ms = 1e3 * (time.perf_counter() - begin) / len(found)
        answer = SCALE[question] * np.array(found)
        answer = (answer > 0).astype(float) if question == "touching" else answer
        rows.append(_row(name, library, question, ms, answer, known[question]))
    return rows


def _row(
    couples: str,
    library: str,
    question: str,
    ms: float | None,
    answer: np.ndarray,
    ours: np.ndarray | None = None,
) -> dict[str, Any]:
    differs = None if ours is None else np.abs(answer - ours)
    return {
        "couples": couples,
        "library": library,
        "question": question,
        "frames": len(answer),
        "ms_a_frame": None if ms is None else round(ms, 1),
        "mean": f"{answer.mean():.4f}",
        "warp_differs_mean": None if differs is None else f"{differs.mean():.4f}",
        "warp_differs_most": None if differs is None else f"{differs.max():.4f}",
    }


def first_use() -> dict[str, Any]:
    """Return how long the first answer takes where nothing is compiled yet, and the next time."""
    program = (
        "import time, torch; from duet_rl.meshes.mesh_contact import mesh_contact; "
        "x = torch.rand(1, 4, 3); f = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]); "
        "t = time.perf_counter(); mesh_contact(x, x + 0.1, f); print(time.perf_counter() - t)"
    )
    row: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first_s", "next_process_s"):
            environment = {**os.environ, "WARP_CACHE_PATH": folder}
            done = subprocess.run(
                [sys.executable, "-c", program],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            row[name] = round(float(done.stdout), 2)
        kept = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return row | {"kept_kB": round(kept / 1e3)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="KEY=VALUE: how the couples are read")
    parser.add_argument("--couples", type=Path, required=True, help="folder of captured couples")
    parser.add_argument("--takes", type=int, default=4, help="of each world")
    parser.add_argument("--frames", type=int, default=8, help="of each take")
    options = parser.parse_args()
    torch.set_num_threads(1)
    compiled = [first_use()]
    print_table(compiled)
    write_results("mesh_contact_compile", compiled, SEED)
    worlds = {
        "captured": captured(options.couples, options.settings, options.takes),
        "synthetic": synthetic(options.takes),
    }
    rows = []
    for nearer in NEARER:
        for world, couples in worlds.items():
            clips = [
                moved_together(some_frames(couple.duet, options.frames), nearer)
                for couple in couples
            ]
            rows += compared(f"{world}, {nearer:g} m nearer", clips)
    print_table(rows)
    print(write_results("mesh_contact", rows, SEED))


if __name__ == "__main__":
    main()
