"""A made-up take in the hierarchy of the CMU release, as the text of a BVH file."""

import torch

Bone = tuple[str, tuple[float, float, float]]  # the parent, and the offset from it


def _right(name: str) -> str:
    return "r" + name[1:] if name[1].isupper() else name


def _fingers() -> dict[str, Bone]:
    bones: dict[str, Bone] = {}
    for finger, (y, z) in {
        "Thumb": (-0.004, 0.027),
        "Index": (0.007, 0.044),
        "Mid": (0.009, 0.027),
        "Ring": (0.004, 0.012),
        "Pinky": (0.0, -0.004),
    }.items():
        bones[f"l{finger}1"] = ("lHand", (0.01 if finger == "Thumb" else 0.063, y, z))
        bones[f"l{finger}2"] = (f"l{finger}1", (0.021, -0.005, z / 4))
        bones[f"l{finger}3"] = (f"l{finger}2", (0.014, -0.003, z / 5))  # the end site
    return bones


_LEFT: dict[str, Bone] = {
    "lCollar": ("chest", (0.021, 0.15, -0.038)),
    "lShldr": ("lCollar", (0.069, -0.015, 0.011)),
    "lForeArm": ("lShldr", (0.22, -0.013, 0.004)),
    "lHand": ("lForeArm", (0.176, 0.006, 0.055)),
    **_fingers(),
    "lButtock": ("hip", (0.069, 0.034, 0.01)),
    "lThigh": ("lButtock", (0.0, -0.013, -0.017)),
    "lShin": ("lThigh", (0.0, -0.288, 0.006)),
    "lFoot": ("lShin", (-0.006, -0.352, -0.04)),
    "lToe": ("lFoot", (0.009, -0.029, 0.095)),  # the end site
}
BONES: dict[str, Bone] = {
    "abdomen": ("hip", (0.0, 0.162, -0.006)),
    "chest": ("abdomen", (0.0, 0.091, -0.004)),
    "neck": ("chest", (0.0, 0.173, -0.017)),
    "head": ("neck", (-0.002, 0.055, 0.01)),
    "leftEye": ("head", (0.032, 0.063, 0.063)),
    "rightEye": ("head", (-0.029, 0.063, 0.063)),
    **_LEFT,
    **{_right(name): (_right(parent), (-x, y, z)) for name, (parent, (x, y, z)) in _LEFT.items()},
}
END_SITES = {name for name in BONES if name.endswith(("3", "Toe"))}
STILL = ("lButtock", "rButtock")
SCALE = 1.5  # metres per unit of the file


def cmu_text(frames: int = 12, sway: float = 0.6, hips: float = 0.66, seed: int = 0) -> str:
    """Return a take in which every joint but the buttocks sways by about `sway` radians."""
    generator = torch.Generator().manual_seed(seed)
    lines = ["HIERARCHY"]
    order: list[str] = []
    _write(lines, order, "hip", (0.0, 0.0, 0.0), depth=0)
    lines += ["MOTION", f"Frames: {frames}", "Frame Time: 0.008333"]
    for frame in range(frames):
        values = [0.01 * frame, hips, 0.5]
        for name in order:
            angles = torch.rad2deg(sway * torch.randn(3, generator=generator))
            values += [0.0] * 3 if name in STILL else angles.tolist()
        lines.append(" ".join(f"{value:.6f}" for value in values))
    return "\n".join(lines) + "\n"


def _write(
    lines: list[str], order: list[str], name: str, offset: tuple[float, ...], depth: int
) -> None:
    tabs = "\t" * depth
    children = {child: bone for child, (parent, bone) in BONES.items() if parent == name}
    kind = "End Site" if name in END_SITES else f"{'JOINT' if depth else 'ROOT'} {name}"
    lines += [f"{tabs}{kind}", tabs + "{", f"{tabs}\tOFFSET {' '.join(map(str, offset))}"]
    if name not in END_SITES:
        order.append(name)
        root = "6 Xposition Yposition Zposition Zrotation Yrotation Xrotation"
        lines.append(f"{tabs}\tCHANNELS {'3 Zrotation Xrotation Yrotation' if depth else root}")
    for child, bone in children.items():
        _write(lines, order, child, bone, depth + 1)
    if not children and name not in END_SITES:
        lines += [f"{tabs}\tEnd Site", tabs + "\t{", f"{tabs}\t\tOFFSET 0.01 0 0", tabs + "\t}"]
    lines.append(tabs + "}")
