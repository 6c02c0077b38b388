"""AIST++: street dancers alone with their songs, as SMPL parameters; Bailando's data set."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.audio.beats import tempo_of
from duet_rl.audio.features import music_features, resample_audio
from duet_rl.audio.files import read_audio, write_wav
from duet_rl.audio.recipes import Compat, MusicConfig
from duet_rl.audio.spectra import SAMPLE_RATE
from duet_rl.body.contact import feet_above_floor
from duet_rl.body.motion import Duet
from duet_rl.body.stage import put_on_stage, stage
from duet_rl.config import Config
from duet_rl.datasets.aistpp_files import AistSequence, find_sequences, read_parameters
from duet_rl.datasets.clip import FPS, DuetClip, align
from duet_rl.datasets.prepare import PrepareConfig, PrepareTask, fingerprint, prepare
from duet_rl.datasets.split import Split, SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.files import require_folder, sha256_of
from duet_rl.meshes.smpl import SmplBody

AISTPP_FPS = 60.0  # frames per second of the files

_ON_FLOOR = 0.05  # share of the frames in which the lower foot is on or below the floor
_ANKLE_RESTS, _TOES_REST = 0.08, 0.02  # m; heights of a standing foot's joints


class AistppConfig(Config):
    """How the sequences of AIST++ are read."""

    val_is_test: bool = False  # the authors' validation split is for testing too, as in Bailando
    floor: Literal["feet", "file"] = "feet"  # where it is: under the feet of each dance, or y = 0
    whole_songs: bool = False  # keep whole songs beside the dances, not as much as is danced


def prepare_sequences(
    root: Path | str,
    out: Path | str,
    config: AistppConfig,
    model: Path,
    preparation: PrepareConfig,
    music: Path | None = None,
    progress: bool | None = None,
) -> DuetStore:
    """Return the store of soloists at `out` that holds the sequences under `root`.

    The test and validation splits are the authors'; a share for RL (`split.rl`) comes out of
    training.

    Args:
        root: folder of the annotations: `motions/`, `splits/`, `ignore_list.txt`.
        out: folder of the store.
        config: how sequences are read.
        model: SMPL's male body, or its folder.
        preparation: what to do with bad sequences; the share and the seed of the RL split.
        music: folder of the songs; None looks for one in `root`.
        progress: whether to show a progress bar; None: if there is a terminal.

    Raises:
        InputError: no sequences, one that is not whole, or a file that cannot be read.
    """
    root = require_folder(root, "the annotations of AIST++").resolve()  # workers stand elsewhere
    model = model.resolve()
    _body(model)  # refuse a bad model before anything else
    sequences = find_sequences(
        root, music and music.resolve(), config.val_is_test, preparation.skip_bad
    )
    split = split_of(sequences, preparation.split)
    made_with = {"aistpp": config.model_dump(mode="json")}
    return prepare(
        sequence_tasks(sequences, config, model, preparation.music),
        out,
        preparation.model_copy(update={"split": split}),
        made_with,
        progress,
    )


def split_of(sequences: Sequence[AistSequence], split: SplitConfig) -> SplitConfig:
    """Return how sequences are split: as their authors do, and `rl` out of training."""
    given: Mapping[str, Split] = {s.name: s.split for s in sequences if s.split != "train"}
    return SplitConfig(val=0.0, test=0.0, rl=split.rl, seed=split.seed, given=given)


def sequence_tasks(
    sequences: Sequence[AistSequence],
    config: AistppConfig,
    model: Path,
    music: MusicConfig = MusicConfig(),
) -> list[PrepareTask]:
    """Return what prepares each sequence."""
    settings = config.model_copy(update={"val_is_test": False})  # which changes no single one
    songs = {path: sha256_of(path) for path in {sequence.music for sequence in sequences}}
    bones = str(_body(model).rest.tolist())
    return [
        PrepareTask(
            sequence.name,
            fingerprint(settings, sequence.motion, songs[sequence.music], bones, music=music),
            partial(read_sequence, sequence, config, model, compat=music.compat),
        )
        for sequence in sequences
    ]


def read_sequence(
    sequence: AistSequence,
    config: AistppConfig,
    model: Path,
    scratch: Path,
    compat: Compat = "0.11",
) -> DuetClip:
    """Return the clip of one soloist, 30 fps, who begins on the stage and faces +Z.

    Dance and song begin together, and the clip ends with the shorter one.

    Args:
        sequence: its files.
        config: how they are read.
        model: SMPL's male body, or its folder.
        scratch: the part of the song that is danced to is written there.
        compat: whose numbers the music features are.

    Raises:
        InputError: a file cannot be read.
    """
    parameters = read_parameters(sequence.motion)
    motion = _body(model).motion(parameters.poses, parameters.transl, AISTPP_FPS)
    if config.floor == "feet":
        motion = motion.moved((0.0, -floor_height(motion.joints), 0.0))
    motion = put_on_stage(motion.resample(FPS))
    samples, rate = read_audio(sequence.music)
    audio = sequence.music
    if not config.whole_songs:
        samples = samples[: round(motion.frames / FPS * rate)]
        audio = scratch / f"{sequence.name}.wav"
        write_wav(audio, samples, rate)
    features = torch.from_numpy(
        music_features(resample_audio(samples, rate, SAMPLE_RATE), compat=compat)
    )
    return align(
        Duet(stage(motion.frames, FPS), motion),
        features,
        torch.zeros(motion.frames, 2, 4, dtype=torch.bool),
        name=sequence.name,
        choreography=sequence.name,
        audio=audio,
        music_source="recorded",
        style=sequence.style,
        tempo=tempo_of(features),
        source="AIST++",
        solo=True,
    )


def floor_height(joints: Float[Tensor, "T 55 3"]) -> float:
    """Return how high the floor lies, metres: where the lower foot rests in a dance.

    In a twentieth of the frames it may be lower, for captured feet sink a little into the floor.
    """
    lowest = feet_above_floor(joints, _TOES_REST, _ANKLE_RESTS).amin(-1)
    return float(lowest.quantile(_ON_FLOOR))


@lru_cache(maxsize=1)
def _body(model: Path) -> SmplBody:
    """Return the body; a process that reads many sequences loads it once."""
    return SmplBody.load(model)
