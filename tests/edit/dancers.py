"""Dancers to edit, and a poser whose real poses are known: arms that go round by known ways."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duet_rl.body.kinematics import reach
from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import JOINT, NUM_JOINTS, default_skeleton
from duet_rl.captions.edit_language import read_edits
from duet_rl.captions.edits import Edit
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.tokenizers.codes_pose import CENTRE, CodeBank
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

SKELETON = default_skeleton()
FRAMES = 72
HANGING, AHEAD, RAISED, ACROSS = (
    (0.1, -0.45, 0.1),
    (0.0, 0.0, 0.42),
    (0.1, 0.42, 0.1),
    (-0.3, 0, 0.15),
)
STANDING = (0.0, SKELETON.hip_height, 0.0)


def with_arm(side: str, way: Tensor, rotations: Tensor) -> Tensor:
    """Return the rotations with a wrist going this way, `(T, 3)` m as seen from the shoulder."""
    start = SKELETON.rest_joints()[JOINT[f"{side}_shoulder"]]
    flip = way.new_tensor([1.0 if side == "left" else -1.0, 1.0, 1.0])
    root = torch.tensor(STANDING).expand(len(way), 3)
    return reach(rotations, root, SKELETON.offsets, f"{side}_arm", start + way * flip)


def standing(frames: int = FRAMES, left: tuple[float, ...] = HANGING) -> Motion:
    """Return a dancer who stands still, with hanging arms or the left wrist elsewhere."""
    rotations = torch.eye(3).expand(frames, NUM_JOINTS, 3, 3)
    for side, wrist in (("left", left), ("right", HANGING)):
        rotations = with_arm(side, torch.tensor(wrist).expand(frames, 3), rotations)
    return Motion.from_rotations(torch.tensor(STANDING).expand(frames, 3), rotations, SKELETON)


def going_round(frames: int = 160) -> Motion:
    """Return a standing dancer whose left wrist goes from place to place, and then the right."""
    stations = torch.tensor([HANGING, AHEAD, RAISED, AHEAD, ACROSS, HANGING])
    time = torch.linspace(0, len(stations) - 1, frames // 2)
    at = time.long().clamp_max(len(stations) - 2)
    way = torch.lerp(stations[at], stations[at + 1], (time - at)[:, None])
    still = torch.tensor(HANGING).expand(frames // 2, 3)
    rotations = torch.eye(3).expand(frames, NUM_JOINTS, 3, 3)
    rotations = with_arm("left", torch.cat([way, still]), rotations)
    rotations = with_arm("right", torch.cat([still, way]), rotations)
    return Motion.from_rotations(torch.tensor(STANDING).expand(frames, 3), rotations, SKELETON)


class KnownPoses:
    """A poser of the poses of one take: each row is the nearest of them."""

    def __init__(self, take: Motion) -> None:
        middles = slice(CENTRE, None, FRAMES_PER_TOKEN)
        self.codes = BODY_CODES.codes(take.joints[middles])
        self.rotations = take.rotations[middles]

    @property
    def bank(self) -> CodeBank:
        return CodeBank(self.codes.to(torch.int16), torch.zeros(len(self.codes), dtype=torch.long))

    def turns(self, codes: Int[Tensor, "N 72"]) -> Float[Tensor, "T 55 3 3"]:
        nearest = torch.cdist(codes.float(), self.codes.float(), p=1).argmin(1)
        return self.rotations[nearest].repeat_interleave(FRAMES_PER_TOKEN, 0)


def said(text: str, frames: int = FRAMES) -> tuple[Edit, ...]:
    return read_edits(text, frames)
