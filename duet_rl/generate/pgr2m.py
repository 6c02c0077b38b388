"""A converted PGR2M at work: from a sentence to the motion of a dancer.

The text becomes vectors (CLIP), the vectors pose codes, the pose codes features of HumanML3D, and
those the joints and turns of a body of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.body.motion import Motion
from duet_rl.errors import InputError
from duet_rl.files import require_file
from duet_rl.mocap.body_fit import motion_of_body
from duet_rl.mocap.humanml3d import FEATURES, FPS, joints_of
from duet_rl.models.clip_text import ClipText
from duet_rl.models.policy import SamplingConfig
from duet_rl.pickles import load_object_npy
from duet_rl.tokenizers.pgr2m import CLIP, Pgr2m

OUR_FPS = 30.0
PUBLISHED_TEMPERATURE = 1.0  # at which the authors draw (spec 4)

# What takes the place of key words that are not given: the sentence's own vector | zeros.
Rest = Literal["sentence", "zeros"]


@dataclass(frozen=True, eq=False)
class TextDancer:
    """PGR2M's models, and the text tower that they were trained with."""

    models: Pgr2m
    tower: ClipText

    def motions(
        self,
        text: str,
        samples: int = 1,
        *,
        keywords: Path | str | Sequence[str] | None = None,
        rest: Rest = "sentence",
        seed: int = 0,
        temperature: float = PUBLISHED_TEMPERATURE,
    ) -> list[Motion]:
        """Return dances to a text, at 30 fps, on the floor, from the origin on.

        Sample `i` is what `seed + i` gives by itself.

        Args:
            text: one sentence.
            samples: how many dances.
            keywords: see `prompt`.
            rest: see `prompt`.
            seed: another one, another dance.
            temperature: of the pose codes; 0 takes the likeliest.

        Raises:
            InputError: no text, key words that do not fit, or motion that is not in metres.
        """
        require_metres(self.models)
        if samples < 1 or temperature < 0:
            raise InputError(
                f"{samples} samples at temperature {temperature:g}; wanted one or more at 0 or more"
            )
        told = self.prompt(text, keywords, rest)[None].to(self.models.tokenizer.mean.device)
        sampling = SamplingConfig(temperature=temperature)
        return [
            motion_of_features(self._drawn(told, sampling, seed + i), name="humanml3d")
            for i in range(samples)
        ]

    def prompt(
        self,
        text: str,
        keywords: Path | str | Sequence[str] | None = None,
        rest: Rest = "sentence",
    ) -> Float[Tensor, "P C"]:
        """Return the vectors that a text is told by: the sentence's, and those of key words.

        Args:
            text: one sentence.
            keywords: a vector for each slot, as an `.npy` file of that many rows; or a sentence
                for each slot, in their order or as the lines of a text file, empty where `rest`
                shall stand. None: all are empty.
            rest: what stands in slots without key words.

        Raises:
            InputError: no text, or key words of another number, or for models without slots.
        """
        if not text.strip():
            raise InputError("the text is empty; say what the dancer shall do")
        if rest not in get_args(Rest):
            raise InputError(f"rest is {rest!r}; wanted one of {', '.join(get_args(Rest))}")
        slots = self.models.config.base.prompt_steps - 1
        (sentence,) = self.tower.sentences([text])
        empty = sentence if rest == "sentence" else torch.zeros_like(sentence)
        if keywords is None:
            return torch.stack([sentence, *[empty] * slots])
        if not slots:
            raise InputError("these models were trained without key words; leave them out")
        if isinstance(keywords, Path | str) and Path(keywords).suffix == ".npy":
            told = _vectors(keywords, slots, len(sentence)).to(sentence)
        else:
            told = self._told(keywords, slots, empty)
        return torch.cat([sentence[None], told])

    def _told(
        self, keywords: Path | str | Sequence[str], slots: int, empty: Tensor
    ) -> Float[Tensor, "K C"]:
        """Return the vectors of sentences, those of empty ones as given."""
        lines = _lines(keywords) if isinstance(keywords, Path | str) else list(keywords)
        if len(lines) != slots:
            raise InputError(
                f"{len(lines)} lines of key words are given; wanted {slots}, one for each slot, "
                "empty where nothing is said"
            )
        said = self.tower.sentences(lines)
        blank = torch.tensor([not line.strip() for line in lines], device=said.device)
        return torch.where(blank[:, None], empty, said)

    def _drawn(self, told: Tensor, sampling: SamplingConfig, seed: int) -> Float[Tensor, "T F"]:
        generator = torch.Generator(told.device).manual_seed(seed)
        return self.models.motion(told, sampling, generator)[0]


def load_pgr2m(
    folder: Path | str, clip: Path | str | None = None, device: str = "cpu"
) -> TextDancer:
    """Return the models in a folder of `duet-rl convert pgr2m`, ready to dance.

    Args:
        folder: what was converted.
        clip: CLIP's text tower (see `ClipText.load`); None: that in the folder.
        device: where they compute.

    Raises:
        InputError: a folder of another kind, or damaged; no text tower, or one that does not fit.
    """
    models = Pgr2m.load(folder)
    path = Path(folder) / CLIP if clip is None else Path(clip)
    if clip is None and not path.is_dir():
        raise InputError(
            f"{folder} has no text tower; convert with --clip PATH, the path of CLIP's weights "
            "(ViT-B/32), or give it now"
        )
    tower = ClipText.load(path)
    models.require_fits(tower)
    return TextDancer(models.to(device), tower.to(device))


def motion_of_features(features: Float[Tensor, "T F"], name: str = "humanml3d") -> Motion:
    """Return what HumanML3D's features mean as a motion of ours, at 30 fps.

    The joints are those of positions and path; of the rotations in the features only what the
    joints show is kept (`motion_of_body`). The lowest joint of the take stands on the floor.

    Args:
        features: metres and radians, at 20 fps.
        name: of the skeleton.

    Raises:
        InputError: features of another body, or NaN among them.
    """
    if features.shape[1] != FEATURES:
        raise InputError(
            f"features of {features.shape[1]} numbers a frame are given; only those of "
            f"HumanML3D ({FEATURES}) become a body here"
        )
    joints = joints_of(features.detach().cpu().float())
    return motion_of_body(joints, FPS, name).resample(OUR_FPS)


def require_metres(models: Pgr2m) -> None:
    """Raise `InputError` if no body can be made of what the models decode."""
    if models.config.channels != FEATURES:
        raise InputError(
            f"these models write {models.config.channels} features a frame, those of KIT-ML; "
            "which sides of its 21 joints are the left ones, and their unit, are not known well "
            "enough to make a body of them: use models of HumanML3D, or Pgr2m.motion for the "
            "features themselves"
        )
    if models.config.units != "metres":
        raise InputError(
            "these models write normalised motion, because mean and standard deviation were not "
            "given: convert again with --mean Mean.npy --std Std.npy of their training data"
        )


def _vectors(path: Path | str, slots: int, channels: int) -> Float[Tensor, "K C"]:
    """Return one vector for each slot.

    Raises:
        InputError: no such file, damaged, of another size, or not finite.
    """
    values = load_object_npy(path)
    wanted = (slots, channels)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.shape != wanted:
        found = values.shape if isinstance(values, np.ndarray) else type(values).__name__
        raise InputError(
            f"{path} holds {found}; an array of {wanted} is wanted, one vector of CLIP for each "
            "slot: choose one paraphrase where a file has several"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds NaN or infinity; make it again")
    return torch.from_numpy(values.astype(np.float32))


def _lines(path: Path | str) -> list[str]:
    """Return the lines of a text file; a last line break ends the last line."""
    try:
        text = require_file(path, "key words (.npy or .txt)").read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no text; give an .npy file of vectors or a text file of lines"
        ) from error
    return text.removesuffix("\n").split("\n")
