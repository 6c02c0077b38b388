"""DD100: two dancers a take as SMPL-X, with the music they danced to; Duolando's data set."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from duet_rl.audio.beats import tempo_of
from duet_rl.audio.features import music_features_of
from duet_rl.audio.provenance import AUTHORS, MusicFacts
from duet_rl.audio.recipes import Compat, MusicConfig
from duet_rl.body.contact import hold_due
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import FEET, JOINT
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS, DuetClip, align
from duet_rl.datasets.dd100_files import JointFiles, Role, SmplxFile, read_music_table
from duet_rl.datasets.dd100_takes import Take, checksums, find_takes, write_checksums
from duet_rl.datasets.hands import HOLD_RANGE
from duet_rl.datasets.prepare import PrepareConfig, PrepareTask, fingerprint, prepare
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import require_folder, sha256_of
from duet_rl.mocap.axes import UpAxis, to_y_up

AUTHORS_MUSIC: MusicFacts = {**AUTHORS, "source": "music/feature of DD100, not computed here"}
FULL_SET: Mapping[str, int] = {"train": 133, "test": 34}  # takes of the whole data set

_STANDS = 0.5  # m; the head of who stands is at least so far above the feet, on average
_GIANT = 3.0  # m; nobody's head is so far from the feet
_TOO_FAR = 20.0  # m; no couple is so far apart for most of a dance
_FLOOR_SLACK = 0.3  # m; feet that stay farther from the floor stand on another one

logger = logging.getLogger(__name__)


class DD100Config(Config):
    """How the takes of DD100 are found and read."""

    # Up in the files. The authors' previews and skating measure say z, their dance features say y;
    # a dancer who does not stand along it is refused.
    up: UpAxis = "z"
    floor: float = 0.0  # m along that axis; the height of the floor in the files
    val: float = Field(0.0, ge=0, lt=1)  # share of the choreographies, taken from training
    music: Literal["auto", "audio", "features"] = "auto"  # auto: as the motion, raw or preprocessed
    hold_range: float = Field(HOLD_RANGE, gt=0)  # m; palms that are nearer hold each other
    # Export: leave out the frames for whose tokens a Duolando GPT knows no future, as theirs does.
    original_length: bool = False


def prepare_takes(
    root: Path | str,
    out: Path | str,
    config: DD100Config,
    models: Path | None,
    preparation: PrepareConfig,
    progress: bool | None = None,
) -> DuetStore:
    """Return the store at `out` that holds the takes under `root`; their checksums lie in it too.

    Args:
        root: folder of the data set.
        out: folder of the store.
        config: how takes are found and read.
        models: folder of the body models, to read SMPL-X parameters; None reads the tables of
            joints and rotations that the authors preprocess.
        preparation: what to do with bad takes; the seed of the val split.
        progress: whether to show a progress bar; None: if there is a terminal.

    Raises:
        InputError: no takes, a take that is not whole, or a file that cannot be read.
    """
    root = require_folder(root, "the data set DD100").resolve()  # workers may stand elsewhere
    models = models and models.resolve()
    tables = config.music == "features" or (config.music == "auto" and models is None)
    bodies = [] if models is None else [sha256_of(file) for file in _model_files(models)]
    takes = find_takes(root, tables, models, preparation.skip_bad)
    sums = checksums(takes)
    made_with = {
        "dd100": config.model_dump(mode="json"),
        "motion": "smplx" if models is not None else "pos3d and rotmat",
    }
    split = split_of(config, preparation.split)
    store = prepare(
        take_tasks(takes, config, sums, bodies, preparation.music),
        out,
        preparation.model_copy(update={"split": split}),
        made_with,
        progress,
        music=AUTHORS_MUSIC if tables else None,
    )
    write_checksums(store.path, root, sums)
    return store


def take_tasks(
    takes: Sequence[Take],
    config: DD100Config,
    sums: Mapping[Path, str],
    bodies: Sequence[str] = (),
    music: MusicConfig = MusicConfig(),
) -> list[PrepareTask]:
    """Return what prepares each take; `sums` and `bodies` are the SHA-256 of files and models."""
    # Which takes there are, and how they are split, changes no single one.
    settings = config.model_copy(update={"val": 0.0, "original_length": False})
    return [
        PrepareTask(
            take.name,
            fingerprint(settings, *(sums[path] for path in take.inputs), *bodies, music=music),
            partial(read_take, take, config, compat=music.compat),
        )
        for take in takes
    ]


def read_take(
    take: Take, config: DD100Config, scratch: Path | None = None, compat: Compat = "0.11"
) -> DuetClip:
    """Return the clip of one take, Y-up, as long as all its files reach.

    Args:
        take: its files.
        config: the axes of the files.
        scratch: not needed; takes of other data sets write there.
        compat: whose numbers the music features are, where they are computed.

    Raises:
        InputError: a file cannot be read, or nobody stands along the axis that should be up.
    """
    leader = _read_dancer(take.leader, "leader", config)
    follower = _read_dancer(take.follower, "follower", config)
    shared = min(leader.frames, follower.frames)
    duet = Duet(leader.slice(0, shared), follower.slice(0, shared))
    _require_near(duet, take.follower.paths[0])
    if take.music.suffix == ".npy":
        features = read_music_table(take.music)
    else:
        features = torch.from_numpy(music_features_of(take.music, compat=compat))
    if lost := max(0, shared - len(features)) / FPS:
        logger.warning("%s: the music ends %.1f s before the dance", take.name, lost)
    return align(
        duet,
        features,
        hold_due(duet.leader.joints, duet.follower.joints, FPS, threshold=config.hold_range),
        name=take.name,
        choreography=take.choreography,
        audio=take.audio,
        music_source="recorded",
        style=take.genre,
        tempo=tempo_of(features),
        source="DD100",
    )


def split_of(config: DD100Config, split: SplitConfig) -> SplitConfig:
    """Return how DD100 is split: the test takes are the authors', `val` comes out of training."""
    return split.model_copy(update={"rule": "dd100", "val": config.val, "test": 0.0})


def counts(store: DuetStore) -> str:
    """Return one line: the takes of each split beside those of the whole data set."""
    found = Counter(store.index.splits[record.choreography] for record in store.records())
    val = f" (and {found['val']} val)" if found["val"] else ""
    return (
        f"{found['train']} train{val} and {found['test']} test takes; "
        f"the whole DD100 has {FULL_SET['train']} and {FULL_SET['test']}"
    )


def _read_dancer(source: SmplxFile | JointFiles, role: Role, config: DD100Config) -> Motion:
    motion = source.read(role)
    _require_upright(motion, config.up, source.paths[0])
    motion = to_y_up(motion, config.up).moved((0.0, -config.floor, 0.0))
    _warn_of_floor(motion, config, source.paths[0])
    return motion


def _model_files(models: Path) -> list[Path]:
    """Return the files of the body models, whose numbers make the joints."""
    files = [models] if models.is_file() else sorted(models.rglob("SMPLX_*.npz"))
    if not files:
        raise InputError(
            f"{models} has no body models SMPLX_FEMALE.npz and SMPLX_MALE.npz; register at "
            "https://smpl-x.is.tue.mpg.de for them, or use --features"
        )
    return files


def _require_upright(motion: Motion, up: UpAxis, path: Path) -> None:
    """Raise `InputError` if the dancer stands along another axis than `up`."""
    tall = motion.joints[:, JOINT["head"]] - motion.joints[:, list(FEET)].mean(1)
    heights = dict(zip("xyz", tall.mean(0).tolist(), strict=True))
    if max(map(abs, heights.values())) > _GIANT:
        raise InputError(
            f"{path}: the head is on average {heights[up]:.1f} m from the feet; positions are "
            "wanted in metres: convert the files"
        )
    if heights[up] >= _STANDS and heights[up] >= max(map(abs, heights.values())):
        return
    other: UpAxis = "y" if up == "z" else "z"
    along = ", ".join(f"{height:.2f} m along {axis}" for axis, height in heights.items())
    advice = f"set dd100.up={other}" if heights[other] >= _STANDS else "look at the take"
    raise InputError(
        f"{path}: the head is on average {along} from the feet, so it does not stand along "
        f"dd100.up={up}; {advice}"
    )


def _require_near(duet: Duet, path: Path) -> None:
    """Raise `InputError` if the two are too far apart to dance together."""
    apart = float((duet.leader.root - duet.follower.root).norm(dim=-1).median())
    if apart > _TOO_FAR:
        raise InputError(
            f"{path}: the partners are {apart:.0f} m apart most of the time; look whether both "
            "files are of one take, and their translations in metres"
        )


def _warn_of_floor(motion: Motion, config: DD100Config, path: Path) -> None:
    """Say so if the lowest foot is nearly always far from the floor."""
    height = float(motion.joints[:, list(FEET), 1].amin(1).median())
    if abs(height) > _FLOOR_SLACK:
        logger.warning(
            "%s: the feet are %.2f m above the floor; if all takes are, set dd100.floor=%.2f",
            path,
            height,
            config.floor + height,
        )
