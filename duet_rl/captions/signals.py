"""What facts look at: values of the pose codes and of the path, one signal a name, smoothed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.heading import low_pass, smooth_heading
from duet_rl.body.skeleton import NUM_JOINTS, WRISTS
from duet_rl.errors import InputError
from duet_rl.posecodes.body_table import UP
from duet_rl.posecodes.catalogue import BODY_CODES, DUET_CODES, Catalogue
from duet_rl.posecodes.points import body_size
from duet_rl.posecodes.table import rows

FPS = 30.0  # of every motion of the project
PELVIS_HEIGHT = "up-pelvis-lowest"  # m of a body with hips at 0.92 m
HEADING = "heading"  # degrees, left positive, unwrapped
AHEAD, ASIDE = "ahead", "aside"  # m gone along the own heading, and to its left
ROOT_SPEED = "root_speed"  # m/s over the floor
BODY_SPEED = "body_speed"  # m/s, mean over the joints of the body
PARTNER_SIDE = "partner_side"  # degrees from ahead to the partner, left positive
PARTNER_BEARING = "partner_bearing"  # degrees from ahead to the partner, 180 is behind
OWN_BEARING = "own_bearing"  # degrees from where the partner looks to the dancer
PARTNER_DISTANCE = "distance-pelvis-partner_pelvis"  # m
# By side, m from that hand of the partner to the nearer of the own.
HELD = {side: f"distance-hands-partner_{side}_hand" for side in ("left", "right")}

_MEDIAN = 5  # frames; a median drops outliers and keeps edges
_PATH_SIGMA = 5.0  # frames; sways of the pelvis with every step are no way gone
_LIMB_SIGMA = 2.0  # frames; trembling joints are no movement of the body
_SPEED_SIGMA = 10.0  # frames
_HEIGHT = Catalogue("height", rows("up", UP, "pelvis lowest", object=""))
_BODY = slice(WRISTS[-1] + 1)
_TO_PARTNER = "turn-pelvis-ahead-pelvis-partner_pelvis"
_FROM_PARTNER = "turn-partner_pelvis-partner_ahead-partner_pelvis-pelvis"


@dataclass(frozen=True, eq=False)
class Signals:
    """Signals of one motion.

    Args:
        values: one value a frame for each name: groups of `BODY_CODES` and, with a partner, of
            `DUET_CODES`, and the names of this file.
        frames: how many.
        couple: whether there is a partner.
    """

    values: Mapping[str, Float[np.ndarray, "T"]]
    frames: int
    couple: bool


def signals_of(
    joints: Float[Tensor, "T J 3"], partner: Float[Tensor, "S J 3"] | None = None
) -> Signals:
    """Return the signals of one dancer.

    Raises:
        InputError: joints that are not 55, not finite, or no frame; a partner of other length.
    """
    if joints.shape[1] != NUM_JOINTS:
        raise InputError(
            f"facts of {joints.shape[1]} joints; wanted the {NUM_JOINTS} of SMPL-X: retarget first"
        )
    if partner is not None and partner.shape != joints.shape:
        raise InputError(
            f"a dancer of {len(joints)} frames and a partner of {len(partner)}; cut both alike"
        )
    joints = joints.detach().float().cpu()
    measured = [(BODY_CODES, BODY_CODES.values(joints)), (_HEIGHT, _HEIGHT.values(joints))]
    if partner is not None:
        partner = partner.detach().float().cpu()
        measured.append((DUET_CODES, DUET_CODES.values(joints, partner)))
    values: dict[str, np.ndarray] = {}
    for catalogue, of_groups in measured:
        smooth = _median(of_groups).numpy()
        values.update((row.name, smooth[:, g]) for g, row in enumerate(catalogue.rows))
    values.update(_path(joints))
    if partner is not None:
        values[PARTNER_SIDE] = values[_TO_PARTNER]
        values[PARTNER_BEARING], values[OWN_BEARING] = (
            np.abs(values[name]) for name in (_TO_PARTNER, _FROM_PARTNER)
        )
        for side, name in HELD.items():
            own = [values[f"distance-{hand}_hand-partner_{side}_hand"] for hand in HELD]
            values[name] = np.minimum(*own)
    return Signals(values, len(joints), partner is not None)


def _path(joints: Tensor) -> dict[str, np.ndarray]:
    """Return where a dancer goes, faces and how fast he is, by the name of the signal."""
    heading = smooth_heading(joints, _PATH_SIGMA)
    size = float(body_size(joints).median())
    root = low_pass(joints[:, 0, [0, 2]], _PATH_SIGMA) / size
    x, z = torch.diff(root, dim=0, prepend=root[:1]).unbind(-1)
    sine, cosine = heading.sin(), heading.cos()
    ahead, left = x * sine + z * cosine, x * cosine - z * sine
    limbs = low_pass(joints[:, _BODY].flatten(1), _LIMB_SIGMA).unflatten(1, (-1, 3))
    body = torch.diff(limbs, dim=0).norm(dim=-1).mean(-1) * FPS / size
    body = torch.cat([body[:1], body]) if len(body) else body.new_zeros(1)
    speeds = torch.stack([torch.hypot(x, z) * FPS, body], dim=-1)
    if len(speeds) > 1:
        speeds[0, 0] = speeds[1, 0]  # nothing is known of the first frame
    speeds = low_pass(speeds, _SPEED_SIGMA).clamp_min(0)
    return {
        HEADING: torch.rad2deg(heading).numpy(),
        AHEAD: ahead.cumsum(0).numpy(),
        ASIDE: left.cumsum(0).numpy(),
        ROOT_SPEED: speeds[:, 0].numpy(),
        BODY_SPEED: speeds[:, 1].numpy(),
    }


def _median(values: Tensor) -> Tensor:
    """Return the running median over time of `(T, G)`, the ends repeated."""
    half = _MEDIAN // 2
    padded = torch.cat([values[:1].expand(half, -1), values, values[-1:].expand(half, -1)])
    return padded.unfold(0, _MEDIAN, 1).median(dim=-1).values
