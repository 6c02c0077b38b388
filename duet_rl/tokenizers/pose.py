"""The pose tokenizer: four body parts as four streams, positions in, rotations out."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.body.contact import planted_feet
from duet_rl.body.skeleton import NUM_JOINTS, PARTS
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import (
    BODY_JOINTS,
    MotionBatch,
    PoseFeatures,
    skeleton_offsets,
)
from duet_rl.tokenizers.losses import KinematicLoss, motion_loss
from duet_rl.tokenizers.part import POSE
from duet_rl.tokenizers.spec import Stream
from duet_rl.tokenizers.tokenizer import (
    DuetCodecConfig,
    Tokenizer,
    codebook_metrics,
    streams_of,
)
from duet_rl.tokenizers.vqvae import PartVQVAE, PartVQVAEConfig, VQVAEOutput

_ORDER = tuple(joint for joints in PARTS.values() for joint in joints)  # of the decoded joints
_FIRST = [joints[0] for joints in PARTS.values()]
_IN_ORDER = tuple(_ORDER.index(joint) for joint in range(NUM_JOINTS))


class DecodedPose(NamedTuple):
    """A body in its frame of reference, as decoded."""

    rotations: Float[Tensor, "B T 55 R"]
    root_velocity: Float[Tensor, "B T 3"]  # m/s, in the frame of reference
    positions: Float[Tensor, "B T 55 3"]  # in units of the frame of reference


class PoseTokenizer(Tokenizer):
    """Body parts to tokens and back; both dancers' bodies are its training data.

    Upper body, lower body and each hand have a VQ-VAE of their own. The encoders see positions;
    the decoders give positions, rotations and, from the lower body, the velocity of the root.
    """

    kind: ClassVar[str] = POSE

    def __init__(self, config: DuetCodecConfig) -> None:
        super().__init__(config)
        sizes = _part_configs(config)
        self.parts = nn.ModuleDict(
            {
                part: PartVQVAE(
                    sizes[part],
                    inputs=3 * len(joints),
                    heads=self._heads(part, len(joints)),
                    causal=config.frame.causal,
                )
                for part, joints in PARTS.items()
            }
        )
        self.kinematics = KinematicLoss(
            config.pose.kinematics, config.pose.motion, config.frame.fps
        )

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of a pose token."""
        return streams_of(_part_configs(self.config))

    def encode(
        self, motion: MotionBatch, dancer: str = "follower", cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        """Return the tokens of a dancer's poses.

        Args:
            motion: `(B, T)` frames, a multiple of four.
            dancer: whose they are; keeps two dancers in one `cache` apart.
            cache: continues the clip it was used for before (causal tokenizers only).
        """
        positions = self.frame.positions(motion, dancer, cache)
        if self.config.pose.zero_first_joints:
            positions[:, _FIRST] = 0
        tokens = [
            self._part(part).encode(positions[:, list(joints)].flatten(1, 2).mT, cache)
            for part, joints in PARTS.items()
        ]
        return torch.cat(tokens, dim=-1)

    def decode(self, tokens: Int[Tensor, "B N S"], cache: StreamCache | None = None) -> DecodedPose:
        """Return the poses that tokens stand for, in their frame of reference."""
        widths = [self._part(part).config.levels for part in PARTS]
        heads = {
            part: self._part(part).decode(own, cache)
            for part, own in zip(PARTS, tokens.split(widths, dim=-1), strict=True)
        }
        rotations, positions = (
            torch.cat(
                [heads[part][head].unflatten(-1, (len(PARTS[part]), -1)) for part in PARTS], dim=2
            )[:, :, list(_IN_ORDER)]
            for head in ("rotations", "positions")
        )
        velocity = heads["lower"]["velocity"] / self.frame.velocity_scale
        return DecodedPose(rotations, velocity, positions)

    def loss(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise and what to log; in training, also move the codebooks.

        Args:
            motion: windows of either dancer.

        Returns:
            The loss, and detached scalars by name.
        """
        with torch.no_grad():
            target = self.frame.features(motion)
        wanted = {part: _targets(part, target) for part in PARTS}
        outputs = {
            part: self._part(part)(wanted[part]["positions"], wanted[part]) for part in PARTS
        }
        with torch.autocast(motion.joints.device.type, enabled=False):
            terms = self._terms(outputs, wanted)
            if self._poses_the_body():
                terms |= self._kinematic_terms(outputs, motion, target)
            total = torch.stack(list(terms.values())).sum()
        if self.training:
            self._learn_codebooks(self._parts(), outputs)
        metrics = {f"loss/{name}": term.detach() for name, term in terms.items()}
        metrics["loss/pose"] = total.detach()
        return total, metrics | codebook_metrics(self._parts(), outputs)

    def forward(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return `loss(motion)`: what a data-parallel wrapper calls."""
        return self.loss(motion)

    def _terms(
        self, outputs: Mapping[str, VQVAEOutput], wanted: Mapping[str, Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return the weighted losses of each part's heads and of its codebook."""
        config = self.config.pose
        weights = {
            "positions": config.positions,
            "rotations": config.rotations,
            "velocity": config.velocity,
        }
        motion = dict.fromkeys(weights, config.motion)
        motion["velocity"] = config.root_motion or config.motion
        terms = {}
        for part, out in outputs.items():
            for head, decoded in out.heads.items():
                error = decoded.float() - wanted[part][head]
                terms[f"{part}_{head}"] = weights[head] * motion_loss(error, motion[head])
            terms[f"{part}_commit"] = self._part(part).config.commit * out.commit_loss.float()
        return terms

    def _kinematic_terms(
        self, outputs: Mapping[str, VQVAEOutput], motion: MotionBatch, target: PoseFeatures
    ) -> dict[str, Tensor]:
        parts = [
            outputs[part].heads["rotations"].float().unflatten(1, (len(PARTS[part]), -1))
            for part in PARTS
        ]
        rotations = torch.cat(parts, dim=1)[:, list(_IN_ORDER[:BODY_JOINTS])]
        with torch.no_grad():
            offsets = skeleton_offsets(motion)
            planted = planted_feet(motion.joints).mT.to(rotations)  # (B, 2, T): left, right
            planted = planted.repeat(1, 2, 1)  # of ankles, then of toes
        velocity = outputs["lower"].heads["velocity"].float()
        return self.kinematics(rotations, velocity, target, offsets, planted)._asdict()

    def _poses_the_body(self) -> bool:
        kinematics = self.config.pose.kinematics
        wanted = kinematics.joints > 0 or kinematics.feet > 0
        return wanted and self.config.frame.kind == "heading"

    def _heads(self, part: str, joints: int) -> dict[str, int]:
        heads = {"positions": 3 * joints, "rotations": self.frame.rotation_channels * joints}
        return heads | ({"velocity": 3} if part == "lower" else {})

    def _part(self, part: str) -> PartVQVAE:
        vqvae = self.parts[part]
        assert isinstance(vqvae, PartVQVAE)
        return vqvae

    def _parts(self) -> dict[str, PartVQVAE]:
        return {part: self._part(part) for part in PARTS}


def _part_configs(config: DuetCodecConfig) -> dict[str, PartVQVAEConfig]:
    pose = config.pose
    sizes = (pose.upper, pose.lower, pose.hand, pose.hand)
    return dict(zip(PARTS, sizes, strict=True))


def _targets(part: str, features: PoseFeatures) -> dict[str, Tensor]:
    """Return what the heads of a part shall give, channels first."""
    joints = list(PARTS[part])
    targets = {
        "positions": features.positions[:, joints].flatten(1, 2),
        "rotations": features.rotations[:, joints].flatten(1, 2),
    }
    return targets | ({"velocity": features.root_velocity} if part == "lower" else {})
