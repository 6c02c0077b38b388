"""Contact of a couple on the surfaces of their bodies: slow, so of some frames, if asked for."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.clip import DuetClip
from duet_rl.metrics.duet import Measure

GROUP = "Contact on surfaces, hands and feet left out"
LITRES = 1000  # per cubic metre

SURFACE_MEASURES: dict[str, Measure] = {
    "surface_share": Measure("share", "lower", "frames in which the surfaces overlap", GROUP),
    "surface_depth": Measure("m", "lower", "how deep they lie in each other, mean", GROUP),
    "surface_volume": Measure("l", "lower", "what lies in both bodies, mean over frames", GROUP),
}


def surface_measures(
    danced: Sequence[Motion | None], clips: Sequence[DuetClip], every: int
) -> dict[str, Float[Tensor, "B"]]:
    """Return the measures of `SURFACE_MEASURES`, one number a clip; NaN for a missing dance.

    Bodies are the stand-in, fitted to each dancer's bones (docs/contact.md).

    Args:
        danced: a follower for each clip.
        clips: whose leaders they meet.
        every: of so many frames, one is looked at.

    Raises:
        InputError: the package that holds surfaces together is missing.
    """
    from duet_rl.meshes.mesh_contact import couple_contact  # its package is optional

    rows = []
    for motion, clip in zip(danced, clips, strict=True):
        if motion is None:
            rows.append([float("nan")] * len(SURFACE_MEASURES))
            continue
        met = couple_contact(Duet(_thinned(clip.duet.leader, every), _thinned(motion, every)))
        share, depth, volume = met.touching.float(), met.depth, met.volume * LITRES
        rows.append([float(numbers.mean()) for numbers in (share, depth, volume)])
    columns = torch.tensor(rows).unbind(1)
    return dict(zip(SURFACE_MEASURES, columns, strict=True))


def _thinned(motion: Motion, every: int) -> Motion:
    return replace(motion, joints=motion.joints[::every], rotations=motion.rotations[::every])
