"""HumanML3D as a store of soloists with the captions that people wrote of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from pydantic import Field

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.motion import Duet
from duet_rl.body.stage import put_on_stage, stage
from duet_rl.config import Config
from duet_rl.datasets.clip import FPS, DuetClip, align
from duet_rl.datasets.clip_captions import Captions, ClipCaption
from duet_rl.datasets.humanml3d import HUMANML3D, MotionFormat, TextMotions, open_text_motions
from duet_rl.datasets.prepare import PrepareConfig, PrepareTask, fingerprint, prepare
from duet_rl.datasets.split import Split, SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.files import require_folder
from duet_rl.mocap.body_fit import motion_of_body
from duet_rl.mocap.humanml3d import FPS as FILE_FPS
from duet_rl.mocap.humanml3d import joints_of, with_true_turns

OFFICIAL_SPLITS: tuple[Split, ...] = ("train", "val", "test")
MIRROR = "M"  # begins the names of mirror images, which the data set holds as motions of their own

logger = logging.getLogger(__name__)


class HumanML3DConfig(Config):
    """How the motions of HumanML3D are read."""

    mirrored: bool = True  # with the mirror images that are motions of the data set, too
    mend_turns: bool = True  # where the files turn the wrong way for a frame, turn the right one
    most: int | None = Field(None, ge=1)  # motions of each split, drawn; None: all


@dataclass(frozen=True)
class TakenMotion:
    """A motion of the data set with all of its captions, frames at 20 a second."""

    name: str
    features: Path
    frames: int
    captions: Captions
    split: Split

    @property
    def choreography(self) -> str:
        """What it shares with its mirror image, so that both lie in one split."""
        return self.name.removeprefix(MIRROR)


def prepare_humanml3d(
    root: Path | str,
    out: Path | str,
    config: HumanML3DConfig = HumanML3DConfig(),
    preparation: PrepareConfig = PrepareConfig(),
    progress: bool | None = None,
) -> DuetStore:
    """Return the store of soloists at `out` that holds the motions under `root`, without music.

    They are those that the published protocol takes, in the data set's own splits; a share for
    RL (`split.rl`) comes out of training.

    Args:
        root: folder of the data set: `Mean.npy`, `Std.npy`, lists, `new_joint_vecs/`, `texts/`.
        out: folder of the store.
        config: how motions are read.
        preparation: what to do with bad motions; the share and the seed of the RL split.
        progress: whether to show a progress bar; None: if there is a terminal.

    Raises:
        InputError: no data set, KIT-ML, a motion in two splits, or a file that cannot be read.
    """
    root = require_folder(root, "HumanML3D").resolve()  # workers stand elsewhere
    motions = find_motions(root, config, preparation.skip_bad, preparation.split.seed)
    given: Mapping[str, Split] = {m.choreography: m.split for m in motions if m.split != "train"}
    asked = preparation.split
    split = SplitConfig(val=0.0, test=0.0, rl=asked.rl, seed=asked.seed, given=given)
    return prepare(
        motion_tasks(motions, config),
        out,
        preparation.model_copy(update={"split": split}),
        {"humanml3d": config.model_dump(mode="json")},
        progress,
    )


def find_motions(
    root: Path, config: HumanML3DConfig, skip_bad: bool = False, seed: int = 0
) -> list[TakenMotion]:
    """Return the motions of all splits, by name, with their captions.

    Mirror images whose originals are in another split are left out, and said.

    Args:
        root: folder of the data set.
        config: which of them.
        skip_bad: leave out those whose files are missing or damaged, instead of stopping.
        seed: of the draw of some of them.

    Raises:
        InputError: as `open_text_motions`; KIT-ML; a motion in two splits.
    """
    found: dict[str, TakenMotion] = {}
    for split in OFFICIAL_SPLITS:
        data = open_text_motions(root, split, skip_bad=skip_bad)
        require_humanml3d(data.format, root)
        for motion in _drawn(_taken(data, split), config, seed):
            earlier = found.get(motion.name)
            if earlier is not None:
                raise InputError(
                    f"{motion.name} is in {earlier.split}.txt and in {split}.txt of {root}; fetch "
                    "the lists again"
                )
            found[motion.name] = motion
        if data.left_out:
            told = ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
            logger.info("%s of %s: left out %s", split, root, told)
    homes = {m.name: m.split for m in found.values() if m.name == m.choreography}
    strangers = {n for n, m in found.items() if homes.get(m.choreography, m.split) != m.split}
    if strangers:
        logger.warning(
            "%d mirror images, such as %s, are in another split than their originals; left out",
            len(strangers),
            min(strangers),
        )
    return [found[name] for name in sorted(found.keys() - strangers)]


def require_humanml3d(kind: MotionFormat, root: Path) -> None:
    """Raise `InputError` for KIT-ML, of whose motions no body can be made."""
    if kind is not HUMANML3D:
        raise InputError(
            f"{root} holds {kind.name}, and only motions of {HUMANML3D.name} become a body here: "
            f"which sides of its {kind.joints} joints are the left ones, and their unit, are not "
            "known well enough (docs/pgr2m.md)"
        )


def motion_tasks(motions: Sequence[TakenMotion], config: HumanML3DConfig) -> list[PrepareTask]:
    """Return what prepares each motion."""
    settings = HumanML3DConfig(mend_turns=config.mend_turns)  # the others change no single motion
    return [
        PrepareTask(
            motion.name,
            fingerprint(settings, motion.features, repr(motion.captions)),
            partial(read_motion, motion, config.mend_turns),
        )
        for motion in motions
    ]


def read_motion(motion: TakenMotion, mend_turns: bool, scratch: Path) -> DuetClip:
    """Return the clip of one motion, 30 fps, who begins on the stage and faces +Z.

    The body is a skeleton of ours with bones of the motion's lengths, its lowest joint on the
    floor; the music is silence.

    Args:
        motion: its file and captions.
        mend_turns: see `HumanML3DConfig`.
        scratch: not used, for there is no sound to write.

    Raises:
        InputError: the file cannot be read, or holds what is no body in metres.
    """
    features = HUMANML3D.read_features(motion.features)[: motion.frames]
    joints = joints_of(with_true_turns(features) if mend_turns else features)
    dancer = put_on_stage(motion_of_body(joints, FILE_FPS, "humanml3d").resample(FPS))
    each = FPS / FILE_FPS
    captions = [
        ClipCaption(text, round(each * start), min(dancer.frames, round(each * stop)))
        for text, start, stop in motion.captions
    ]
    frames = dancer.frames
    return align(
        Duet(stage(frames, FPS), dancer),
        torch.zeros(frames, MUSIC_DIMS),
        torch.zeros(frames, 2, 4, dtype=torch.bool),
        name=motion.name,
        choreography=motion.choreography,
        audio=None,
        music_source="none",
        style="unknown",
        tempo=0.0,
        source="HumanML3D",
        solo=True,
        captions=tuple(captions),
    )


def _taken(data: TextMotions, split: Split) -> list[TakenMotion]:
    """Return each motion of a split once, its parts as spans of captions."""
    captions: dict[Path, list[ClipCaption]] = {}
    for motion in data.motions:
        start, stop = motion.frames
        told = [ClipCaption(line.text, start, stop) for line in motion.lines]
        captions.setdefault(motion.file, []).extend(told)
    return [
        TakenMotion(file.stem, file, data.format.count_frames(file), tuple(told), split)
        for file, told in captions.items()
    ]


def _drawn(motions: Sequence[TakenMotion], config: HumanML3DConfig, seed: int) -> list[TakenMotion]:
    """Return the motions that are asked for."""
    kept = [m for m in motions if config.mirrored or not m.name.startswith(MIRROR)]
    if config.most is None or len(kept) <= config.most:
        return kept
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(seed))
    return [kept[row] for row in order[: config.most].tolist()]
