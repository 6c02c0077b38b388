"""Followers that cheat: each is made from a true couple and is worse in one way that is known.

A judge that scores one of them as high as the true partner is fooled by it. They are no followers
that anybody would train; they are what an optimiser finds when a judge can be fooled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.body.heading import low_pass, smooth_heading
from duet_rl.body.kinematics import reach
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import rotate_yaw
from duet_rl.body.skeleton import JOINT, LEFT_HAND, LOWER, RIGHT_HAND, UP, UPPER
from duet_rl.metrics.baselines import mirror_leader, on_floor

TREMBLE, SHAKE = 0.005, 0.02  # m; standard deviation of each joint's noise along each axis
HOVER, FLOAT = 0.10, 0.20  # m above the floor
DELAY = 0.5  # s
INSIDE = 0.8  # of the way to the leader
COUPLE_SMOOTHING = 1.0  # s; the way between the roots is smoothed, so that feet slide little

_LEGS = tuple(joint for joint in LOWER if joint != JOINT["pelvis"])
_ABOVE_LEGS = (*UPPER, *LEFT_HAND, *RIGHT_HAND)


@dataclass(frozen=True, eq=False)
class AttackInput:
    """What an attack is made from.

    Args:
        duet: the true couple.
        other: another couple's dance of as many frames, if there is one.
        beats: music beats of `duet`.
        distance: typical distance of the roots of a couple, metres.
        seed: of the noise; the same seed gives the same attack.
    """

    duet: Duet
    other: Duet | None
    beats: Bool[Tensor, "T"]
    distance: float
    seed: int = 0


class Attack(NamedTuple):
    """One way to cheat."""

    does: str  # in a line
    family: str  # the fault that it has
    follow: Callable[[AttackInput], Float[Tensor, "T 55 3"] | None]  # None: it cannot be made


def frozen(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the first frame, held."""
    follower = given.duet.follower
    return follower.joints[:1].expand(follower.frames, -1, -1).clone()


def carried(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the first frame, held and carried along with the leader, as if tied to him."""
    return _kept_to(given.duet.follower.joints[0], given.duet.leader)


def gliding(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the first frame on wheels: it goes and turns where the true follower does."""
    return _kept_to(given.duet.follower.joints[0], given.duet.follower, smoothing=0.0)


def sliding(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the true follower on legs that keep their first pose, so that the feet slide."""
    follower = given.duet.follower
    rotations = follower.rotations.clone()
    rotations[:, _LEGS] = rotations[:1, _LEGS]
    return _posed(follower, rotations)


def jittering(given: AttackInput, metres: float) -> Float[Tensor, "T 55 3"]:
    """Return the true follower with noise on every joint of every frame."""
    return given.duet.follower.joints + _noise(given, metres)


def jittering_above(given: AttackInput, metres: float) -> Float[Tensor, "T 55 3"]:
    """Return the true follower with noise on all joints but hips, legs and feet."""
    joints = given.duet.follower.joints.clone()
    joints[:, _ABOVE_LEGS] += _noise(given, metres)[:, _ABOVE_LEGS]
    return joints


def floating(given: AttackInput, metres: float) -> Float[Tensor, "T 55 3"]:
    """Return the true follower, raised."""
    joints = given.duet.follower.joints.clone()
    joints[..., UP] += metres
    return joints


def mirror(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the leader's mirror image, before him."""
    return mirror_leader(given.duet.leader, given.distance).joints


def flipped(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the true follower with left and right exchanged, at the same place and facing."""
    follower = given.duet.follower
    image = follower.mirrored()
    turn = smooth_heading(follower.joints, 0.0) - smooth_heading(image.joints, 0.0)
    at_place = rotate_yaw(image.joints - on_floor(image.root)[:, None], turn[:, None])
    return at_place + on_floor(follower.root)[:, None]


def late(given: AttackInput, seconds: float) -> Float[Tensor, "T 55 3"]:
    """Return the true follower, later; what came before the first frame is danced backwards."""
    follower = given.duet.follower
    return _delayed(follower.joints, seconds * follower.fps)


def late_by_beats(given: AttackInput, beats: float) -> Float[Tensor, "T 55 3"] | None:
    """Return the true follower, so many beats of the music later; None where it has no two."""
    found = given.beats.nonzero()[:, 0]
    if len(found) < 2:
        return None
    period = torch.diff(found).float().median()  # frames
    return _delayed(given.duet.follower.joints, beats * float(period))


def stranger(given: AttackInput) -> Float[Tensor, "T 55 3"] | None:
    """Return the follower of another dance, put to this leader as she first stood to her own."""
    if given.other is None:
        return None
    old, new = given.other.leader, given.duet.leader
    sigma = COUPLE_SMOOTHING * new.fps
    turn = (smooth_heading(new.joints, sigma) - smooth_heading(old.joints, sigma))[0]
    joints = rotate_yaw(given.other.follower.joints - on_floor(old.root)[0], turn)
    return joints + on_floor(new.root)[0]


def ape(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the leader himself, first put before him and turned half round."""
    leader = given.duet.leader
    heading = smooth_heading(leader.joints, COUPLE_SMOOTHING * leader.fps)[0]
    ahead = torch.stack([heading.sin(), torch.zeros_like(heading), heading.cos()])
    centre = on_floor(leader.root)[0] + ahead * given.distance / 2
    return leader.turned(torch.pi, centre.tolist()).joints


def inside(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the true follower, moved most of the way into the leader."""
    follower, leader = given.duet.follower, given.duet.leader
    apart = low_pass(on_floor(leader.root - follower.root), COUPLE_SMOOTHING * leader.fps)
    return follower.joints + INSIDE * apart[:, None]


def clinging(given: AttackInput) -> Float[Tensor, "T 55 3"]:
    """Return the true follower whose hands reach for the leader's all the time."""
    follower, leader = given.duet.follower, given.duet.leader
    rotations, offsets = follower.rotations, follower.skeleton.offsets
    for side, across in (("left", "right"), ("right", "left")):
        target = leader.joints[:, JOINT[f"{across}_wrist"]]
        rotations = reach(rotations, follower.root, offsets, f"{side}_arm", target)
    return _posed(follower, rotations)


ATTACKS: dict[str, Attack] = {
    "frozen": Attack("holds the first pose where it stands", "frozen", frozen),
    "carried": Attack("holds the first pose, carried along with the leader", "frozen", carried),
    "gliding": Attack("holds the first pose on wheels along the true way", "frozen", gliding),
    "sliding": Attack("dances truly, on legs that never move", "sliding", sliding),
    "jitter_5mm": Attack(
        "dances truly, each joint trembles by 5 mm", "jitter", lambda x: jittering(x, TREMBLE)
    ),
    "jitter_20mm": Attack(
        "dances truly, each joint shakes by 20 mm", "jitter", lambda x: jittering(x, SHAKE)
    ),
    "jitter_above": Attack(
        "the same 20 mm, but for the legs", "jitter", lambda x: jittering_above(x, SHAKE)
    ),
    "floating_10cm": Attack(
        "dances truly, 10 cm above the floor", "floating", lambda x: floating(x, HOVER)
    ),
    "floating_20cm": Attack(
        "dances truly, 20 cm above the floor", "floating", lambda x: floating(x, FLOAT)
    ),
    "mirror": Attack("is the leader's mirror image, before him", "mirrored", mirror),
    "flipped": Attack("dances truly, left and right exchanged", "mirrored", flipped),
    "late_half_second": Attack(
        "dances truly, half a second late", "late", lambda x: late(x, DELAY)
    ),
    "late_half_beat": Attack(
        "dances truly, between the beats", "late", lambda x: late_by_beats(x, 0.5)
    ),
    "late_beat": Attack(
        "dances truly, on the beat after the right one", "late", lambda x: late_by_beats(x, 1.0)
    ),
    "stranger": Attack("dances another couple's dance, beside this leader", "copied", stranger),
    "ape": Attack("dances the leader's own steps, before him", "copied", ape),
    "inside": Attack(
        "dances truly, four fifths of the way into the leader", "interpenetrating", inside
    ),
    "clinging": Attack("dances truly, and never lets go of his hands", "clinging", clinging),
}
"""Every attack by the name that tables give it."""


def _posed(motion: Motion, rotations: Tensor) -> Tensor:
    """Return the joints of `motion` with other local rotations."""
    return Motion.from_rotations(motion.root, rotations, motion.skeleton, motion.fps).joints


def _noise(given: AttackInput, metres: float) -> Tensor:
    generator = torch.Generator().manual_seed(given.seed)
    joints = given.duet.follower.joints
    return metres * torch.randn(joints.shape, generator=generator).to(joints)


def _delayed(joints: Tensor, frames: float) -> Tensor:
    """Return `joints` so many frames later, continued backwards before the first frame."""
    last = len(joints) - 1
    place = (torch.arange(len(joints)) - round(frames)).abs()
    return joints[place.clamp_max(last).to(joints.device)]


def _kept_to(pose: Tensor, carrier: Motion, smoothing: float = COUPLE_SMOOTHING) -> Tensor:
    """Return a pose that keeps its place and turn to a moving dancer.

    Args:
        pose: joints of the first frame, `(55, 3)`.
        carrier: whom it follows.
        smoothing: seconds over which the carrier's way is smoothed.
    """
    sigma = smoothing * carrier.fps
    place = low_pass(on_floor(carrier.root), sigma)
    heading = smooth_heading(carrier.joints, sigma)
    held = (pose - place[0]).expand(carrier.frames, -1, -1)
    return rotate_yaw(held, (heading - heading[0])[:, None]) + place[:, None]
