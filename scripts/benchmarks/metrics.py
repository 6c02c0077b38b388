"""How long do the kinetic and manual features of 1,000 frames take, and are they the right ones?

Beside the same features computed frame by frame and joint by joint, as formulas are read, which
must give the same numbers. One thread; best of several runs.

    python scripts/benchmarks/metrics.py
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from bench import best_ms, print_table, write_results

from duet_rl.metrics.manual_features import HIPS, HUMERUS, SHOULDERS, manual_features
from duet_rl.metrics.motion_features import (
    FEATURE_JOINTS,
    PUBLISHED,
    WINDOW,
    FeatureRules,
    corrected,
    kinetic_features,
)

SEED = 0
FRAMES = 1000
FPS = 30
NAMES = (  # of the joints of SMPL, as the questions call them
    *("root", "lhip", "rhip", "belly", "lknee", "rknee", "spine", "lankle", "rankle", "chest"),
    *("ltoes", "rtoes", "neck", "linshoulder", "rinshoulder", "head", "lshoulder", "rshoulder"),
    *("lelbow", "relbow", "lwrist", "rwrist", "lhand", "rhand"),
)
Points = dict[str, np.ndarray]
EQUAL = 1e-9  # of the largest number; both ways compute in double precision


def dance(frames: int = FRAMES) -> np.ndarray:
    """Return joints that wander at the speed of dancers, `(T, 24, 3)`, metres."""
    generator = np.random.default_rng(SEED)
    ways = generator.standard_normal((frames, FEATURE_JOINTS, 3)).cumsum(0) * 0.02
    return generator.standard_normal((FEATURE_JOINTS, 3)) * 0.5 + ways


def plain_kinetic(joints: np.ndarray, rules: FeatureRules) -> np.ndarray:
    """Return the kinetic features, one loop a sum of the formula."""
    frames, dt = len(joints), rules.kinetic_frame_time
    features = []
    for joint in range(joints.shape[1]):
        p = joints[:, joint]
        level = vertical = effort = 0.0
        for i in range(1, frames):
            velocities, accelerations = [], []
            for j in range(-WINDOW, WINDOW + 1):
                k = i + j
                if k - 1 >= 0 and k < frames:
                    velocities.append((p[k] - p[k - 1]) / dt)
                if k - 1 >= 0 and k + 1 < frames:
                    before = (p[k] - p[k - 1]) / dt
                    if rules.acceleration == "precedence":
                        before = p[k] - p[k - 1] / dt
                    accelerations.append(((p[k + 1] - p[k]) / dt - before) / dt)
            velocity = np.mean(velocities, axis=0)
            vertical += velocity[rules.up] ** 2
            level += sum(velocity[axis] ** 2 for axis in range(3) if axis != rules.up)
            effort += float(np.linalg.norm(np.mean(accelerations, axis=0)))
        features += [level / (frames - 1), vertical / (frames - 1), effort / (frames - 1)]
    return np.array(features)


def plain_manual(joints: np.ndarray, rules: FeatureRules) -> np.ndarray:
    """Return the manual features, one question of one frame at a time."""
    answers = [
        [float(answer) for answer in _answers(_marked(joints[f]), _marked(joints[f - 1]), rules)]
        for f in range(1, len(joints))
    ]
    return np.mean(answers, axis=0)


def _marked(pose: np.ndarray) -> Points:
    lowest = np.array([0.0, pose[:, 1].min(), 0.0])
    up = np.array([0.0, 1.0, 0.0])
    marks = {"zero": 0 * up, "above": up, "below": -up, "lowest": lowest}
    return dict(zip(NAMES, pose, strict=True)) | marks


class _Questions:
    """The kinds of questions, of one frame and the one before."""

    def __init__(self, now: Points, past: Points, rules: FeatureRules) -> None:
        self.now, self.past, self.rules = now, past, rules

    def nmove(self, a: str, b: str, c: str, d: str, low: float) -> bool:
        return _along(self._step(a, d), self._normal(a, b, c)) > low

    def move(self, a: str, b: str, c: str, meant: tuple[str, str], low: float) -> bool:
        told = (a, c) if self.rules.moves == "third" else meant
        return _along(self._step(*told), self._way(a, b)) > low

    def plane(self, a: str, b: str, c: str, d: str, low: float) -> bool:
        return _along(self._way(a, d), self._normal(a, b, c)) > low

    def nplane(self, a: str, b: str, c: str, d: str, low: float) -> bool:
        return _along(self._way(c, d), self._way(a, b)) > low

    def angle(self, a: str, b: str, c: str, d: str, low: float, high: float) -> bool:
        one, other = self._way(a, b), self._way(c, d)
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        if not lengths:
            return False
        return low < math.degrees(math.acos(np.clip(one @ other / lengths, -1, 1))) < high

    def fast(self, a: str, low: float) -> bool:
        speed = np.linalg.norm(self.now[a] - self.past[a]) / self.rules.manual_frame_time
        return float(speed) > low

    def _way(self, a: str, b: str) -> np.ndarray:
        return self.now[b] - self.now[a]

    def _step(self, a: str, b: str) -> np.ndarray:
        moved = self._way(a, b) - (self.past[b] - self.past[a])
        return moved / self.rules.manual_frame_time

    def _normal(self, a: str, b: str, c: str) -> np.ndarray:
        return np.cross(self._way(a, c), self._way(a, b))


def _along(vector: np.ndarray, direction: np.ndarray) -> float:
    length = np.linalg.norm(direction)
    return float(vector @ direction / length) if length else math.nan


def _answers(now: Points, past: Points, rules: FeatureRules) -> list[bool]:
    ask = _Questions(now, past, rules)
    hl, sw, hw = HUMERUS, SHOULDERS, HIPS
    return [
        ask.nmove("neck", "rhip", "lhip", "rwrist", 1.8 * hl),
        ask.nmove("neck", "lhip", "rhip", "lwrist", 1.8 * hl),
        ask.nplane("chest", "neck", "neck", "rwrist", 0.2 * hl),
        ask.nplane("chest", "neck", "neck", "lwrist", 0.2 * hl),
        ask.move("belly", "chest", "chest", ("chest", "rwrist"), 1.8 * hl),
        ask.move("belly", "chest", "chest", ("chest", "lwrist"), 1.8 * hl),
        ask.angle("relbow", "rshoulder", "relbow", "rwrist", 0, 110),
        ask.angle("lelbow", "lshoulder", "lelbow", "lwrist", 0, 110),
        ask.nplane("lshoulder", "rshoulder", "lwrist", "rwrist", 2.5 * sw),
        ask.move("lwrist", "rwrist", "rwrist", ("rwrist", "lwrist"), 1.4 * hl),
        ask.move("rwrist", "root", "lwrist", ("rwrist", "root"), 1.4 * hl),
        ask.move("lwrist", "root", "rwrist", ("lwrist", "root"), 1.4 * hl),
        ask.fast("rwrist", 2.5 * hl),
        ask.fast("lwrist", 2.5 * hl),
        ask.plane("root", "lhip", "ltoes", "rankle", 0.38 * hl),
        ask.plane("root", "rhip", "rtoes", "lankle", 0.38 * hl),
        ask.nplane("zero", "above", "lowest", "rankle", 1.2 * hl),
        ask.nplane("zero", "above", "lowest", "lankle", 1.2 * hl),
        ask.nplane("lhip", "rhip", "lankle", "rankle", 2.1 * hw),
        ask.angle("rknee", "rhip", "rknee", "rankle", 0, 110),
        ask.angle("lknee", "lhip", "lknee", "lankle", 0, 110),
        ask.fast("rankle", 2.5 * hl),
        ask.fast("lankle", 2.5 * hl),
        ask.angle("neck", "root", "rshoulder", "relbow", 25, 180),
        ask.angle("neck", "root", "lshoulder", "lelbow", 25, 180),
        ask.angle("neck", "root", "rhip", "rknee", 50, 180),
        ask.angle("neck", "root", "lhip", "lknee", 50, 180),
        ask.plane("rankle", "neck", "lankle", "root", 0.5 * hl),
        ask.angle("neck", "root", "zero", "above", 70, 110),
        ask.nplane("zero", "below", "lowest", "rwrist", -1.2 * hl),
        ask.nplane("zero", "below", "lowest", "lwrist", -1.2 * hl),
        ask.fast("root", 2.3 * hl),
    ]


def row(
    name: str,
    rules: FeatureRules,
    loops: tuple[Callable, ...],
    vectorised: tuple[Callable, ...],
    joints: np.ndarray,
) -> dict[str, object]:
    tensor = torch.from_numpy(joints)
    slow = [loop(joints, rules) for loop in loops]
    fast = [compute(tensor, rules).numpy() for compute in vectorised]
    pairs = zip(slow, fast, strict=True)
    off = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
    assert off < EQUAL, f"{name}: the two ways differ by {off:.1e}"
    loop_ms = best_ms(lambda: [loop(joints, rules) for loop in loops], 3, warm_up=0)
    fast_ms = best_ms(lambda: [compute(tensor, rules) for compute in vectorised], 50, warm_up=5)
    return {
        "features": name,
        "frames": len(joints),
        "loops_ms": round(loop_ms, 1),
        "vectorised_ms": round(fast_ms, 2),
        "times_faster": round(loop_ms / fast_ms),
        "largest_difference": off,
    }


def main() -> None:
    torch.set_num_threads(1)
    joints = dance()
    kinds = {
        "kinetic": ((plain_kinetic,), (kinetic_features,)),
        "manual": ((plain_manual,), (manual_features,)),
        "both": ((plain_kinetic, plain_manual), (kinetic_features, manual_features)),
    }
    rows = [
        row(f"{kind}, {told}", rules, *ways, joints)
        for told, rules in (("published", PUBLISHED), ("corrected", corrected(FPS)))
        for kind, ways in kinds.items()
    ]
    print_table(
        [{**found, "largest_difference": f"{found['largest_difference']:.0e}"} for found in rows]
    )
    print(write_results("metrics", rows, SEED))


if __name__ == "__main__":
    main()
