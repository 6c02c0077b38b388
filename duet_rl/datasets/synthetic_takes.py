"""Synthetic dances as takes to prepare: motion, rendered sound, features heard from the sound."""

from functools import partial
from pathlib import Path

import torch

from duet_rl.audio.features import music_features_of
from duet_rl.audio.files import write_wav
from duet_rl.audio.recipes import Compat, MusicConfig
from duet_rl.datasets.clip import DuetClip, align
from duet_rl.datasets.prepare import PrepareTask, fingerprint
from duet_rl.datasets.synthetic import CouplesConfig, SyntheticConfig, synthesize

GENERATION = 1  # raised when the same settings make another dance, so that stores are made anew


def synthetic_tasks(
    config: SyntheticConfig, music: MusicConfig = MusicConfig()
) -> list[PrepareTask]:
    """Return what makes each dance that `config` asks for; each is a choreography of its own."""
    # Another number of dances, or a longer list of them, leaves the single dance as it is.
    one: CouplesConfig = config.model_copy(update={"choreographies": 1})
    if not config.solo:  # couples keep the hash that they always had
        one = CouplesConfig(**one.model_dump(exclude={"solo"}))
    return [
        PrepareTask(
            f"{config.styles[index % len(config.styles)]}_{index:03d}",
            fingerprint(one, f"{GENERATION}:{index}", music=music),
            partial(make_clip, index, config, compat=music.compat),
        )
        for index in range(config.choreographies)
    ]


def make_clip(
    index: int, config: SyntheticConfig, scratch: Path, compat: Compat = "0.11"
) -> DuetClip:
    """Return one dance as a clip; its sound goes into `scratch`.

    The music features, beats included, are heard from the sound, as for any other song.
    """
    dance = synthesize(index, config)
    audio = scratch / f"{dance.name}.wav"
    write_wav(audio, dance.samples, dance.sample_rate)
    return align(
        dance.duet,
        torch.from_numpy(music_features_of(audio, compat=compat)),
        dance.hold,
        name=dance.name,
        choreography=dance.name,
        audio=audio,
        music_source="recorded",
        style=dance.style,
        tempo=dance.tempo,
        source="synthetic",
        solo=config.solo,
    )
