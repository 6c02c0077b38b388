"""A run: every stage from files to a refined follower, each a function of one configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from duet_rl import checkpoint
from duet_rl.audio.provenance import facts_in
from duet_rl.audit.settings import AuditConfig
from duet_rl.choreograph.settings import ChoreographConfig
from duet_rl.config import Config
from duet_rl.datasets.aistpp import AistppConfig
from duet_rl.datasets.bvh_pairs import PairsConfig, find_pairs, pair_tasks
from duet_rl.datasets.dd100 import DD100Config, prepare_takes
from duet_rl.datasets.dd100_export import axes_of
from duet_rl.datasets.hearing import require_sound
from duet_rl.datasets.humanml3d_store import HumanML3DConfig
from duet_rl.datasets.prepare import PrepareConfig, prepare
from duet_rl.datasets.roles import swap_tasks
from duet_rl.datasets.solo import SoloConfig, solo_tasks
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import SWAPPED, DuetStore
from duet_rl.datasets.store_files import INDEX
from duet_rl.datasets.synthetic import SyntheticConfig
from duet_rl.datasets.synthetic_takes import synthetic_tasks
from duet_rl.errors import InputError
from duet_rl.evaluate.humanml3d_makers import HumanML3DEvaluateConfig
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.evaluate.text import TextEvaluateConfig
from duet_rl.generate.dd100 import export_dances, export_takes
from duet_rl.generate.follower import load_follower
from duet_rl.generate.inputs import require_same_music
from duet_rl.lab.comparison import Comparison
from duet_rl.lab.losses import run_lab
from duet_rl.lab.settings import LabConfig
from duet_rl.models.follower import hearing_of
from duet_rl.models.sampling import SamplingConfig
from duet_rl.observe.settings import LogConfig
from duet_rl.pretrain.follower import FOLLOWER, FollowerConfig, FollowerPlan
from duet_rl.pretrain.refine import REFINE, RefineConfig, RefinePlan, lend_refiner
from duet_rl.pretrain.run import run_stages
from duet_rl.pretrain.solo_tokenizer import SoloPosePlan, SoloTranslationPlan
from duet_rl.pretrain.stage import ClusterConfig, StagePlan
from duet_rl.pretrain.tokenizer import PosePlan, TokenizerStageConfig, TranslationPlan
from duet_rl.rl.run import run_rl
from duet_rl.rl.settings import RLConfig
from duet_rl.storage.claims import claimed
from duet_rl.tokenizers.codec import CodecConfig
from duet_rl.tokenizers.own import OwnCodecConfig, tokenizer_of
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.solo_settings import SoloCodecConfig
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

PretrainStage = Literal["pose", "translation", "refine", "follower", "all", "text2motion"]
_WHOLE = {"all", "text2motion"}  # they are every stage


class RunConfig(Config):
    """Every setting of a run, section by section; `duet-rl config` prints it resolved."""

    synthetic: SyntheticConfig = SyntheticConfig()  # the dances that `prepare synthetic` makes
    pairs: PairsConfig = PairsConfig()  # how captured couples are found and read
    dd100: DD100Config = DD100Config()  # how the takes of DD100 are found and read
    aistpp: AistppConfig = AistppConfig()  # how the sequences of AIST++ are read
    humanml3d: HumanML3DConfig = HumanML3DConfig()  # how the motions of HumanML3D are read
    prepare: PrepareConfig = PrepareConfig()  # split, bad takes
    codec: CodecConfig = DuetCodecConfig()  # motion tokens, of a duet or of a soloist
    pose: TokenizerStageConfig = TokenizerStageConfig()  # training of the pose tokenizer
    translation: TokenizerStageConfig = TokenizerStageConfig()  # training of the placement one
    refine: RefineConfig = RefineConfig()  # training of a readable codec's levels, and its size
    follower: FollowerConfig = FollowerConfig()  # training of the GPT, and its size
    cluster: ClusterConfig = ClusterConfig()  # workers of the pretraining
    rl: RLConfig = RLConfig()  # refinement, with the rewards
    sampling: SamplingConfig = SamplingConfig()  # of dances to look at
    evaluate: EvaluateConfig = EvaluateConfig()  # of dances to measure
    evaluate_text: TextEvaluateConfig = TextEvaluateConfig()  # of dances to texts
    # Of dances to texts of HumanML3D, by the published protocol
    evaluate_humanml3d: HumanML3DEvaluateConfig = HumanML3DEvaluateConfig()
    audit: AuditConfig = AuditConfig()  # of rewards and metrics, by followers that cheat
    lab: LabConfig = LabConfig()  # the comparison of losses
    choreograph: ChoreographConfig = ChoreographConfig()  # dances to songs in the wild
    log: LogConfig = LogConfig()  # where numbers go beside TensorBoard and metrics.jsonl


def prepare_synthetic(config: RunConfig, out: Path, progress: bool | None = None) -> DuetStore:
    """Make the synthetic duet world and return its store."""
    made_with = {"synthetic": config.synthetic.model_dump(mode="json")}
    tasks = synthetic_tasks(config.synthetic, config.prepare.music)
    return prepare(tasks, out, config.prepare, made_with, progress)


def prepare_pairs(
    config: RunConfig, folder: Path, out: Path, progress: bool | None = None
) -> DuetStore:
    """Read the captured couples in `folder` and return their store.

    Raises:
        InputError: no takes, a missing partner, or a file that cannot be read.
    """
    tasks = pair_tasks(find_pairs(folder, config.pairs), config.pairs, config.prepare.music)
    made_with = {"pairs": config.pairs.model_dump(mode="json")}
    return prepare(tasks, out, config.prepare, made_with, progress)


def prepare_solo(
    config: RunConfig,
    couples: Path,
    out: Path,
    solo: SoloConfig = SoloConfig(),
    progress: bool | None = None,
) -> DuetStore:
    """Make soloists of the couples in a store and return the store of them, split as it is.

    Raises:
        InputError: no store, or one of soloists; `out` holds something else, couples for example.
    """
    store = DuetStore.open(couples)
    # As it is, and not by its rule: a store that has grown was drawn piece by piece.
    split = store.index.split.model_copy(update={"given": store.index.splits})
    settings = config.prepare.model_copy(update={"split": split})
    made_with = {**store.index.made_with, "solo": solo.model_dump(mode="json")}
    return prepare(solo_tasks(store, solo), out, settings, made_with, progress, store.music)


def prepare_swap(
    config: RunConfig, couples: Path, out: Path, progress: bool | None = None
) -> DuetStore:
    """Exchange the roles of the couples in a store; return the store of them, split as it is.

    Raises:
        InputError: no store, or one of soloists; `out` holds something else.
    """
    store = DuetStore.open(couples)
    split = store.index.split.model_copy(update={"given": store.index.splits})
    settings = config.prepare.model_copy(update={"split": split})
    made_with = {**store.index.made_with, SWAPPED: not store.swapped}
    return prepare(swap_tasks(store), out, settings, made_with, progress, store.music)


def prepare_dd100(
    config: RunConfig,
    root: Path,
    out: Path,
    models: Path | None = None,
    progress: bool | None = None,
) -> DuetStore:
    """Read the data set DD100 under `root` and return its store.

    Args:
        config: settings.
        root: folder of the data set.
        out: folder of the store.
        models: folder of the body models, for SMPL-X parameters; None reads preprocessed tables.
        progress: whether to show bars; None: if there is a terminal.

    Raises:
        InputError: no takes, a take that is not whole, or a file that cannot be read.
    """
    return prepare_takes(root, out, config.dd100, models, config.prepare, progress)


def export_dd100(
    config: RunConfig,
    data: Path,
    out: Path,
    follower: Path | None = None,
    split: Split | None = None,
    models: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: bool | None = None,
) -> int:
    """Write a store as DD100, or a follower's dances as its authors' evaluation writes them.

    Args:
        config: settings; the axes are those of the files that the store was made from.
        data: folder of the store.
        out: a new folder.
        follower: folder of a follower; None writes the true couples.
        split: which takes; None is all true couples, or a follower's dances for the test split.
        models: folder of the body models.
        seed: of the sampling.
        device: where the follower dances.
        progress: whether to show bars; None: if there is a terminal.

    Returns:
        How many takes were written.

    Raises:
        InputError: no store or follower, nothing to write, or something is at `out`.
    """
    store = DuetStore.open(data)
    axes = axes_of(store, config.dd100)
    if follower is None:
        return export_takes(store, out, axes, split, models, progress)
    loaded, split = load_follower(follower, device), split or "test"
    return export_dances(
        loaded,
        store,
        out,
        axes,
        split,
        models,
        config.sampling,
        seed,
        config.dd100.original_length,
        progress,
    )


def pretrain(
    config: RunConfig,
    stage: PretrainStage,
    data: Path,
    out: Path,
    codec: Path | None = None,
    progress: bool = True,
) -> list[Path]:
    """Train one stage or all of them as a Ray Train job; return the finished folders.

    Args:
        config: settings.
        stage: which.
        data: folder of the clip store.
        out: folder of the run.
        codec: folder of a codec to train the follower on; by default the run's own.
        progress: whether to show bars.

    Raises:
        InputError: data or settings do not fit, a stage before this one is missing, or another
            program works in `out`.
    """
    store = DuetStore.open(data)  # a wrong folder is told here and not by a worker
    _require_no_store(out)
    before = out / FOLLOWER
    with_follower = stage in {FOLLOWER, *_WHOLE}
    if with_follower:  # now, and not after the days that the codec takes
        require_sound(store, hearing_of(config.follower.gpt), ("train", "val"))
    if with_follower and checkpoint.is_checkpoint(before, FOLLOWER):
        require_same_music(f"the follower {before}", facts_in(checkpoint.read_meta(before)), store)
    plans = stage_plans(config, stage, data, out, codec)
    with claimed(out):
        folders = run_stages(plans, config.cluster, progress)
        if stage == REFINE:
            lend_refiner(out)
        return folders


def refine(config: RunConfig, follower: Path, data: Path, out: Path, progress: bool = True) -> Path:
    """Refine a follower by RL and return the folder of the better one.

    Raises:
        InputError: folders or settings do not fit, or another program works in `out`.
    """
    _require_no_store(out)
    places = (follower.resolve(), data.resolve(), out.resolve())
    with claimed(out):
        return run_rl(config.rl, *places, progress, config.log)


def _require_no_store(out: Path) -> None:
    """Raise `InputError` if the folder of a run is one of clips."""
    if (out / INDEX).is_file():
        raise InputError(f"{out} is a store of clips; give the run a folder of its own as --out")


def compare_losses(
    config: RunConfig,
    out: Path,
    data: Path | None = None,
    follower: Path | None = None,
    progress: bool = True,
) -> Comparison:
    """Compare the losses of RL on one task; what is not given is made in `out` first.

    Args:
        config: settings.
        out: folder of the run; the same call again does what is missing.
        data: folder of a clip store; None makes the synthetic world.
        follower: folder of the follower that all begin with; None pretrains one.
        progress: whether to show bars.

    Raises:
        InputError: a follower without its data, what does not fit, or another program that works
            in `out`.
    """
    if follower is not None and data is None:
        raise InputError(
            f"the follower {follower} was given without data; name the store that it learned from"
        )
    with claimed(out):
        if data is None:
            data = out / "data"
            prepare_synthetic(config, data)
        if follower is None:
            pretrain(config, "all", data, out, progress=progress)
            follower = out / FOLLOWER
        return run_lab(config.lab, config.rl, config.sampling, follower, data, out, progress)


def stage_plans(
    config: RunConfig, stage: PretrainStage, data: Path, out: Path, codec: Path | None = None
) -> Sequence[StagePlan]:
    """Return one stage or all of them, as `pretrain` trains them.

    Raises:
        InputError: a codec for stages that use none, or settings that a stage is not for.
    """
    if codec is not None and stage not in {FOLLOWER}:
        raise InputError(f"a codec was given, which stage {stage!r} does not use; leave it out")
    if stage == "text2motion":
        _require_words(config)
    if isinstance(config.codec, OwnCodecConfig) and codec is None:
        tokenizer_of(config.codec.own)  # a wrong name is told before workers start
    data, out = data.resolve(), out.resolve()  # workers stand in another folder
    codec = codec and codec.resolve()
    plans: dict[str, StagePlan] = {
        plan.name: plan
        for plan in (
            *_codec_plans(config, data, out),
            *_refine_plans(config, data, out),
            FollowerPlan(config.follower, data, out, codec, log=config.log),
        )
    }
    if stage == REFINE and REFINE not in plans:
        raise InputError(
            f"stage {REFINE} learns the residual levels of a readable codec, and "
            f"codec.architecture is {config.codec.architecture}; give --preset readable or "
            "text2motion"
        )
    return list(plans.values()) if stage in _WHOLE else [plans[stage]]


def _refine_plans(config: RunConfig, data: Path, out: Path) -> list[StagePlan]:
    """Return the stage of the refiner, where the codec has levels to refine."""
    if not isinstance(config.codec, ReadableCodecConfig):
        return []
    return [RefinePlan(config.refine, data, out, config.follower.alone, log=config.log)]


def _require_words(config: RunConfig) -> None:
    """Raise `InputError` if the settings are not those of dancers to words."""
    if config.follower.text is None or not isinstance(config.codec, ReadableCodecConfig):
        raise InputError(
            "stage text2motion trains a dancer to words, and these settings read none "
            "(follower.text) or write no words (codec.architecture=readable); give --preset "
            "text2motion, or a file that is based_on it"
        )


def _codec_plans(config: RunConfig, data: Path, out: Path) -> tuple[StagePlan, StagePlan]:
    """Return the stages of the poses and of the translation, of a duet or of a soloist."""
    codec, log = config.codec, config.log
    if isinstance(codec, SoloCodecConfig):
        return (
            SoloPosePlan(config.pose, data, out, codec, log=log),
            SoloTranslationPlan(config.translation, data, out, codec, log=log),
        )
    return (
        PosePlan(config.pose, data, out, codec, log=log),
        TranslationPlan(config.translation, data, out, codec, log=log),
    )
