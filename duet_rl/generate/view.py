"""A dance as one HTML file: both bodies in 3D with their music, played without a network."""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.contact import PALM_KNUCKLES, hold_distances, planted_feet
from duet_rl.body.figure import LIMBS, POINT_NAMES, POINT_WEIGHTS
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import JOINT, WRISTS
from duet_rl.errors import InputError
from duet_rl.files import atomic_path
from duet_rl.generate.media import mp3_of, sound_of

MILLIMETRES = 1000  # per metre; positions travel as whole millimetres
FARTHEST = 32.0  # m from the origin that a whole millimetre of 16 bits reaches
PALM_REACH = 0.30  # m between palms at which the mark of touching hands begins to show
BODY_REACH = 0.08  # m between a palm and the partner's body, likewise
MARK_STRENGTH = 1.6  # the mark is full before the distance is zero
PLAYER_SCRIPTS = ("three.min.js", "stage.js", "dance.js", "player.js")


@dataclass(frozen=True, eq=False)
class DanceScene:
    """One dance to look at: a leader, one or more followers to choose from, and the music.

    Args:
        name: of the dance.
        leader: whose length and frame rate hold for all; None where each of the others dances
            alone, and one of them is seen at a time.
        followers: by the name on the button, e.g. `true partner`, `before RL`, `after RL`; none
            shows the leader alone.
        audio: the sound file that begins with the first frame.
        beats: times of the music's beats, seconds, drawn above the scrub bar.
        note: one line below the legend.
        leader_name: in the legend.

    Raises:
        InputError: a follower has another length or frame rate than the leader, or there is
            nobody.
    """

    name: str
    leader: Motion | None
    followers: Mapping[str, Motion] = field(default_factory=dict)
    audio: Path | None = None
    beats: Sequence[float] = ()
    note: str = ""
    leader_name: str = "leader"

    def __post_init__(self) -> None:
        if self.leader is None and not self.followers:
            raise InputError(f"nobody dances in {self.name!r}; give a dancer")
        for follower in self.followers.values():
            Duet(self.first, follower)  # refuses a pair that does not fit

    @property
    def first(self) -> Motion:
        """The leader, or else the first of those who dance alone."""
        return next(iter(self.followers.values())) if self.leader is None else self.leader


def write_page(path: Path | str, scenes: Sequence[DanceScene], title: str) -> None:
    """Write the page that plays `scenes`, whole or not at all."""
    page = fill(
        asset("page.html"),
        title=html.escape(title),
        style=asset("player.css"),
        player=player(scenes),
        scripts=scripts(),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def player(scenes: Sequence[DanceScene]) -> str:
    """Return the player with its dances as an HTML element, to be put into a page.

    The page needs `asset("player.css")` and, after the element, `scripts()`.
    """
    if not scenes:
        raise InputError("no dance to show; give at least one")
    data = {"figure": _figure(), "scenes": [_scene(scene) for scene in scenes]}
    # "<" never occurs in the text, so that no value can end the script element.
    return fill(asset("player.html"), data=json.dumps(data).replace("<", "\\u003c"))


def scripts(with_player: bool = True, more: Sequence[str] = ()) -> str:
    """Return the script elements that a page ends with, `more` of them from the assets."""
    names = ("theme.js", *(PLAYER_SCRIPTS if with_player else ()), *more)
    return "\n".join(f"<script>\n{asset(name)}\n</script>" for name in names)


def asset(name: str) -> str:
    """Return the text of a file that ships with the package."""
    return (resources.files("duet_rl.generate") / "assets" / name).read_text(encoding="utf-8")


def fill(template: str, **parts: str) -> str:
    """Return `template` with each `{{name}}` replaced by the part of that name."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _figure() -> dict[str, Any]:
    """Return what the page must know of bodies: points, limbs, palms and toes, by joint weights."""
    return {
        "points": [
            [[JOINT[joint], round(weight, 4)] for joint, weight in POINT_WEIGHTS[name].items()]
            for name in POINT_NAMES
        ],
        "limbs": [
            [
                POINT_NAMES.index(limb.start),
                POINT_NAMES.index(limb.end),
                limb.start_radius,
                limb.end_radius,
                limb.tint,
            ]
            for limb in LIMBS
        ],
        "palms": [
            [[wrist, 0.5], [knuckle, 0.5]]
            for wrist, knuckle in zip(WRISTS, PALM_KNUCKLES, strict=True)
        ],
        "feet": [
            [[JOINT[f"{side}_ankle"], 0.4], [JOINT[f"{side}_foot"], 0.6]]
            for side in ("left", "right")
        ],
    }


def _scene(scene: DanceScene) -> dict[str, Any]:
    first = scene.first
    sound = None if scene.audio is None else sound_of(scene.audio, first.seconds)
    leader = None if scene.leader is None else scene.leader.joints.detach().cpu()
    return {
        "name": scene.name,
        "note": scene.note,
        "fps": first.fps,
        "beats": [round(float(beat), 3) for beat in scene.beats],
        "audio": None if sound is None else _base64(mp3_of(sound)),
        "audio_type": "audio/mpeg",
        "leader": None if leader is None else _alone(scene.leader_name, leader),
        "followers": [
            _alone(name, motion.joints.detach().cpu())
            if leader is None
            else _follower(name, leader, motion.joints.detach().cpu())
            for name, motion in scene.followers.items()
        ],
    }


def _alone(name: str, joints: Float[Tensor, "T 55 3"]) -> dict[str, Any]:
    nothing = torch.zeros(len(joints), 2)
    return {
        "name": name,
        "positions": _positions(joints, name),
        "marks": _marks(joints, nothing),
    }


def _follower(
    name: str, leader: Float[Tensor, "T 55 3"], follower: Float[Tensor, "T 55 3"]
) -> dict[str, Any]:
    return {
        "name": name,
        "positions": _positions(follower, name),
        "marks": _marks(follower, _touch(follower, leader)),
        "leader_marks": _marks(leader, _touch(leader, follower)),
    }


def _positions(joints: Float[Tensor, "T 55 3"], name: str) -> str:
    """Return whole millimetres as little-endian 16-bit numbers."""
    if joints.abs().max() > FARTHEST:
        raise InputError(
            f"{name} is {joints.abs().max():.0f} m from the origin; the page reaches {FARTHEST:g} "
            "m: move the dance to the origin, or check the file's scale"
        )
    return _base64((joints * MILLIMETRES).round().numpy().astype("<i2").tobytes())


def _touch(
    joints: Float[Tensor, "T 55 3"], partner: Float[Tensor, "T 55 3"]
) -> Float[Tensor, "T 2"]:
    """Return how much each palm touches the partner, 0 to 1."""
    distances = hold_distances(joints, partner)  # (T, 2, 4): two palms, shoulder, waist
    limits = distances.new_tensor([PALM_REACH, PALM_REACH, BODY_REACH, BODY_REACH])
    return ((1 - distances / limits).amax(dim=-1) * MARK_STRENGTH).clamp(0, 1)


def _marks(joints: Float[Tensor, "T 55 3"], touch: Float[Tensor, "T 2"]) -> str:
    """Return four bytes a frame: planted left and right foot, touching left and right palm."""
    marks = torch.cat([planted_feet(joints).to(touch), touch], dim=-1)
    return _base64((marks * np.iinfo(np.uint8).max).round().to(torch.uint8).numpy().tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
