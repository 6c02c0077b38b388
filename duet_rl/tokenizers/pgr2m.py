"""PGR2M's three models together: from the vectors of a text to motion features.

Jeong and Choi 2025, arXiv 2512.22464. The base transformer writes pose codes, the refine
transformer what they leave over, and the tokenizer decodes both.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.config import Config, validate
from duet_rl.errors import InputError
from duet_rl.mocap.humanml3d import FEATURES, POSITIONS
from duet_rl.models.clip_text import ClipText
from duet_rl.models.pgr2m import PoseCodeGPT, PoseCodeGPTConfig
from duet_rl.models.pgr2m_refine import RefineConfig, RefineTransformer
from duet_rl.models.pgr2m_rows import tokens_of
from duet_rl.models.policy import DEFAULT_SAMPLING, SamplingConfig
from duet_rl.tokenizers.codes_vq import CodesVQConfig, CodesVQVAE

KIND = "pgr2m"  # of the checkpoint folder
CLIP = "clip"  # its sub-folder with the text tower, if it has one


class Pgr2mConfig(Config):
    """Sizes of the three models, and what their motion is."""

    architecture: Literal["pgr2m"] = "pgr2m"
    channels: int = Field(FEATURES, gt=0)  # of a frame of motion: 263 HumanML3D, 251 KIT-ML
    # Decoded motion is in metres and radians | as the tokenizer saw it, normalised by numbers that
    # nobody gave when the checkpoint was converted.
    units: Literal["metres", "normalised"] = "metres"
    tokenizer: CodesVQConfig = CodesVQConfig()
    base: PoseCodeGPTConfig = PoseCodeGPTConfig()
    refine: RefineConfig | None = None


class Pgr2m(nn.Module):
    """The models of one training.

    Args:
        tokenizer: which decodes pose codes and residual tokens.
        base: which writes pose codes.
        refine: which writes residual tokens; None: motion of pose codes alone.
        units: of decoded motion; see `Pgr2mConfig`.
    """

    def __init__(
        self,
        tokenizer: CodesVQVAE,
        base: PoseCodeGPT,
        refine: RefineTransformer | None = None,
        units: Literal["metres", "normalised"] = "normalised",
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.base = base
        self.refine = refine
        self.config = Pgr2mConfig(
            channels=len(tokenizer.mean),
            units=units,
            tokenizer=tokenizer.config,
            base=base.config,
            refine=None if refine is None else refine.config,
        )

    def set_normalisation(self, mean: Float[Tensor, "F"], std: Float[Tensor, "F"]) -> None:
        """Let decoded motion be in the units of this mean and standard deviation."""
        self.tokenizer.set_normalisation(mean, std)
        self.config = self.config.model_copy(update={"units": "metres"})

    @torch.no_grad()
    def motion(
        self,
        prompt: Float[Tensor, "B P C"],
        sampling: SamplingConfig = DEFAULT_SAMPLING,
        generator: torch.Generator | None = None,
    ) -> list[Float[Tensor, "T F"]]:
        """Return the motion of each prompt, as the tokenizer's features.

        Args:
            prompt: vectors of a text, as the models were trained with.
            sampling: of pose codes; what refines them is the likeliest.
            generator: the source of chance.
        """
        clips, lengths = self.base.sample(prompt, sampling, generator)
        motions = []
        for i, length in enumerate(lengths.tolist()):
            rows, told = clips[i : i + 1, :length], prompt[i : i + 1]
            rest = None if self.refine is None else self.refine.sample(told, rows)
            pose = tokens_of(rows, self.base.config.classes)
            motions.append(self.tokenizer.decode(pose, rest)[0])
        return motions

    def require_fits(self, tower: ClipText) -> None:
        """Raise `InputError` if a text tower's vectors are not those that prompts are made of."""
        wanted = self.config.base.prompt_channels
        if tower.channels != wanted:
            raise InputError(
                f"its vectors have {tower.channels} channels and those of a prompt {wanted}; give "
                "the text tower that the models were trained with (PGR2M: CLIP's ViT-B/32)"
            )

    def save(self, folder: Path, meta: Mapping[str, Any]) -> None:
        """Write the models into an existing folder; the caller makes it atomic."""
        checkpoint.write_files(
            folder, kind=KIND, tensors=self.state_dict(), config=self.config, meta=meta
        )

    @classmethod
    def load(cls, folder: Path | str) -> "Pgr2m":
        """Return the models saved in `folder`, in evaluation mode.

        Raises:
            InputError: nothing there, another kind, or damaged files.
        """
        saved = checkpoint.load(folder, KIND)
        config = validate(Pgr2mConfig, saved.config, str(saved.path))
        classes = config.base.classes
        if not classes or (config.refine is not None and config.refine.classes != classes):
            raise InputError(f"{folder} is damaged: its models have no pose codes in common")
        models = cls(
            new_tokenizer(config.tokenizer, config.channels, classes),
            PoseCodeGPT(config.base),
            None if config.refine is None else RefineTransformer(config.refine),
            config.units,
        )
        checkpoint.load_module(models, saved.tensors, saved.path)
        return models.eval()


def new_tokenizer(config: CodesVQConfig, channels: int, classes: tuple[int, ...]) -> CodesVQVAE:
    """Return an untrained tokenizer of motion features; the positions of joints count more."""
    stressed = (POSITIONS.start, POSITIONS.stop) if channels >= POSITIONS.stop else None
    return CodesVQVAE(config, channels, classes, stressed)
