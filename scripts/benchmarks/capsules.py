"""Do twelve capsules say of two bodies what their surfaces say? Would other radii say it better?

    python scripts/benchmarks/capsules.py --couples FOLDER leader='60_*' follower='61_*' \
        fps=60 scale=1.5

True couples as danced and with the follower moved nearer, so that every depth occurs; bodies of the
stand-in. Hands, feet and forearms on forearms are left out of both, as the capsules leave them out.
Radii are fitted on one world and judged on the other.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from bench import print_table, write_results
from couples import Couple, captured, moved_together, some_frames, synthetic
from jaxtyping import Bool, Float
from scipy.stats import spearmanr
from torch import Tensor

from duet_rl.body.capsules import CAPSULES, segment_distance
from duet_rl.meshes.mesh_contact import couple_contact
from duet_rl.metrics.duet import TOUCH_DEPTH
from duet_rl.rewards.contact import ContactConfig

SEED = 0
NEARER = (0.0, 0.1, 0.2, 0.3, 0.4)  # m
SHALLOW = 0.06  # m; deeper, a surface's way out may be the far side, and depth says less
FIT_STEPS, FIT_RATE = 1500, 1e-3  # steps of Adam; m
KEEP = 1e-3  # how much a fit minds leaving the radii that are there, against the error

KINDS = list(dict.fromkeys(c.name.removeprefix("left_").removeprefix("right_") for c in CAPSULES))
KIND = [next(i for i, kind in enumerate(KINDS) if c.name.endswith(kind)) for c in CAPSULES]


class Sample(NamedTuple):
    """Frames of one world."""

    nearer: Float[Tensor, "N"]  # m that the follower was moved
    apart: Float[Tensor, "N P P"]  # m between the segments of the two dancers' capsules
    depth: Float[Tensor, "N"]  # m, of the surfaces without hands and feet
    volume: Float[Tensor, "N"]  # m^3
    any_depth: Float[Tensor, "N"]  # m, with hands and feet


def sample(couples: Sequence[Couple], frames: int) -> Sample:
    """Measure some frames of every couple, moved together in every way."""
    parts = []
    for couple in couples:
        for nearer in NEARER:
            duet = moved_together(some_frames(couple.duet, frames), nearer)
            bodies, whole = couple_contact(duet), couple_contact(duet, bodies=False)
            ends = [
                body.joints[:, [getattr(capsule, end) for capsule in CAPSULES]]
                for body in (duet.follower, duet.leader)
                for end in ("start", "end")
            ]
            shift = torch.full((frames,), nearer)
            parts.append(
                Sample(shift, segment_distance(*ends), bodies.depth, bodies.volume, whole.depth)
            )
    return Sample(*(torch.cat(part) for part in zip(*parts, strict=True)))


def clearance(apart: Tensor, radii: Float[Tensor, "K"]) -> Float[Tensor, "N"]:
    """Return the overlap of the worst pair of capsules, metres; negative where they are apart."""
    own = radii[KIND]
    forearms = torch.tensor(["forearm" in capsule.name for capsule in CAPSULES])
    reach = (own[:, None] + own) * ~(forearms[:, None] & forearms)
    return (reach - apart).flatten(1).amax(1)


def fitted(data: Sample, start: Float[Tensor, "K"]) -> Float[Tensor, "K"]:
    """Return the radii with the least square error where depth is shallow, and right beyond."""
    radii = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([radii], lr=FIT_RATE)
    for _ in range(FIT_STEPS):
        found = clearance(data.apart, radii)
        wrong = torch.where(data.depth > 0, found - data.depth, found.clamp_min(0))
        wrong = torch.where(data.depth < SHALLOW, wrong, (SHALLOW - found).clamp_min(0))
        loss = wrong.square().mean() + KEEP * (radii - start).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return radii.detach()


def agreement(world: str, name: str, data: Sample, radii: Tensor) -> dict[str, Any]:
    """Return one row: how capsules of these radii agree with the surfaces."""
    found = clearance(data.apart, radii).clamp_min(0)
    either = (found > 0) | (data.depth > 0)
    shallow = either & (data.depth < SHALLOW)
    wrong = 1000 * (found - data.depth)
    config = ContactConfig()
    true = found[data.nearer == 0]
    room = torch.exp(-(true - config.free_depth).clamp_min(0) / config.depth_scale)
    return {
        "world": world,
        "radii": name,
        "frames": len(found),
        "overlap": _share(data.depth > 0),
        "rank_depth": _rank(found, data.depth),
        "rank_volume": _rank(found, data.volume),
        "rank_with_hands": _rank(found, data.any_depth),
        "bias_mm": round(float(wrong[either].mean()), 1),
        "error_mm": round(float(wrong[either].abs().mean()), 1),
        "shallow_bias_mm": round(float(wrong[shallow].mean()), 1),
        "shallow_error_mm": round(float(wrong[shallow].abs().mean()), 1),
        "overlap_p_r_f1": _scores(found > 0, data.depth > 0),
        "touch_depth_p_r_f1": _scores(found > TOUCH_DEPTH, data.depth > 0),
        "both_touch_depth_p_r_f1": _scores(found > TOUCH_DEPTH, data.depth > TOUCH_DEPTH),
        "true_partners_room": round(float(room.mean()), 4),
    }


def by_distance(world: str, data: Sample, radii: Tensor) -> list[dict[str, Any]]:
    """Return a row for every distance that the follower was moved."""
    rows = []
    for nearer in NEARER:
        chosen = data.nearer == torch.tensor(nearer)
        found = clearance(data.apart[chosen], radii).clamp_min(0)
        rows.append(
            {
                "world": world,
                "nearer_m": nearer,
                "surfaces_overlap": _share(data.depth[chosen] > 0),
                "capsules_overlap": _share(found > 0),
                "capsules_deeper_than_touch": _share(found > TOUCH_DEPTH),
                "surface_depth_mm": round(1000 * float(data.depth[chosen].mean()), 1),
                "capsule_depth_mm": round(1000 * float(found.mean()), 1),
                "litres": round(1000 * float(data.volume[chosen].mean()), 2),
                "overlap_with_hands": _share(data.any_depth[chosen] > 0),
                "depth_with_hands_mm": round(1000 * float(data.any_depth[chosen].mean()), 1),
            }
        )
    return rows


def _share(chosen: Bool[Tensor, "N"]) -> float:
    return round(float(chosen.float().mean()), 3)


def _rank(a: Tensor, b: Tensor) -> float:
    return round(float(spearmanr(a, b).statistic), 3)


def _scores(found: Bool[Tensor, "N"], true: Bool[Tensor, "N"]) -> str:
    """Return precision, recall and F1."""
    right = float((found & true).sum())
    scores = (right / found.sum(), right / true.sum(), 2 * right / (found.sum() + true.sum()))
    return " ".join(f"{float(score):.3f}" for score in scores)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="KEY=VALUE: how the couples are read")
    parser.add_argument("--couples", type=Path, required=True, help="folder of captured couples")
    parser.add_argument("--takes", type=int, default=10, help="of each world")
    parser.add_argument("--frames", type=int, default=8, help="of each take, for each distance")
    options = parser.parse_args()
    torch.set_num_threads(1)
    worlds = {
        "captured": sample(
            captured(options.couples, options.settings, options.takes), options.frames
        ),
        "synthetic": sample(synthetic(options.takes), options.frames),
    }
    ours = torch.tensor(
        [next(c.radius for c, k in zip(CAPSULES, KIND, strict=True) if k == i) for i in set(KIND)]
    )
    radii = {"ours": ours}
    radii |= {f"fitted to {world}": fitted(data, ours) for world, data in worlds.items()}
    distances = [row for world, data in worlds.items() for row in by_distance(world, data, ours)]
    print_table(distances)
    write_results("capsules_by_distance", distances, SEED)
    rows = [
        agreement(world, name, data, chosen)
        for name, chosen in radii.items()
        for world, data in worlds.items()
    ]
    for row in rows:
        print(row)
    write_results("capsules", rows, SEED)
    shown = [
        {"radii": name, **dict(zip(KINDS, (round(float(r), 4) for r in chosen), strict=True))}
        for name, chosen in radii.items()
    ]
    for row in shown:
        print(row)
    print(write_results("capsule_radii", shown, SEED))


if __name__ == "__main__":
    main()
