"""What is learned of a soloist after the poses: how the root moves, and rotations if wanted."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duet_rl.body.skeleton import NUM_SMPL_JOINTS, SMPL_JOINTS, default_skeleton
from duet_rl.config import Config
from duet_rl.tokenizers.conv import Decoder
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.losses import motion_loss
from duet_rl.tokenizers.part import SOLO, TRANSLATION, CodecPart
from duet_rl.tokenizers.rates import doubled_rotations
from duet_rl.tokenizers.smpl_body import SMPL_PARTS
from duet_rl.tokenizers.solo_pose import at_rate, sizes_of
from duet_rl.tokenizers.solo_settings import FPS, SoloCodecConfig

LEGS = "lower"  # the part whose codes say how the root moves
_MATRIX = 9  # channels of a rotation
_ORDER = tuple(joint for joints in SMPL_PARTS.values() for joint in joints)
_IN_ORDER = tuple(_ORDER.index(joint) for joint in range(NUM_SMPL_JOINTS))


class SoloTranslation(CodecPart):
    """Decoders that hang on finished pose tokens (Bailando 3.1, Bailando++).

    The codes of the lower body give the velocity of the root; with `config.rotations`, both parts'
    codes also give rotations. It also keeps what a decoded dancer begins with: the bones
    (`offsets`, metres) and the height of the root (`start_height`, metres), both the means of the
    dancers that it was trained on.
    """

    offsets: Tensor
    start_height: Tensor

    kind: ClassVar[str] = TRANSLATION
    architecture: ClassVar[str] = SOLO
    config_class: ClassVar[type[Config]] = SoloCodecConfig
    config: SoloCodecConfig

    def __init__(self, config: SoloCodecConfig) -> None:
        super().__init__()
        self.config = config
        skeleton = default_skeleton()
        self.register_buffer("offsets", skeleton.offsets)
        self.register_buffer("start_height", torch.tensor(skeleton.hip_height))
        self.velocity_decoder = self._decoder(LEGS, 3)
        wanted = SMPL_PARTS if config.rotations else {}
        self.rotation_decoders = nn.ModuleDict(
            {part: self._decoder(part, _MATRIX * len(joints)) for part, joints in wanted.items()}
        )

    def velocity(self, codes: Mapping[str, Tensor]) -> Float[Tensor, "B M 3"]:
        """Return how the root leaves each frame, m/s, at `config.fps`.

        Args:
            codes: of each part, `(B, N, D)`.
        """
        return self.velocity_decoder(codes[LEGS].mT).mT / self._velocity_scale

    def rotations(self, codes: Mapping[str, Tensor]) -> Float[Tensor, "B M 24 3 3"] | None:
        """Return local rotations as decoded, not quite orthogonal; None where none are learned."""
        if not self.rotation_decoders:
            return None
        parts = [
            decoder(codes[part].mT).mT.unflatten(-1, (-1, 3, 3))
            for part, decoder in self.rotation_decoders.items()
        ]
        return torch.cat(parts, dim=2)[:, :, list(_IN_ORDER)]

    def loss(
        self, codes: Mapping[str, Tensor], motion: MotionBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise and what to log.

        Args:
            codes: of each part, `(B, N, D)`: those of the tokens of `motion`.
            motion: windows of any dancer.

        Returns:
            The loss, and detached scalars by name.
        """
        with torch.no_grad():
            root = at_rate(motion.joints[:, :, 0], self.config.fps)
            turned = motion.rotations[:, :, list(SMPL_JOINTS)] if self.rotation_decoders else None
            if turned is not None and self.config.fps != FPS:
                turned = doubled_rotations(turned)
        return self.decoding_loss(codes, root, turned)

    def decoding_loss(
        self,
        codes: Mapping[str, Tensor],
        root: Float[Tensor, "B M 3"],
        rotations: Float[Tensor, "B M 24 3 3"] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss on frames at `config.fps`, see `loss`.

        Args:
            codes: of each part, `(B, N, D)`.
            root: metres.
            rotations: local; wanted where rotations are learned.
        """
        wanted = leaving(root, self.config.fps) * self._velocity_scale
        velocity, decoded = self.velocity_decoder(codes[LEGS].mT), self.rotations(codes)
        with torch.autocast(root.device.type, enabled=False):
            error = velocity.float() - wanted.mT
            terms = {"velocity": motion_loss(error, self.config.root_motion)}
            if decoded is not None:
                assert rotations is not None
                terms["rotations"] = self._rotation_loss(decoded.float() - rotations)
            total = torch.stack(list(terms.values())).sum()
        metrics = {f"loss/{name}": term.detach() for name, term in terms.items()}
        return total, metrics | {f"loss/{TRANSLATION}": total.detach()}

    def forward(
        self, codes: Mapping[str, Tensor], motion: MotionBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return `loss(codes, motion)`."""
        return self.loss(codes, motion)

    def _rotation_loss(self, error: Float[Tensor, "B M 24 3 3"]) -> Float[Tensor, ""]:
        """Return the mean of both parts' losses."""
        rows = error.flatten(3).permute(0, 2, 3, 1)
        losses = [
            motion_loss(rows[:, list(joints)], self.config.motion) for joints in SMPL_PARTS.values()
        ]
        return torch.stack(losses).mean()

    @property
    def _velocity_scale(self) -> float:
        """Units of the network a m/s."""
        return 1.0 if self.config.velocity == "m/s" else 1 / self.config.fps

    def _decoder(self, part: str, channels: int) -> Decoder:
        size = sizes_of(self.config)[part]
        halvings = self.config.halvings
        return Decoder(size, size.code_width, channels, causal=False, halvings=halvings)


def leaving(path: Float[Tensor, "B M 3"], fps: float) -> Float[Tensor, "B M 3"]:
    """Return the velocity that leads away from each frame, m/s; the last one goes on."""
    steps = path.diff(dim=1) * fps
    last = steps[:, -1:] if steps.shape[1] else torch.zeros_like(path)
    return torch.cat([steps, last], dim=1)
