"""The pose that a dance beside a partner begins with, where somebody has chosen one."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.motion import Motion
from duet_rl.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle, wrap_angle
from duet_rl.body.skeleton import FEET, UP, Skeleton
from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.tokenizers.codec import AnyCodec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.solo import SoloCodec

SHORTEST_WAY = 0.5  # s in which a dance leaves its start pose, at least
FASTEST_WAY = 0.5  # m/s at which what lies between the two is made up for, on average
FASTEST_TURN = math.radians(90)  # a second, likewise
LEAST_DISTANCE = 0.2  # m between the roots of two who stand beside each other
MOST_DISTANCE = 10.0
FAR = 0.3  # m between the start and what its tokens say; more is told

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Start:
    """A pose in the world of the partner.

    Args:
        pose: one frame, 30 fps.
    """

    pose: Motion

    @classmethod
    def of(cls, motion: Motion, seconds: float = 0.0) -> "Start":
        """Return the pose of a motion at a time, where it stands.

        Raises:
            InputError: the motion does not last so long.
        """
        frame = round(seconds * motion.fps) if math.isfinite(seconds) else -1
        if not 0 <= frame < motion.frames:
            raise InputError(
                f"the start is at {seconds:g} s, and its motion lasts {motion.seconds:.2f} s; give "
                "a time within it"
            )
        return cls(replace(motion.slice(frame, frame + 1), fps=FPS))

    def beside(self, partner: Motion, distance: float, angle: float = 0.0) -> "Start":
        """Return the same pose elsewhere: so far from the partner's first place, facing it.

        Args:
            partner: who is danced with.
            distance: between the roots over the floor, metres.
            angle: where, seen from the partner, degrees: 0 is straight ahead, 90 on the left.

        Raises:
            InputError: a distance at which nobody stands.
        """
        _require_near(distance)
        way = float(facing_angle(partner.joints[:1])[0]) + math.radians(angle)
        centre = partner.root[0].tolist()
        target = torch.tensor([centre[0], 0.0, centre[2]])
        target += distance * torch.tensor([math.sin(way), 0.0, math.cos(way)])
        about = self.pose.root[0].tolist()
        turn = way + math.pi - float(facing_angle(self.pose.joints)[0])
        turned = self.pose.turned(math.remainder(turn, math.tau), about)
        offset = target - turned.root[0]
        offset[UP] = 0.0
        return Start(turned.moved(offset))

    def tokens(self, codec: AnyCodec, partner: Motion) -> Int[Tensor, "1 1 S"]:
        """Return the tokens that a dance with this pose begins with.

        They say it as well as the codec can: what is left is made up for by `led_into`.

        Args:
            codec: of the dancer.
            partner: who is danced with; frames make whole tokens.

        Raises:
            InputError: the codec's dancers have no place beside a partner.
        """
        if isinstance(codec, SoloCodec) or codec.config.placement.relative_to == "start":
            raise InputError(
                "this checkpoint dances alone, from where it likes; leave the start out, or use "
                "one that dances beside a leader"
            )
        device, pose = codec.offsets.device, self._on(codec)
        beside = MotionBatch(partner.joints[None].to(device), partner.rotations[None].to(device))
        still = MotionBatch(
            pose.joints.expand(partner.frames, -1, -1)[None].to(device),
            pose.rotations.expand(partner.frames, -1, -1, -1)[None].to(device),
        )
        return codec.first_tokens(beside, still)

    def led_into(self, dance: Motion, codec: AnyCodec) -> Motion:
        """Return the dance with this pose as its first frame, and no leap after it; see `Way`."""
        way = self.way_into(dance.joints[0], dance.rotations[0], codec)
        joints, rotations = way.led(dance.joints, dance.rotations)
        return replace(dance, joints=joints, rotations=rotations)

    def led_into_all(self, dances: Sequence[Motion], codec: AnyCodec) -> list[Motion]:
        """Return several dances that begin with this pose, and warn if theirs are far from it."""
        apart = self.apart(dances[0].root[0])
        if apart > FAR:
            logger.warning(
                "the start is %.2f m from where its tokens say: further than they can, or than "
                "dancers stood in training; feet slide while that is made up for",
                apart,
            )
        return [self.led_into(dance, codec) for dance in dances]

    def way_into(
        self, joints: Float[Tensor, "55 3"], rotations: Float[Tensor, "55 3 3"], codec: AnyCodec
    ) -> "Way":
        """Return the way from this pose into a dance that begins with such a frame."""
        pose = self._on(codec)
        place, turned = pose.joints[0].to(joints), pose.rotations[0].to(rotations)
        return Way(
            place - joints,
            matrix_to_axis_angle(turned @ rotations.mT),
            _seconds(place, joints),
            None if codec.config.decoding.joints == "positions" else codec.offsets.to(joints),
        )

    def apart(self, root: Float[Tensor, "3"]) -> float:
        """Return how far the pose is from where a dance would begin by itself, metres."""
        return float((root.cpu() - self.pose.root[0]).norm())

    def _on(self, codec: AnyCodec) -> Motion:
        """Return the pose of the dancer that the codec decodes, feet as high as they were."""
        offsets = codec.offsets.cpu()
        posed = forward_kinematics(self.pose.rotations, self.pose.root, offsets)
        lower = posed.joints[0, FEET, UP].amin() - self.pose.joints[0, FEET, UP].amin()
        root = self.pose.root.clone()
        root[:, UP] -= lower
        return Motion.from_rotations(root, self.pose.rotations, Skeleton(offsets, "start"), FPS)


@dataclass(frozen=True, eq=False)
class ChosenStart:
    """A start, and perhaps where beside the partner it is to be; he need not be known yet.

    Args:
        start: the pose, where its file has it.
        place: metres from the partner and degrees from straight ahead; None: where the pose is.

    Raises:
        InputError: a distance at which nobody stands.
    """

    start: Start
    place: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.place is not None:
            _require_near(self.place[0])

    def beside(self, partner: Motion) -> Start:
        """Return the start beside a partner, of whom the first frame counts."""
        return self.start if self.place is None else self.start.beside(partner, *self.place)


@dataclass(frozen=True, eq=False)
class Way:
    """What differs between a start and the dance's own first frame: it fades out.

    Smoothly, and not faster than people move; the dance's movement goes on below it. Each frame
    needs no other, so that a dance may come in pieces.

    Args:
        shift: of each joint, metres.
        turn: of each joint, axis times angle, in radians.
        seconds: until nothing is left of them.
        offsets: the dancer's bones, metres; None: joints are moved by themselves.
    """

    shift: Float[Tensor, "55 3"]
    turn: Float[Tensor, "55 3"]
    seconds: float
    offsets: Float[Tensor, "55 3"] | None

    def led(
        self,
        joints: Float[Tensor, "T 55 3"],
        rotations: Float[Tensor, "T 55 3 3"],
        first: int = 0,
    ) -> tuple[Float[Tensor, "T 55 3"], Float[Tensor, "T 55 3 3"]]:
        """Return frames of the dance on this way, 30 fps; those behind its end are left alone.

        Args:
            joints: as danced, metres.
            rotations: likewise, local.
            first: which frame of the dance is the first of them.
        """
        left = self._left(first + torch.arange(len(joints))).to(joints)[:, None, None]
        count = int((left > 0).sum())
        if not count:
            return joints, rotations
        left, near, turned = left[:count], joints[:count], rotations[:count]
        turned = axis_angle_to_matrix(left * self.turn) @ turned
        if self.offsets is None:
            near = near + left * self.shift
        else:
            root = near[:, 0] + left[:, 0] * self.shift[0]
            near = forward_kinematics(turned, root, self.offsets).joints
        return torch.cat([near, joints[count:]]), torch.cat([turned, rotations[count:]])

    def _left(self, frames: Int[Tensor, "T"]) -> Float[Tensor, "T"]:
        """Return how much of what differs is left at frames: 1 at the first, then down to 0."""
        share = (frames / (self.seconds * FPS)).clamp_max(1.0)
        return 1 - share**3 * (share * (6 * share - 15) + 10)


def _seconds(pose: Float[Tensor, "55 3"], danced: Float[Tensor, "55 3"]) -> float:
    """Return how long people take from one pose to another, at least."""
    apart = float((danced[0] - pose[0]).norm())
    yaws = facing_angle(torch.stack([danced, pose]))
    turn = abs(float(wrap_angle(yaws[0] - yaws[1])))
    return max(SHORTEST_WAY, apart / FASTEST_WAY, turn / FASTEST_TURN)


def _require_near(distance: float) -> None:
    if not LEAST_DISTANCE <= distance <= MOST_DISTANCE:
        raise InputError(
            f"a start {distance:g} m from the partner; give {LEAST_DISTANCE:g} to "
            f"{MOST_DISTANCE:g} m"
        )
