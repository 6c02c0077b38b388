"""The pose tokenizer: four body parts as four streams, positions in, rotations out."""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from duet_rl.body.skeleton import PARTS
from duet_rl.tokenizers.body_tokenizer import BodyTokenizer
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.pose_heads import (
    DecodedPose,
    PoseLosses,
    decoded_pose,
    head_sizes,
    targets_of,
)
from duet_rl.tokenizers.spec import Stream
from duet_rl.tokenizers.tokenizer import (
    DuetCodecConfig,
    codebook_metrics,
    streams_of,
)
from duet_rl.tokenizers.vqvae import PartVQVAE, PartVQVAEConfig

_FIRST = [joints[0] for joints in PARTS.values()]


class PoseTokenizer(BodyTokenizer):
    """Body parts to tokens and back.

    Upper body, lower body and each hand have a VQ-VAE of their own. The encoders see positions;
    the decoders give positions, rotations and, from the lower body, the velocity of the root.
    """

    def __init__(self, config: DuetCodecConfig) -> None:
        super().__init__(config)
        sizes = _part_configs(config)
        self.parts = nn.ModuleDict(
            {
                part: PartVQVAE(
                    sizes[part],
                    inputs=3 * len(joints),
                    heads=head_sizes(part, self.frame.rotation_channels),
                    causal=config.frame.causal,
                )
                for part, joints in PARTS.items()
            }
        )
        self.losses = PoseLosses(config.pose, config.frame)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of a pose token."""
        return streams_of(_part_configs(self.config))

    def encode(
        self, motion: MotionBatch, dancer: str = "follower", cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        positions = self.frame.positions(motion, dancer, cache)
        if self.config.pose.zero_first_joints:
            positions[:, _FIRST] = 0
        tokens = [
            self._part(part).encode(positions[:, list(joints)].flatten(1, 2).mT, cache)
            for part, joints in PARTS.items()
        ]
        return torch.cat(tokens, dim=-1)

    def decode(self, tokens: Int[Tensor, "B N S"], cache: StreamCache | None = None) -> DecodedPose:
        widths = [self._part(part).config.levels for part in PARTS]
        heads = {
            part: self._part(part).decode(own, cache)
            for part, own in zip(PARTS, tokens.split(widths, dim=-1), strict=True)
        }
        return decoded_pose(heads, self.frame)

    def loss(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            target = self.frame.features(motion)
        wanted = targets_of(target)
        outputs = {
            part: self._part(part)(wanted[part]["positions"], wanted[part]) for part in PARTS
        }
        with torch.autocast(motion.joints.device.type, enabled=False):
            heads = {part: out.heads for part, out in outputs.items()}
            terms = self.losses(heads, wanted, motion, target)
            for part, out in outputs.items():
                commit = self._part(part).config.commit
                terms[f"{part}_commit"] = commit * out.commit_loss.float()
            total = torch.stack(list(terms.values())).sum()
        if self.training:
            self._learn_codebooks(
                (self._part(part).quantizer, out.statistics) for part, out in outputs.items()
            )
        metrics = {f"loss/{name}": term.detach() for name, term in terms.items()}
        metrics["loss/pose"] = total.detach()
        return total, metrics | codebook_metrics(self._parts(), outputs)

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
