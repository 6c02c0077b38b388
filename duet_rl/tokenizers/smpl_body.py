"""The 24 joints of SMPL among our 55."""

from jaxtyping import Float
from torch import Tensor

from duet_rl.body.skeleton import LOWER, NUM_SMPL_JOINTS, SMPL_JOINTS

BODY = 22  # SMPL's joints but its hands; they are our first ones
SMPL_PARTS: dict[str, tuple[int, ...]] = {  # of the 24, in the order of Bailando's channels
    "upper": tuple(joint for joint in range(NUM_SMPL_JOINTS) if joint not in LOWER),
    "lower": LOWER,
}


def smpl_joints(joints: Float[Tensor, "*batch 55 3"]) -> Float[Tensor, "*batch 24 3"]:
    """Return the 24 joints of SMPL."""
    return joints[..., list(SMPL_JOINTS), :]
