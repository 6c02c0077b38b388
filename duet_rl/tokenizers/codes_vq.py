"""A tokenizer of readable pose codes and what they leave over: codes and frames in, frames out.

The readable part of a token is given, not learned: the class of every group of pose codes. What
it cannot tell is quantised level by level (PGR2M: Jeong and Choi 2025, arXiv 2512.22464).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models.streams import StreamEmbedding, check_tokens
from duet_rl.tokenizers.codes_vq_conv import CodesConvConfig, CodesDecoder, CodesEncoder
from duet_rl.tokenizers.codes_vq_residual import DroppableQuantizer, ResidualConfig
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.quantizers import CodebookStatistics, perplexity
from duet_rl.tokenizers.spec import DROPPED, check_frames


class CodesVQConfig(CodesConvConfig, ResidualConfig):
    """Size and training of a `CodesVQVAE`: its networks, its codebooks, and these."""

    commit: float = Field(0.02, ge=0)  # weight of how far codes and rests are apart
    entropy: float = Field(0.01, ge=0)  # weight of unsure or even choices; soft codebooks alone
    stress: float = Field(0.5, ge=0)  # extra weight of the stressed channels
    # Share of training steps that leave out some of the last levels; those that leave out all.
    level_dropout: float = Field(0.2, ge=0, le=1)
    residual_dropout: float = Field(0.1, ge=0, le=1)
    # The pose codes learn from the decoder alone, and the encoder from what they leave over.
    detach_pose: bool = True
    # difference: of the latents, what is quantised is how they differ from those of the pose codes
    # (PGR2M) | latents: all of them, so that the encoder need not learn to say what codes say
    rest: Literal["difference", "latents"] = "difference"


class CodesVQOutput(NamedTuple):
    """One pass through a `CodesVQVAE`."""

    motion: Float[Tensor, "B T C"]
    tokens: Int[Tensor, "B N L"]  # of the levels; `DROPPED` where one was left out
    commit_loss: Float[Tensor, ""]
    entropy_loss: Float[Tensor, ""]
    statistics: tuple[CodebookStatistics, ...]  # empty outside training


class CodesVQVAE(nn.Module):
    """Encode what pose codes leave over of a motion, and decode motion from both or codes alone.

    `B` clips of `T` frames are `N = T / 2 ** halvings` steps of `S` pose codes and `L` levels.

    Args:
        config: size and training.
        channels: of the motion.
        classes: of each group of pose codes.
        stressed: range of channels that count more, e.g. the positions of joints.
        causal: whether a token depends on the past alone, and a frame on past tokens alone.

    Example:
        >>> vqvae = CodesVQVAE(CodesVQConfig(), channels=263, classes=(18, 3, 2)).eval()
        >>> motion, pose = torch.zeros(2, 64, 263), torch.zeros(2, 16, 3, dtype=torch.long)
        >>> tokens = vqvae.encode(motion, pose)
        >>> tokens.shape, vqvae.decode(pose, tokens).shape, vqvae.decode(pose).shape
        (torch.Size([2, 16, 6]), torch.Size([2, 64, 263]), torch.Size([2, 64, 263]))
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: CodesVQConfig,
        channels: int,
        classes: Sequence[int],
        stressed: tuple[int, int] | None = None,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.classes = tuple(classes)
        self.stressed = slice(*(stressed or (0, 0)))
        self.frames_per_token = 2**config.halvings
        self.encoder = CodesEncoder(config, channels, config.code_width, causal=causal)
        self.decoder = CodesDecoder(config, config.code_width, channels, causal=causal)
        self.pose = StreamEmbedding(self.classes, config.code_width)
        nn.init.uniform_(self.pose.table.weight, -1 / sum(self.classes), 1 / config.code_width)
        self.quantizer = DroppableQuantizer(config)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    @property
    def initialised(self) -> bool:
        """Whether a first training batch has filled the codebooks."""
        return self.quantizer.initialised

    def set_normalisation(self, mean: Float[Tensor, "C"], std: Float[Tensor, "C"]) -> None:
        """Store mean and standard deviation of each channel; networks and losses see neither."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def encode(
        self,
        motion: Float[Tensor, "B T C"],
        pose: Int[Tensor, "B N S"],
        active: int | None = None,
        cache: StreamCache | None = None,
    ) -> Int[Tensor, "B N L"]:
        """Return the tokens of what `pose` leaves over of `motion`.

        Args:
            motion: in the units of the normalisation.
            pose: the class of every group, of each token's frames.
            active: how many levels are used; all by default.
            cache: continues the clip that it was used for before.

        Raises:
            InputError: frames and pose codes that do not fit each other or the tokenizer.
        """
        self._check(motion, pose)
        rest = self._rest(self._latents(self._normal(motion), cache), self.pose(pose))
        return self.quantizer.encode(rest, active)

    def decode(
        self,
        pose: Int[Tensor, "B N S"],
        tokens: Int[Tensor, "B N L"] | None = None,
        cache: StreamCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Return the motion of pose codes, and of what `tokens` add to them.

        Raises:
            InputError: tokens that the tokenizer cannot mean.
        """
        check_tokens(pose, self.classes, "the pose codes")
        latents = self.pose(pose)
        if tokens is not None:
            latents = latents + self.quantizer.decode(tokens)
        return self._motion(latents, cache) * self.std + self.mean

    def forward(self, motion: Float[Tensor, "B T C"], pose: Int[Tensor, "B N S"]) -> CodesVQOutput:
        """Quantise and reconstruct; in training, leave out levels as the config says.

        Raises:
            InputError: frames and pose codes that do not fit each other or the tokenizer.
        """
        self._check(motion, pose)
        out = self._reconstructed(self._normal(motion), pose)
        return out._replace(motion=out.motion * self.std + self.mean)

    def loss(
        self, motion: Float[Tensor, "B T C"], pose: Int[Tensor, "B N S"]
    ) -> tuple[Tensor, dict[str, Tensor], tuple[CodebookStatistics, ...]]:
        """Return what to minimise, what to log, and what `quantizer.update` ends the step with.

        Raises:
            InputError: frames and pose codes that do not fit each other or the tokenizer.
        """
        self._check(motion, pose)
        wanted = self._normal(motion)
        out = self._reconstructed(wanted, pose)
        with torch.autocast(motion.device.type, enabled=False):
            found, config = out.motion.float(), self.config
            terms = {
                "motion": F.smooth_l1_loss(found, wanted),
                "commit": config.commit * out.commit_loss,
                "entropy": config.entropy * out.entropy_loss,
            }
            if config.stress and found[..., self.stressed].numel():
                stressed = F.smooth_l1_loss(found[..., self.stressed], wanted[..., self.stressed])
                terms["stressed"] = config.stress * stressed
            total = torch.stack(list(terms.values())).sum()
        metrics = {f"loss/{name}": term.detach() for name, term in terms.items()}
        return total, metrics | self.use(out.tokens), out.statistics

    @torch.no_grad()
    def use(self, tokens: Int[Tensor, "B N L"]) -> dict[str, Tensor]:
        """Return how many codes each level in use spreads over."""
        metrics = {}
        for level in range(tokens.shape[-1]):
            row = tokens[..., level].flatten()
            if row[0] != DROPPED:
                counts = torch.bincount(row, minlength=self.config.codes).float()
                metrics[f"tokens/perplexity_residual{level}"] = perplexity(counts)
        return metrics

    def _reconstructed(
        self, normal: Float[Tensor, "B T C"], pose: Int[Tensor, "B N S"]
    ) -> CodesVQOutput:
        """Return one pass over a normalised motion, itself normalised."""
        told, active = self.pose(pose), self._draw_levels()
        if active == 0:  # the encoder has nothing to say either
            nothing = told.new_zeros(())
            tokens = pose.new_full((*pose.shape[:2], self.config.levels), DROPPED)
            latents, losses, statistics = told, (nothing, nothing), ()
        else:
            known = told.detach() if self.config.detach_pose else told
            rest = self.quantizer(self._rest(self._latents(normal), known), active)
            latents, tokens, statistics = told + rest.codes, rest.tokens, rest.statistics
            losses = (rest.commit_loss, rest.entropy_loss)
        commit_loss, entropy_loss = losses
        if self.training:
            commit_loss = commit_loss + self._idle(active)
        return CodesVQOutput(self._motion(latents), tokens, commit_loss, entropy_loss, statistics)

    def _rest(
        self, latents: Float[Tensor, "B N D"], told: Float[Tensor, "B N D"]
    ) -> Float[Tensor, "B N D"]:
        return latents - told if self.config.rest == "difference" else latents

    def _draw_levels(self) -> int:
        """Return how many levels this step uses; the same on all workers."""
        levels = self.config.levels
        if not (self.training and self.initialised):
            return levels
        drop, skip, share = torch.rand(3, generator=self.quantizer.generator()).tolist()
        if drop < self.config.residual_dropout:
            return 0
        return 1 + int(share * levels) if skip < self.config.level_dropout else levels

    def _idle(self, active: int) -> Float[Tensor, ""]:
        """Return 0, whose gradient comes as zeros to what this step leaves out.

        Data-parallel training waits for a gradient of every parameter at every step.
        """
        parts = [*self.quantizer.levels[active:], *([] if active else [self.encoder])]
        zeros = [0 * parameter.sum() for part in parts for parameter in part.parameters()]
        return torch.stack([self.mean.new_zeros(()), *zeros]).sum()

    def _normal(self, motion: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        return (motion - self.mean) / self.std

    def _latents(
        self, normal: Float[Tensor, "B T C"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B N D"]:
        return self.encoder(normal.mT, cache).mT

    def _motion(
        self, latents: Float[Tensor, "B N D"], cache: StreamCache | None = None
    ) -> Float[Tensor, "B T C"]:
        return self.decoder(latents.mT, cache).mT

    def _check(self, motion: Tensor, pose: Tensor) -> None:
        check_frames(motion.shape[1], self.frames_per_token)
        check_tokens(pose, self.classes, "the pose codes")
        if pose.shape[1] * self.frames_per_token != motion.shape[1]:
            raise InputError(
                f"{motion.shape[1]} frames come with pose codes of {pose.shape[1]} tokens; "
                f"wanted one row of codes for every {self.frames_per_token} frames"
            )
