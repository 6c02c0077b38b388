"""The pose tokenizer of a soloist: the joints of SMPL around the root, as two streams."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.body.skeleton import NUM_SMPL_JOINTS
from duet_rl.config import Config
from duet_rl.tokenizers.frames import MotionBatch, time_last
from duet_rl.tokenizers.losses import motion_loss
from duet_rl.tokenizers.part import POSE, SOLO, CodecPart
from duet_rl.tokenizers.rates import doubled
from duet_rl.tokenizers.smpl_body import SMPL_PARTS, smpl_joints
from duet_rl.tokenizers.solo_settings import FPS, SoloCodecConfig
from duet_rl.tokenizers.spec import Stream
from duet_rl.tokenizers.tokenizer import codebook_metrics, streams_of
from duet_rl.tokenizers.vqvae import PartVQVAE, PartVQVAEConfig

_POSITIONS = "positions"
_ORDER = tuple(joint for joints in SMPL_PARTS.values() for joint in joints)  # of decoded joints
_IN_ORDER = tuple(_ORDER.index(joint) for joint in range(NUM_SMPL_JOINTS))


class SoloPoseTokenizer(CodecPart):
    """Upper and lower body to tokens and back, each by a VQ-VAE of its own (Bailando 3.1).

    They see where the joints are from the root, in world axes, and not where the root is.
    """

    kind: ClassVar[str] = POSE
    architecture: ClassVar[str] = SOLO
    config_class: ClassVar[type[Config]] = SoloCodecConfig
    config: SoloCodecConfig

    def __init__(self, config: SoloCodecConfig) -> None:
        super().__init__()
        self.config = config
        sizes = sizes_of(config)
        self.parts = nn.ModuleDict(
            {
                part: PartVQVAE(
                    sizes[part],
                    inputs=3 * len(joints),
                    heads={_POSITIONS: 3 * len(joints)},
                    halvings=config.halvings,
                )
                for part, joints in SMPL_PARTS.items()
            }
        )

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of a pose token."""
        return streams_of(sizes_of(self.config))

    def encode(self, motion: MotionBatch) -> Int[Tensor, "B N S"]:
        """Return the tokens of a dancer's poses; frames are a multiple of four."""
        return self.encode_body(self.body(motion))

    def decode(self, tokens: Int[Tensor, "B N S"]) -> Float[Tensor, "B M 24 3"]:
        """Return where the joints are from the root, metres, at `config.fps`."""
        decoded = [
            self.part(part).decode(own)[_POSITIONS].unflatten(-1, (-1, 3))
            for part, own in self._split(tokens).items()
        ]
        body = torch.cat(decoded, dim=2)[:, :, list(_IN_ORDER)] / self.config.scale
        return torch.cat([torch.zeros_like(body[:, :, :1]), body[:, :, 1:]], dim=2)

    def body(self, motion: MotionBatch) -> Float[Tensor, "B M 24 3"]:
        """Return what the tokenizer describes: joints from the root, metres, at `config.fps`."""
        joints = smpl_joints(motion.joints)
        return at_rate(joints - joints[:, :, :1], self.config.fps)

    def encode_body(self, body: Float[Tensor, "B M 24 3"]) -> Int[Tensor, "B N S"]:
        """Return the tokens of what `body` returns."""
        channels = self._channels(body)
        tokens = [self.part(part).encode(own.mT) for part, own in channels.items()]
        return torch.cat(tokens, dim=-1)

    def codes(self, tokens: Int[Tensor, "B N S"]) -> dict[str, Float[Tensor, "B N D"]]:
        """Return the codes that the tokens of each part name."""
        split = self._split(tokens)
        return {part: self.part(part).quantizer.decode(own) for part, own in split.items()}

    def loss(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what to minimise and what to log; in training, also move the codebooks.

        Args:
            motion: windows of any dancer.

        Returns:
            The loss, the mean of both halves', and detached scalars by name.
        """
        with torch.no_grad():
            body = self.body(motion)
        return self.body_loss(body)

    def body_loss(self, body: Float[Tensor, "B M 24 3"]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss on what `body` returns, see `loss`."""
        wanted = self._channels(body)
        outputs = {part: self.part(part)(own, {_POSITIONS: own}) for part, own in wanted.items()}
        terms: dict[str, Tensor] = {}
        with torch.autocast(body.device.type, enabled=False):
            for part, out in outputs.items():
                error = out.heads[_POSITIONS].float() - wanted[part]
                terms[f"{part}_{_POSITIONS}"] = motion_loss(error, self.config.motion)
                commit = self.part(part).config.commit * out.commit_loss.float()
                terms[f"{part}_commit"] = commit
            total = torch.stack(list(terms.values())).sum() / len(outputs)
        vqvaes = {part: self.part(part) for part in SMPL_PARTS}
        if self.training:
            self._learn_codebooks(
                (vqvaes[part].quantizer, out.statistics) for part, out in outputs.items()
            )
        metrics = {f"loss/{name}": term.detach() for name, term in terms.items()}
        metrics[f"loss/{POSE}"] = total.detach()
        return total, metrics | codebook_metrics(vqvaes, outputs)

    def forward(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return `loss(motion)`: what a data-parallel wrapper calls."""
        return self.loss(motion)

    def part(self, part: str) -> PartVQVAE:
        """Return the VQ-VAE of a part."""
        vqvae = self.parts[part]
        assert isinstance(vqvae, PartVQVAE)
        return vqvae

    def _channels(self, body: Float[Tensor, "B M 24 3"]) -> dict[str, Float[Tensor, "B C M"]]:
        """Return what the networks see of each part, channels first."""
        rows = time_last(body * self.config.scale)
        return {part: rows[:, list(joints)].flatten(1, 2) for part, joints in SMPL_PARTS.items()}

    def _split(self, tokens: Int[Tensor, "B N S"]) -> dict[str, Tensor]:
        levels = [size.levels for size in sizes_of(self.config).values()]
        return dict(zip(SMPL_PARTS, tokens.split(levels, dim=-1), strict=True))


def sizes_of(config: SoloCodecConfig) -> dict[str, PartVQVAEConfig]:
    """Return the settings of the VQ-VAE of each part."""
    return dict(zip(SMPL_PARTS, (config.upper, config.lower), strict=True))


def at_rate(values: Float[Tensor, "B T *channels"], fps: int) -> Float[Tensor, "B M *channels"]:
    """Return rows of 30 frames per second at 30 or 60."""
    return values if fps == FPS else doubled(values)
