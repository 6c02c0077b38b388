"""Draw docs/stand_in.png: the stand-in body at rest, and a couple of them in a dance hold.

python scripts/draw_stand_in.py docs/stand_in.png
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from duet_rl.body.kinematics import forward_kinematics, reach
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, UP
from duet_rl.drawing.camera import Camera, framing
from duet_rl.drawing.draw import FOLLOWER_COLOUR, LEADER_COLOUR
from duet_rl.meshes.smplx import BodyModel
from duet_rl.meshes.stand_in import write_stand_in

GREY = (176, 178, 186)
PAPER = 250.0
HEIGHT, WIDTHS = 560, (600, 230, 420)  # pixels
OVERSAMPLING = 2
FARTHER = 4.0  # times as far as the usual camera, so that near hands hide no faces
RIM = 14  # pixels of paper around the bodies
BETAS = torch.zeros(10)

Mesh = tuple[np.ndarray, np.ndarray, tuple[int, int, int]]  # vertices, faces, colour

LEADER = {  # axis-angles, radians
    "left_hip": (-0.15, 0.0, 0.05),
    "left_knee": (0.2, 0.0, 0.0),
    "right_hip": (0.2, 0.0, -0.04),
    "right_knee": (0.1, 0.0, 0.0),
    "right_ankle": (-0.15, 0.0, 0.0),
    "head": (0.0, 0.35, 0.0),
    "left_shoulder": (0.0, 0.0, -0.4),
    "right_shoulder": (0.0, 0.0, 0.6),
}
FOLLOWER = {
    "right_hip": (0.3, 0.0, -0.03),
    "right_knee": (0.35, 0.0, 0.0),
    "right_ankle": (0.3, 0.0, 0.0),
    "spine2": (-0.12, -0.1, 0.0),
    "spine3": (-0.08, -0.1, 0.0),
    "head": (-0.05, -0.45, 0.1),
    "left_shoulder": (0.0, 0.0, -0.4),
    "right_shoulder": (0.0, 0.0, 0.4),
}
CURLED = 0.35  # rad a knuckle, of hands that hold


def posed(model: BodyModel, turns: dict[str, tuple[float, float, float]], yaw: float) -> Motion:
    """Return one frame of a body with some joints turned, its feet on the floor."""
    poses = torch.zeros(1, NUM_JOINTS, 3)
    for name, turn in turns.items():
        poses[0, JOINT[name]] = torch.tensor(turn)
        for side, sign in (("left", -1), ("right", 1)):
            for finger in ("index", "middle", "ring", "pinky"):
                for knuckle in (1, 2, 3):
                    poses[0, JOINT[f"{side}_{finger}{knuckle}"], 2] = sign * CURLED
    motion = model.motion(poses, torch.zeros(1, 3), BETAS, fps=30.0).turned(yaw)
    lowest = model.vertices(motion, BETAS)[..., UP].min()
    return motion.moved(-motion.root[0] * torch.tensor([1.0, 0.0, 1.0])).moved([0.0, -lowest, 0.0])


def reaching(motion: Motion, limb: str, target: torch.Tensor) -> Motion:
    """Return the motion with one wrist at a point of the world."""
    pole = torch.tensor([0.0, -1.0, 0.0])
    rotations = reach(
        motion.rotations, motion.root, motion.skeleton.offsets, limb, target[None], pole
    )
    return Motion.from_rotations(motion.root, rotations, motion.skeleton)


def hand_along(motion: Motion, side: str, direction: torch.Tensor, palm: torch.Tensor) -> Motion:
    """Return the motion with a hand that points along a direction, its palm to another."""
    wrist = JOINT[f"{side}_wrist"]
    out = direction / direction.norm()
    down = palm - (palm @ out) * out
    down = down / down.norm()
    x, y = (out, -down) if side == "left" else (-out, -down)
    turned = torch.stack([x, y, torch.linalg.cross(x, y)], dim=1)
    rotations = motion.rotations.clone()
    pose = forward_kinematics(rotations, motion.root, motion.skeleton.offsets)
    elbow = pose.global_rotations[:, JOINT[f"{side}_elbow"]]
    rotations[:, wrist] = elbow.mT @ turned
    return Motion.from_rotations(motion.root, rotations, motion.skeleton)


def couple(man: BodyModel, woman: BodyModel) -> tuple[Motion, Motion]:
    """Return a leader who faces +Z and a follower before him, in a closed hold."""
    point = torch.tensor
    leader = posed(man, LEADER, 0.0)
    follower = posed(woman, FOLLOWER, np.pi).moved([-0.08, 0.0, 0.40])
    hands = point([0.50, 1.42, 0.22])
    leader = hand_along(
        reaching(leader, "left_arm", hands - point([0.03, 0.10, 0.03])),
        *("left", point([0.15, 1.0, 0.1]), point([0.0, 0.0, 1.0])),
    )
    follower = hand_along(
        reaching(follower, "right_arm", hands + point([0.02, -0.08, 0.06])),
        *("right", point([-0.1, 1.0, -0.1]), point([0.0, 0.0, -1.0])),
    )
    back = follower.joints[0, JOINT["spine3"]] + point([-0.13, 0.02, 0.13])
    leader = hand_along(
        reaching(leader, "right_arm", back),
        *("right", point([1.0, 0.0, 0.25]), point([0.1, 0.0, -1.0])),
    )
    shoulder = leader.joints[0, JOINT["right_shoulder"]] + point([-0.03, 0.075, 0.10])
    follower = hand_along(
        reaching(follower, "left_arm", shoulder),
        *("left", point([0.2, 0.1, -1.0]), point([0.0, -1.0, 0.0])),
    )
    return leader, follower


def from_afar(camera: Camera) -> Camera:
    """Return a camera that sees as much from farther away."""
    eye = np.add(camera.target, FARTHER * np.subtract(camera.eye, camera.target))
    narrow = 2 * np.arctan(np.tan(camera.field_of_view / 2) / FARTHER)
    return Camera((eye[0], eye[1], eye[2]), camera.target, float(narrow))


def picture(meshes: list[Mesh], camera: Camera, width: int, height: int) -> np.ndarray:
    """Return the meshes with smooth shading on white paper, `(height, width, 3)`."""
    image = np.full((height, width, 3), PAPER)
    depth = np.full((height, width), np.inf)
    light = camera.axes.T @ np.array([-0.35, 0.55, -0.75])  # from behind the left shoulder
    focal = camera.focal(width, height)
    for vertices, faces, colour in meshes:
        view = camera.view(vertices)
        place = [width, height] + view[:, :2] * [1, -1] * 2 * focal / view[:, 2:]
        normals = vertex_normals(vertices, faces) @ light / np.linalg.norm(light)
        shade = 0.42 + 0.62 * normals.clip(0, None)
        for face in faces:
            fill(image, depth, place[face] / 2, view[face, 2], shade[face], np.array(colour))
    return image.clip(0, 255)


def fill(
    image: np.ndarray,
    depth: np.ndarray,
    corners: np.ndarray,
    away: np.ndarray,
    shade: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Draw one triangle: its corners in pixels, how far away they are, how light they are."""
    height, width = depth.shape
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (width, height))
    (ax, ay), (bx, by), (cx, cy) = corners
    twice_area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    if left >= right or top >= bottom or abs(twice_area) < 1e-9:
        return
    x, y = np.arange(left, right)[None] + 0.5, np.arange(top, bottom)[:, None] + 0.5
    b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / twice_area
    c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / twice_area
    a = 1 - b - c
    here = a * away[0] + b * away[1] + c * away[2]
    window = depth[top:bottom, left:right]
    seen = (a >= -1e-6) & (b >= -1e-6) & (c >= -1e-6) & (here < window)
    window[seen] = here[seen]
    light = a * shade[0] + b * shade[1] + c * shade[2]
    image[top:bottom, left:right][seen] = light[seen, None] * colour


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return unit normals, `(V, 3)`: the sum of the normals of the faces around."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], np.cross(b - a, c - a))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_stand_in(folder)
        neutral, man, woman = (BodyModel.load(folder, g) for g in ("neutral", "male", "female"))

    def mesh(model: BodyModel, motion: Motion, colour: tuple[int, int, int]) -> Mesh:
        vertices = model.vertices(motion, BETAS)[0].double().numpy()
        return vertices, model.faces.numpy(), colour

    rest = [mesh(neutral, posed(neutral, {}, 0.0), GREY)]
    leader, follower = couple(man, woman)
    pair = [mesh(man, leader, LEADER_COLOUR), mesh(woman, follower, FOLLOWER_COLOUR)]
    scenes = ((rest, 0.0, 0.05), (rest, np.pi / 2, 0.05), (pair, 1.05, 0.12))
    panels = []
    for (meshes, azimuth, elevation), width in zip(scenes, WIDTHS, strict=True):
        size = (OVERSAMPLING * width, OVERSAMPLING * HEIGHT)
        seen = np.concatenate([vertices for vertices, *_ in meshes])
        camera = from_afar(framing(seen, *size, azimuth=azimuth, elevation=elevation))
        panels.append(picture(meshes, camera, *size))
    whole = Image.fromarray(np.concatenate(panels, axis=1).astype(np.uint8))
    whole = whole.resize((sum(WIDTHS), HEIGHT), Image.Resampling.LANCZOS)
    drawn = np.flatnonzero((np.asarray(whole) < PAPER - 1).any(axis=(1, 2)))
    whole = whole.crop((0, drawn.min() - RIM, whole.width, drawn.max() + RIM))
    whole.quantize(128).save(out, optimize=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
