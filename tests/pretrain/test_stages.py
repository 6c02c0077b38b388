"""The stages without Ray: their batches, their fingerprints, their state on disk."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from duet_rl.datasets.solo import as_soloist
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from duet_rl.observe.settings import LogConfig
from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
from duet_rl.pretrain.run import run_stages
from duet_rl.pretrain.stage import ClusterConfig, StageConfig
from duet_rl.pretrain.state import Progress, load_state, read_progress, save_state
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from tests.datasets.conftest import make_clip
from tests.pretrain.overfit import losses_of

CONFIG = StageConfig(steps=10, batch_size=4, window_tokens=4)


@pytest.mark.parametrize("plan", [PosePlan, TranslationPlan])
def test_two_workers_share_the_batch_of_one(plan, data: Path, tmp_path: Path) -> None:
    stage = plan(CONFIG, data, tmp_path).open()
    whole = stage.batch(3, 0, 1)[0].joints
    halves = [stage.batch(3, rank, 2)[0].joints for rank in range(2)]
    assert torch.equal(torch.cat(halves), whole)


def test_held_out_windows_are_of_the_validation_split(data: Path, tmp_path: Path) -> None:
    stage = TranslationPlan(CONFIG, data, tmp_path).open()
    (leader, _), kept = stage.held_out(), stage.store.clips("val")[0]
    first = kept.duet.leader.joints[: leader.joints.shape[1]]
    assert torch.equal(leader.joints[0], first)


def test_held_out_clips_that_are_too_short_are_no_obstacle(data: Path, tmp_path: Path) -> None:
    long = CONFIG.model_copy(update={"window_tokens": 20})
    clips = [make_clip("short", frames=40), *(make_clip(f"c{i}", 80, seed=i) for i in range(3))]
    DuetStore.create(tmp_path / "store", clips, SplitConfig(test=0, given={"short": "val"}))
    for plan in (PosePlan, TranslationPlan):
        stage = plan(long, tmp_path / "store", tmp_path).open()
        assert stage.held_out() is None and stage.batch(0, 0, 1)


def test_the_fingerprint_tells_settings_and_data_apart(data: Path, tmp_path: Path) -> None:
    plan = PosePlan(CONFIG, data, tmp_path)
    other_codec = DuetCodecConfig.model_validate({"pose": {"lower": {"codes": 64}}})
    others = [
        replace(plan, config=CONFIG.model_copy(update={"lr": 2e-3})).fingerprint("a"),
        replace(plan, codec=other_codec).fingerprint("a"),
        plan.fingerprint("b"),
    ]
    assert plan.fingerprint("a") not in others and len(set(others)) == len(others)


def test_a_plan_does_not_show_where_a_tracker_is(data: Path, tmp_path: Path) -> None:
    log = LogConfig.model_validate({"mlflow": {"tracking_uri": "https://ana:secret@host"}})
    assert "secret" not in repr(PosePlan(CONFIG, data, tmp_path, log=log))


def test_the_placement_does_not_change_what_the_pose_is(data: Path, tmp_path: Path) -> None:
    plan = PosePlan(CONFIG, data, tmp_path)
    other = DuetCodecConfig.model_validate({"placement": {"vqvae": {"levels": 3}}})
    assert replace(plan, codec=other).fingerprint("a") == plan.fingerprint("a")


def test_the_follower_asks_for_its_codec(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pretrain pose"):
        FollowerPlan(FollowerConfig(), data, tmp_path).settings()


def test_soloists_and_couples_are_not_mixed_up_before_any_work(data: Path, tmp_path: Path) -> None:
    alone = tmp_path / "soloists"
    DuetStore.create(alone, [as_soloist(clip) for clip in DuetStore.open(data).clips()])
    solo = FollowerConfig(leader="none")

    def run(store: Path, config: FollowerConfig) -> None:
        plans = [PosePlan(CONFIG, store, tmp_path), FollowerPlan(config, store, tmp_path)]
        run_stages(plans, ClusterConfig(), progress=False)

    with pytest.raises(InputError, match=r"holds couples.*prepare solo"):
        run(data, solo)
    with pytest.raises(InputError, match=r"holds soloists.*leader=none"):
        run(alone, FollowerConfig())
    FollowerPlan(solo, alone, tmp_path).require_fit()
    FollowerPlan(FollowerConfig(), data, tmp_path).require_fit()


def test_the_follower_overfits_a_few_dances(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec = DuetCodec(DuetCodecConfig()).train()
    stages = [plan(CONFIG, data, tmp_path).open() for plan in (PosePlan, TranslationPlan)]
    codec.pose(*stages[0].batch(0, 0, 1))  # fills the codebooks
    codec.placement(*stages[1].batch(0, 0, 1))
    codec.save(tmp_path, {})
    config = FollowerConfig(batch_size=8, window_tokens=8)
    small = config.gpt.model_copy(update={"width": 32, "layers": 1, "dropout": 0.0})
    stage = FollowerPlan(
        config.model_copy(update={"gpt": small}), data, tmp_path, codec=tmp_path
    ).open()
    found = losses_of(stage)
    assert found[-1] < 0.5 * found[0]
    stage.module.eval()
    scores = stage.danced()
    assert {"total", "contact", "foot", "beat", "consistency", "tracking"} <= scores.keys()
    assert 0 < scores["total"] < 1 and scores == stage.danced()
    stage.save(tmp_path / "follower", {})
    assert load_follower(tmp_path / "follower").music == stage.store.music


def test_a_resumed_training_takes_the_same_steps(tmp_path: Path) -> None:
    def step(module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        module(torch.ones(2, 3)).square().sum().backward()
        optimiser.step()

    def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(1)
        module = nn.Linear(3, 2)
        return module, torch.optim.AdamW(module.parameters(), lr=0.1)

    module, optimiser = fresh()
    step(module, optimiser)
    save_state(tmp_path, module, optimiser, Progress("print", 1))
    step(module, optimiser)
    resumed, its_optimiser = fresh()
    load_state(tmp_path, resumed, its_optimiser)
    step(resumed, its_optimiser)
    assert read_progress(tmp_path) == Progress("print", 1)
    assert torch.equal(resumed.weight, module.weight)
