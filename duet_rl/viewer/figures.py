"""Dancers and marks in the 3D scene of the browser, moved from frame to frame."""

from typing import Any

import numpy as np
import viser
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from duet_rl.body.contact import palms
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, UP
from duet_rl.drawing.draw import FOLLOWER_COLOUR, LEADER_COLOUR, Colour
from duet_rl.meshes.figure_mesh import figure_mesh
from duet_rl.viewer.takes import Couple

FOLLOWER_COLOURS: tuple[Colour, ...] = (  # of one couple after the other
    FOLLOWER_COLOUR,
    (38, 166, 120),
    (232, 168, 38),
    (156, 92, 200),
    (214, 82, 140),
    (110, 140, 40),
)
HELD, MISSED, UNDUE = (34, 170, 90), (220, 40, 40), (240, 190, 40)  # hands
STILL, SLIDING = (34, 170, 90), (240, 140, 20)  # feet on the floor
_PALM_RADIUS, _FOOT_RADIUS, _FOOT_HEIGHT = 0.055, 0.10, 0.006  # m
_LABEL_HEIGHT = 0.32  # m above the head's joint
_LEADERS = 2  # of the four feet the first two
_NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])
_CHUNK = 1024  # frames whose kinematics are held at once


class BonePlaces:
    """Where each bone of a dancer is in the world, as the browser wants it.

    Args:
        motion: of the dancer.
    """

    def __init__(self, motion: Motion) -> None:
        self.positions: Float[np.ndarray, "T 55 3"] = motion.joints.double().cpu().numpy()
        pieces = range(0, motion.frames, _CHUNK)
        turns = [_turns(motion.slice(start, start + _CHUNK)) for start in pieces]
        self.wxyz: Float[np.ndarray, "T 55 4"] = np.concatenate(turns)


class Figure:
    """One dancer: the stand-in body, skinned to the dancer's own bones.

    Args:
        scene: of the server.
        path: where in the tree of the scene.
        motion: what is danced.
        colour: of the body.
    """

    def __init__(self, scene: viser.SceneApi, path: str, motion: Motion, colour: Colour) -> None:
        mesh = figure_mesh(motion.skeleton)
        weights = np.zeros((len(mesh.vertices), NUM_JOINTS), dtype=np.float32)
        rows = np.arange(len(weights))[:, None]
        np.add.at(weights, (rows, mesh.carriers.astype(int)), mesh.weights)
        self.bones = BonePlaces(motion)
        self.body = scene.add_mesh_skinned(
            path,
            mesh.vertices,
            mesh.faces.astype(np.uint32),
            bone_wxyzs=np.tile(_NO_TURN, (NUM_JOINTS, 1)),
            bone_positions=motion.skeleton.rest_joints().double().cpu().numpy(),
            skin_weights=weights,
            color=colour,
        )

    def pose(self, frame: int) -> None:
        """Show a frame."""
        positions, turns = self.bones.positions[frame], self.bones.wxyz[frame]
        for bone, position, wxyz in zip(self.body.bones, positions, turns, strict=True):
            bone.position, bone.wxyz = position, wxyz


class Marks:
    """Which hands hold and which feet stand, drawn at the hands and under the feet.

    Args:
        scene: of the server.
        path: of the couple in the tree of the scene.
        couple: whose.
    """

    def __init__(self, scene: viser.SceneApi, path: str, couple: Couple) -> None:
        self.couple, self.leads = couple, True  # whether the leader is seen
        self._shown = {"hands": True, "feet": True}
        follower, leader = couple.follower, couple.leader
        self._palms = None if follower is None else palms(follower.joints).cpu().numpy()
        feet = [
            np.full((len(couple.held), 2, 3), np.nan) if one is None else _soles(one.joints)
            for one in (leader, follower)
        ]
        self._soles = np.concatenate(feet, axis=1)  # (T, 4, 3)
        self.hands: list[Any] = [
            scene.add_icosphere(
                f"{path}/hand{hand}", _PALM_RADIUS, HELD, subdivisions=2, visible=False
            )
            for hand in range(2)
        ]
        self.feet: list[Any] = [
            scene.add_mesh_simple(
                f"{path}/foot{foot}",
                *_disc(_FOOT_RADIUS),
                color=STILL,
                side="double",
                cast_shadow=False,
                visible=False,
            )
            for foot in range(4)
        ]

    def show(self, kind: str, shown: bool) -> None:
        """Show or hide the marks of `hands` or `feet` from the next frame on."""
        self._shown[kind] = shown

    def pose(self, frame: int) -> None:
        """Show a frame."""
        couple = self.couple
        for hand, mark in enumerate(self.hands):
            due, held = bool(couple.due[frame, hand]), bool(couple.held[frame, hand])
            if _seen(mark, (due or held) and self._shown["hands"]):
                assert self._palms is not None
                mark.position = self._palms[frame, hand]
                _paint(mark, (HELD if due else UNDUE) if held else MISSED)
        for foot, mark in enumerate(self.feet):
            stands = bool(couple.planted[frame, foot]) and (self.leads or foot >= _LEADERS)
            if _seen(mark, stands and self._shown["feet"]):
                mark.position = self._soles[frame, foot]
                _paint(mark, SLIDING if couple.slides[frame, foot] else STILL)


class CoupleFigures:
    """A couple in the scene, its name above the follower.

    Args:
        scene: of the server.
        path: in the tree of the scene.
        couple: who.
        number: of the couple, which says its colour.
    """

    def __init__(self, scene: viser.SceneApi, path: str, couple: Couple, number: int) -> None:
        self.couple, self.frame = couple, scene.add_frame(path, show_axes=False)
        colours = {
            "leader": LEADER_COLOUR,
            "follower": FOLLOWER_COLOURS[number % len(FOLLOWER_COLOURS)],
        }
        self.figures = {
            role: Figure(scene, f"{path}/{role}", motion, colours[role])
            for role, motion in couple.dancers.items()
        }
        self.marks = Marks(scene, path, couple)
        self._last = list(self.figures.values())[-1]
        self.label = scene.add_label(f"{path}/name", couple.name, anchor="bottom-center")
        self.label.visible = bool(couple.name)

    def pose(self, frame: int) -> None:
        """Show a frame."""
        for figure in self.figures.values():
            figure.pose(frame)
        self.marks.pose(frame)
        head = self._last.bones.positions[frame, JOINT["head"]]
        self.label.position = head + np.array([0.0, _LABEL_HEIGHT, 0.0])

    def put(self, across: float, visible: bool, leads: bool) -> None:
        """Place the couple.

        Args:
            across: metres along x.
            visible: whether it is seen.
            leads: whether its leader is seen, who may be there already with another follower.
        """
        self.frame.position, self.frame.visible = np.array([across, 0.0, 0.0]), visible
        if "leader" in self.figures:
            self.figures["leader"].body.visible = leads
            self.marks.leads = leads

    def remove(self) -> None:
        """Take the couple out of the scene."""
        self.frame.remove()


def _turns(motion: Motion) -> Float[np.ndarray, "T 55 4"]:
    offsets = motion.skeleton.offsets.double().cpu()
    local, root = motion.rotations.double().cpu(), motion.root.double().cpu()
    turns = forward_kinematics(local, root, offsets).global_rotations
    xyzw = Rotation.from_matrix(turns.reshape(-1, 3, 3).numpy()).as_quat()
    return np.roll(xyzw, 1, axis=-1).reshape(motion.frames, NUM_JOINTS, 4)


def _soles(joints: Float[Tensor, "T 55 3"]) -> Float[np.ndarray, "T 2 3"]:
    """Return the points of the floor under the left and the right foot."""
    ankles, toes = (
        joints[:, [JOINT[f"{side}_{name}"] for side in ("left", "right")]]
        for name in ("ankle", "foot")
    )
    soles = (0.4 * ankles + 0.6 * toes).double().cpu().numpy()
    soles[..., UP] = _FOOT_HEIGHT
    return soles


def _disc(radius: float, corners: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Return a level disc: vertices and faces."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    rim = np.stack([np.cos(angle), np.zeros(corners), np.sin(angle)], axis=-1) * radius
    first = np.arange(corners)
    faces = np.stack([np.full(corners, corners), (first + 1) % corners, first], axis=-1)
    vertices = np.concatenate([rim, np.zeros((1, 3))]).astype(np.float32)
    return vertices, faces.astype(np.uint32)


def _seen(mark: Any, seen: bool) -> bool:
    if mark.visible != seen:
        mark.visible = seen
    return seen


def _paint(mark: Any, colour: Colour) -> None:
    if tuple(mark.color) != colour:
        mark.color = colour
