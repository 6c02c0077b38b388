"""Who makes motions of texts for the published protocol: our followers, and a converted PGR2M."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.body.motion import Motion
from duet_rl.datasets.clip import FPS as OUR_FPS
from duet_rl.datasets.humanml3d import HUMANML3D, LONGEST, UNIT, MotionFormat
from duet_rl.datasets.split import Split
from duet_rl.errors import InputError
from duet_rl.evaluate.followers import follower_in
from duet_rl.evaluate.humanml3d import MotionMaker, PublishedTextConfig
from duet_rl.files import require_folder
from duet_rl.generate.follower import Follower, load_follower
from duet_rl.generate.pgr2m import PUBLISHED_TEMPERATURE, Rest, TextDancer, load_pgr2m
from duet_rl.generate.words import (
    USUAL_SECONDS,
    WORDS_SAMPLING,
    Beside,
    dance_texts,
    require_told,
)
from duet_rl.mocap.humanml3d import FPS, JOINTS
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.humanml3d import Quirks, canonical, features_of
from duet_rl.tokenizers.pgr2m import KIND as PGR2M


class HumanML3DEvaluateConfig(PublishedTextConfig):
    """On which texts the published protocol is run, and how motions are made of them."""

    split: Split = "test"
    sampling: SamplingConfig = WORDS_SAMPLING  # of followers
    seconds: float = Field(USUAL_SECONDS, gt=0)  # of dances of followers who do not end them
    temperature: float = Field(PUBLISHED_TEMPERATURE, ge=0)  # of a converted PGR2M
    rest: Rest = "sentence"  # what a converted PGR2M hears instead of key words
    clip: Path | None = None  # CLIP's text tower, where a converted folder has none


_QUIRKS = Quirks(swapped_hips=True, lost_turns=True)  # the form that the data set's files have


def features_of_motion(motion: Motion) -> Float[Tensor, "M 263"]:
    """Return the features of a motion as the data set's files would have them, 20 fps.

    One that is shorter than a unit of the evaluator is held in its last pose until it is one.

    Args:
        motion: of 55 joints, at any frame rate.
    """
    joints = motion.resample(FPS).joints[:, :JOINTS].cpu().float()
    lacking = UNIT + 1 - len(joints)
    if lacking > 0:
        joints = torch.cat([joints, joints[-1:].expand(lacking, -1, -1)])
    return features_of(canonical(joints), _QUIRKS)


def maker_of_follower(
    follower: Follower,
    sampling: SamplingConfig = WORDS_SAMPLING,
    seconds: float = USUAL_SECONDS,
) -> MotionMaker:
    """Return what dances to texts as a follower of ours does, as features of HumanML3D.

    Args:
        follower: one that hears words and needs nothing else.
        sampling: temperature, cut-offs and guidance.
        seconds: that its dances last, if it does not end them by itself.

    Raises:
        InputError: the follower hears no words, or needs a leader or music.
    """
    require_told(follower, Beside())
    longest = (LONGEST + 1) / FPS if follower.ends else seconds
    frames = int(longest * OUR_FPS)

    def make(texts: Sequence[str], generator: torch.Generator) -> list[Tensor]:
        dances = dance_texts(follower, texts, frames, Beside(), _seed(generator), sampling)
        return [features_of_motion(dance) for dance in dances]

    return make


def maker_of_pgr2m(
    dancer: TextDancer,
    kind: MotionFormat = HUMANML3D,
    temperature: float = PUBLISHED_TEMPERATURE,
    rest: Rest = "sentence",
) -> MotionMaker:
    """Return what a converted PGR2M makes of texts: its own features.

    Args:
        dancer: from `load_pgr2m`.
        kind: the data set whose features are wanted.
        temperature: of the pose codes.
        rest: what stands where key words would.

    Raises:
        InputError: its motion is of another data set, or not in that data set's units.
    """
    config = dancer.models.config
    if config.channels != kind.channels or config.units != "metres":
        raise InputError(
            f"the converted models write {config.channels} features a frame, {config.units}; "
            f"wanted the {kind.channels} of {kind.name}, in the units of its files: give models of "
            "that data set, converted with --mean and --std"
        )
    sampling = SamplingConfig(temperature=temperature)
    device = dancer.models.tokenizer.mean.device

    def make(texts: Sequence[str], generator: torch.Generator) -> list[Tensor]:
        told = torch.stack([dancer.prompt(text, rest=rest) for text in texts]).to(device)
        chance = torch.Generator(device).manual_seed(_seed(generator))
        return dancer.models.motion(told, sampling, chance)

    return make


def maker_in(
    folder: Path,
    kind: MotionFormat = HUMANML3D,
    config: HumanML3DEvaluateConfig = HumanML3DEvaluateConfig(),
    device: str = "cpu",
) -> MotionMaker:
    """Return what makes motions of texts in a folder.

    Args:
        folder: of a follower that hears words, of its run, or of `duet-rl convert pgr2m`.
        kind: of the data set.
        config: how they are drawn.
        device: where they compute.

    Raises:
        InputError: none of these, or one that does not fit the data set.
    """
    require_folder(folder, "what makes motions of texts")
    place = follower_in(folder)
    try:
        if is_pgr2m(folder):
            dancer = load_pgr2m(folder, config.clip, device)
            return maker_of_pgr2m(dancer, kind, config.temperature, config.rest)
        if place is None:
            raise InputError(
                "there is no follower and no converted PGR2M; give the folder of a follower that "
                "hears words, of its run, or of `duet-rl convert pgr2m`"
            )
        if kind is not HUMANML3D:
            raise InputError(
                f"our bodies have features of {HUMANML3D.name}, and the data are {kind.name}; "
                f"give --data of {HUMANML3D.name}"
            )
        return maker_of_follower(load_follower(place, device), config.sampling, config.seconds)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def is_pgr2m(folder: Path) -> bool:
    """Return whether a folder is of `duet-rl convert pgr2m`."""
    return checkpoint.is_checkpoint(folder, PGR2M)


def _seed(generator: torch.Generator) -> int:
    """Return a seed; every maker draws one a call, so that the protocol's own draws stay equal."""
    return int(torch.randint(2**31 - 1, (), generator=generator))
