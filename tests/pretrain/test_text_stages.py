"""Followers that learn words, and refiners: captions of windows, stops, weights, folders."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from duet_rl.captions.detect import facts_of, true_among
from duet_rl.captions.parse import parse
from duet_rl.config import resolve, validate
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.datasets.synthetic import SyntheticConfig
from duet_rl.datasets.synthetic_takes import make_clip
from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from duet_rl.models.level_refiner import LevelRefinerConfig
from duet_rl.models.streams import STOPS
from duet_rl.models.text import TextConfig
from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
from duet_rl.pretrain.multistream import MultiStreamStage
from duet_rl.pretrain.multistream_loss import GROUPS_WEIGHT, STOP, entropy_weights
from duet_rl.pretrain.refine import REFINE, RefineConfig, RefinePlan, lend_refiner
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.text_windows import WindowCaptions, dancers_to_tell, generators_of
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan
from duet_rl.run import RunConfig, stage_plans
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.readable import ReadableCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, POSE_CODE, Stream, TokenSpec
from tests.pretrain.overfit import losses
from tests.tokenizers.test_readable import readable_config

WORDS = TextConfig(buckets=256, width=16, layers=1, heads=2)
CONFIG = StageConfig(batch_size=4, window_tokens=8)
ALONE = {
    "batch_size": 4,
    "window_tokens": 13,
    "shortest_tokens": 4,
    "alone": True,
    "leader": "none",
    "music": False,
    "text": WORDS.model_dump(),
    "rollouts": 2,
    "rollout_tokens": 8,
    "gpt": {"width": 16, "layers": 1, "heads": 2, "stop": True, "dropout": 0.0},
}


@pytest.fixture(scope="module")
def couples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four synthetic couples of four seconds; one is kept for validation."""
    folder = tmp_path_factory.mktemp("text")
    clips = [make_clip(index, SyntheticConfig(seconds=4.0), folder) for index in range(4)]
    split = SplitConfig(given={clips[0].choreography: "val"}, val=0.25, test=0)
    return DuetStore.create(folder / "store", clips, split).path


@pytest.fixture(scope="module")
def run(couples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a readable codec of which a batch has filled the codebooks."""
    out, config = tmp_path_factory.mktemp("run"), readable_config("start")
    for plan in (PosePlan, TranslationPlan):
        stage = plan(CONFIG, couples, out, config).open()
        stage.module.train()
        stage.module(*stage.batch(0, 0, 1))
        stage.module.eval()
        stage.save(out / plan.name, {})
    return out


def follower(couples: Path, run: Path, **changes: object) -> MultiStreamStage:
    stage = FollowerPlan(validate(FollowerConfig, {**ALONE, **changes}), couples, run).open()
    assert isinstance(stage, MultiStreamStage)
    return stage


def test_a_caption_is_true_of_its_window(couples: Path) -> None:
    clips = DuetStore.open(couples).clips("train")
    dancers, steps = dancers_to_tell(clips), torch.tensor([8, 12, 16, 8, 20, 12])
    who = torch.arange(6) % len(clips)
    first = FRAMES_PER_TOKEN * torch.tensor([0, 4, 8, 12, 4, 0])
    texts = WindowCaptions(dancers).texts(who, first, steps, generators_of(0, 3, 0, 6))
    assert len(set(texts)) == 6
    for text, dancer, frame, count in zip(texts, who, first, steps, strict=True):
        cut = slice(int(frame), int(frame + FRAMES_PER_TOKEN * count))
        joints, partner, _ = dancers[dancer]
        stated = facts_of(joints[cut], partner[cut])
        assert all(true_among(fact, stated, len(joints[cut])) for fact in parse(text)), text


def test_captions_depend_on_the_step_and_the_window_alone(couples: Path, run: Path) -> None:
    stage = follower(couples, run)
    tokens, conditions, text = stage.batch(5, 0, 1)
    assert conditions == {} and text.shape[0] == 4 and (text > 0).any(dim=1).all()
    halves = [stage.batch(5, rank, 2) for rank in range(2)]
    assert torch.equal(torch.cat([half[0] for half in halves]), tokens)
    assert torch.equal(torch.cat([half[2] for half in halves]), text)
    assert not torch.equal(stage.batch(6, 0, 1)[2], text)
    assert torch.equal(stage.held_out()[2], stage.held_out()[2])


def test_windows_end_with_a_stop_and_nothing_behind_it_counts(couples: Path, run: Path) -> None:
    stage = follower(couples, run)
    stage.module.eval()
    lengths = set()
    for step in range(8):
        tokens, conditions, text = stage.batch(step, 0, 1)
        stops = tokens[..., -1] == STOPS
        assert stops[:, -1].all()  # whatever its length, a window has room for its stop
        lengths |= {int(length) for length in (~stops).sum(1)}
    assert min(lengths) >= 4 and max(lengths) <= 12 and len(lengths) > 4
    loss, named = stage.module(tokens, conditions, text)
    behind = tokens.clone()
    behind[..., :-1] = torch.where(stops[..., None], 0, tokens[..., :-1])
    again, _ = stage.module(behind, conditions, text)
    torch.testing.assert_close(again, loss)
    assert f"nll/{STOP}" in named


def test_everyone_of_a_couple_dances_alone(couples: Path, run: Path) -> None:
    stage = follower(couples, run)
    clips = stage.clips("train")
    assert len(clips) == 6 and all(clip.solo for clip in clips)
    assert {clip.name.rsplit("_", 1)[1] for clip in clips} == {"leader", "follower"}
    assert stage.train._rows.clip.unique().tolist() == list(range(6))


def test_a_follower_learns_to_dance_to_words(couples: Path, run: Path, tmp_path: Path) -> None:
    stage = follower(couples, run, stream_weights="entropy", gpt={**ALONE["gpt"], "width": 32})
    found = losses(stage.module, [stage.batch(step % 2, 0, 1) for step in range(40)])
    assert found[-1] < 0.7 * found[0]
    stage.module.eval()
    scores = stage.danced()
    assert {"facts", "facts_of_others"} <= scores.keys() and scores == stage.danced()
    assert 0 <= scores["facts"] <= 1
    stage.save(tmp_path / "follower", {})
    loaded = load_follower(tmp_path / "follower")
    assert loaded.hears_words and loaded.ends and loaded.requires == ()


def test_a_follower_beside_a_leader_hears_of_the_couple(couples: Path, run: Path) -> None:
    beside = {
        "alone": False,
        "leader": "features",
        "music": True,
        "told_dropout": 0.5,
        "gpt": {**ALONE["gpt"], "stop": False},
    }
    stage = follower(couples, run, **beside)
    tokens, conditions, text = stage.batch(0, 0, 1)
    assert tokens.shape[-1] == len(stage.codec.spec) and {"music", "leader"} == set(conditions)
    found = losses(stage.module, [(tokens, conditions, text)] * 5)
    assert found[-1] < found[0]
    told = {fact.kind for n in range(40) for fact in parse(_text(stage, n))}
    assert "couple" in told
    assert all(condition.optional for condition in stage.gpt.config.conditions)


def _text(stage: MultiStreamStage, number: int) -> str:
    assert stage.captions is not None
    stage.captions.captioner = None  # in so few dances what is said of couples is never rare
    zero, steps = torch.zeros(1, dtype=torch.int64), torch.tensor([20])
    return stage.captions.texts(zero, zero, steps, generators_of(0, number, 0, 1))[0]


def test_streams_weigh_by_the_entropy_that_they_leave() -> None:
    groups = tuple(Stream(f"group{i}", 4, "body", POSE_CODE) for i in range(10))
    spec = TokenSpec((*groups, Stream("even", 64, "placement"), Stream("odd", 64, "placement")))
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 4, (4000, 12), generator=generator)
    rows[:, 10] = torch.randint(0, 64, (4000,), generator=generator)
    weights = entropy_weights([rows[:1000], rows[1000:]], spec)
    nats = torch.tensor([4.0] * 10 + [64.0, 4.0]).log()
    shares = weights * nats  # what each stream's loss begins with
    torch.testing.assert_close(shares[10:], torch.ones(2), atol=0.02, rtol=0)
    torch.testing.assert_close(shares[:10].sum(), torch.tensor(GROUPS_WEIGHT), atol=0.02, rtol=0)


def refine_config(**changes: object) -> RefineConfig:
    small = LevelRefinerConfig(width=32, layers=1, heads=2, dropout=0.0)
    return RefineConfig(**{"batch_size": 8, "window_tokens": 8, "model": small, **changes})


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("text", [None, WORDS])
def test_a_refiner_learns_what_followers_leave(
    alone: bool, text: TextConfig | None, couples: Path, run: Path, tmp_path: Path
) -> None:
    stage = RefinePlan(refine_config(text=text), couples, run, alone).open()
    assert stage.train._rows.clip.unique().tolist() == list(range(6))  # both of each couple
    batches = [stage.batch(step % 2, 0, 1) for step in range(40)]
    assert all(len(batch) == (2 if text is None else 3) for batch in batches)
    halves = torch.cat([stage.batch(0, rank, 2)[1] for rank in range(2)])
    assert torch.equal(halves, batches[0][1])
    found = losses(stage.module, batches)
    assert sum(found[-5:]) < 0.8 * sum(found[:5])
    stage.module.eval()
    _, each = stage.module(*stage.held_out())
    assert set(each) == {f"nll/residual{level}" for level in range(stage.codec.levels)}


def test_the_refiner_completes_the_codec_beside_it(
    couples: Path, run: Path, tmp_path: Path
) -> None:
    for part in ("pose", "translation"):
        (tmp_path / part).symlink_to(run / part)
    plan = RefinePlan(refine_config(), couples, tmp_path)
    earlier = follower(couples, tmp_path)
    earlier.save(tmp_path / "follower", {})
    assert load_follower(tmp_path / "follower").codec.refiner is None
    plan.open().save(tmp_path / REFINE, {})
    codec = load_codec(tmp_path)
    assert isinstance(codec, ReadableCodec) and codec.refiner is not None
    rows = torch.zeros(1, 4, len(codec.spec), dtype=torch.int64)
    assert (codec.complete(rows)[..., len(codec.spec) :] >= 0).all()
    lend_refiner(tmp_path)  # one that was trained before the refiner gets it
    assert load_follower(tmp_path / "follower").codec.refiner is not None
    later = follower(couples, tmp_path)
    later.save(tmp_path / "later", {})  # and one that comes after it takes it along
    assert load_follower(tmp_path / "later").codec.refiner is not None


def test_a_refiner_asks_for_its_codec(couples: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pretrain pose"):
        RefinePlan(refine_config(), couples, tmp_path).settings()
    plan = RefinePlan(refine_config(), couples, tmp_path)
    assert replace(plan, config=refine_config(steps=7)).folder == plan.folder


def test_stages_come_in_the_order_in_which_they_need_each_other(tmp_path: Path) -> None:
    config = resolve(RunConfig, "text2motion")
    plans = stage_plans(config, "text2motion", tmp_path, tmp_path)
    assert [plan.name for plan in plans] == ["pose", "translation", "refine", "follower"]
    assert [plan.name for plan in stage_plans(resolve(RunConfig), "all", tmp_path, tmp_path)] == [
        "pose",
        "translation",
        "follower",
    ]


@pytest.mark.parametrize(
    ("stage", "words", "told"),
    [
        ("text2motion", ("follower.text=null",), "--preset text2motion"),
        ("text2motion", ("codec.architecture=duet",), "codec.architecture=readable"),
        ("refine", ("codec.architecture=duet",), "readable"),
    ],
)
def test_stages_that_these_settings_are_not_for_are_refused(
    stage: str, words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    config = resolve(RunConfig, "text2motion", words)
    with pytest.raises(InputError, match=told):
        stage_plans(config, stage, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"leader": "features", "gpt": {"stop": False}}, "follower.alone=true"),
        ({"alone": False, "leader": "features"}, "follower.gpt.stop"),
        ({"text": None, "gpt": {"stop": False}}, "told of nothing"),
        ({"text": None, "gpt": {"text": WORDS.model_dump()}, "music": True}, "follower.text"),
        ({"gpt": {"architecture": "duolando"}}, "multi-stream GPT"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_work(
    changes: dict, told: str, couples: Path, tmp_path: Path
) -> None:
    config = validate(FollowerConfig, {**ALONE, **changes})
    with pytest.raises(InputError, match=told):
        FollowerPlan(config, couples, tmp_path).require_fit()
