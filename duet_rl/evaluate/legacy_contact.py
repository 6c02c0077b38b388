"""Duolando's contact frequency: do the SMPL-X bodies of a couple touch."""

from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from duet_rl.body.motion import Duet
from duet_rl.datasets.dd100_files import BETAS, GENDER, load_body
from duet_rl.generate.inputs import require_device

_AT_ONCE = 64  # frames whose two meshes are in memory, 16 MB


def contact_frames(couple: Duet, models: Path, device: str = "cpu") -> Bool[Tensor, "T"]:
    """Return in which frames the bodies touch, as Duolando counts it (`duolando_contact`).

    As in the original, generated dancers get the mean body of their role's gender.

    Args:
        couple: its pelvises and rotations count; any axes.
        models: folder of the SMPL-X models.
        device: where triangles are held against each other.

    Raises:
        InputError: models or a package are missing, or there is no such device.
    """
    place = require_device(device)
    from duet_rl.meshes.mesh_contact import duolando_contact  # its package is optional

    leader, follower = load_body(models, GENDER["leader"]), load_body(models, GENDER["follower"])
    shape = torch.zeros(BETAS)
    touching = []
    for start in range(0, couple.frames, _AT_ONCE):
        part = couple.slice(start, start + _AT_ONCE)
        bodies = (leader.vertices(part.leader, shape), follower.vertices(part.follower, shape))
        meshes = (mesh.to(place) for mesh in (*bodies, leader.faces))
        touching.append(duolando_contact(*meshes).cpu())
    return torch.cat(touching)
