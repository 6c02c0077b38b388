"""RL of Bailando's GPT: alone on the stage, in windows, actor and critic in turns."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from torch import Tensor

from duet_rl import checkpoint
from duet_rl.body.motion import Duet
from duet_rl.body.stage import stage
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.errors import InputError
from duet_rl.models.bailando import BailandoGPT, BailandoGPTConfig
from duet_rl.models.duolando import DuolandoGPTConfig
from duet_rl.rewards.base import RewardMixConfig, RewardWeights
from duet_rl.rl.algorithm import DuetRLConfig
from duet_rl.rl.checks import check_settings
from duet_rl.rl.losses import BailandoLossConfig, Verdict
from duet_rl.rl.losses.actor_critic import td_errors
from duet_rl.rl.replay import RolloutGroup
from duet_rl.rl.run import env_settings_of
from duet_rl.rl.settings import RLConfig
from duet_rl.tokenizers.frames import MotionBatch
from envs.dance import DanceBatch
from envs.scene import Pick
from tests.envs.dancers import SidestepCodec, walking_couple
from tests.rl.world import SETTINGS, Pair, pair_of

GPT = BailandoGPTConfig(
    classes=SidestepCodec.spec.classes,
    width=16,
    heads=2,
    base_layers=1,
    head_layers=1,
    condition_layers=1,
    critic_layers=1,
    dropout=0.2,
    block=4,
    hears="duolando",
    music_channels=54,
)
WINDOW = GPT.model_copy(update={"music": "window", "reach": 2})
TRACKING = RewardMixConfig(
    weights=RewardWeights(contact=0, foot=0, beat=0, consistency=0, tracking=1)
)
BAILANDO = SETTINGS.model_copy(
    update={
        "loss": "bailando",
        "rewards": TRACKING,
        "frozen_layers": 1,
        "bailando": BailandoLossConfig(gamma=0.5, shared=True, kl_weight=0.01, value_weight=1.0),
        "betas": (0.5, 0.999),
        "lr": 2e-2,
    }
)
TURNS = BAILANDO.model_copy(
    update={"bailando": BAILANDO.bailando.model_copy(update={"alternate": 2, "kl_weight": 0.0})}
)


class SoloCodec(SidestepCodec):
    """A `SidestepCodec` that knows how a soloist begins, who stands a step too far."""

    def leader_token_rows(self, leader: MotionBatch) -> Tensor:
        raise InputError("there is no leader")

    def first_tokens(self, leader: MotionBatch, follower: MotionBatch) -> Tensor:
        return torch.tensor([3, 0]).expand(len(leader.joints), 1, -1)


def soloist(name: str, seed: int) -> DuetClip:
    """Return a dancer two steps beside the middle of the stage."""
    clip = walking_couple(name, 72, seed)
    nobody = stage(72, FPS)
    dancer = nobody.moved((0.3, 0.0, 0.0))
    return DuetClip(**{**vars(clip), "duet": Duet(nobody, dancer), "solo": True})


def write(folder: Path, gpt: BailandoGPTConfig) -> Path:
    torch.manual_seed(0)
    tensors = BailandoGPT(gpt).state_dict()
    return checkpoint.save(folder, kind="follower", tensors=tensors, config=gpt, meta={})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("rl")
    return {gpt.music: write(path / gpt.music, gpt) for gpt in (GPT, WINDOW)}


def make(folders: dict[str, Path], settings: RLConfig, gpt: BailandoGPTConfig = GPT) -> Pair:
    env = {
        "data": [soloist(name, seed) for seed, name in enumerate("abc")],
        "codec": SoloCodec(),
        "rewards": settings.rewards.model_dump(),
        "dance": env_settings_of(settings, gpt, "x", "x")["dance"],
    }
    return pair_of(DuetRLConfig.of(settings, folders[gpt.music], gpt.model_dump(), env, 0))


def batch_of(pair: Pair) -> tuple[dict[str, Any], list[RolloutGroup]]:
    groups = pair.runner.sample()
    connector = pair.learner._learner_connector.connectors[0]
    return connector(rl_module=None, batch={}, episodes=groups)[DEFAULT_MODULE_ID], groups


def weights(pair: Pair) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in pair.learner.follower.gpt.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Return which parts of the model have changed."""
    return {k.split(".")[0] for k in before if not torch.equal(before[k], after[k])}


def test_it_learns_where_to_dance_alone(folders: dict[str, Path]) -> None:
    pair, rewards = make(folders, BAILANDO), []
    for _ in range(25):
        fresh = pair.runner.sample()
        assert all((group.tokens[:, 0] == [3, 0]).all() for group in fresh)
        pair.learner.update(episodes=fresh)
        pair.send_weights()
        rewards.append(np.mean([group.means["total"] for group in fresh]))
    assert rewards[0] < 0.8
    assert np.mean(rewards[-5:]) > 0.9


@pytest.mark.parametrize("gpt", [GPT, WINDOW], ids=["rows", "window"])
def test_each_action_counts_once_as_it_was_rolled_out(
    folders: dict[str, Path], gpt: BailandoGPTConfig
) -> None:
    """Its window has the history, and the music around it, that the dancer had."""
    pair = make(folders, BAILANDO.model_copy(update={"temperature": 0.7}), gpt)
    batch, groups = batch_of(pair)
    steps = groups[0].tokens.shape[1]
    dances = sum(len(group.tokens) for group in groups)
    counted = batch["counted"]
    assert counted.shape == (dances * (steps - gpt.block), gpt.block)
    assert int(counted.sum()) == dances * (steps - 2)  # not the given token, nor the last one
    verdict = pair.learner.follower.verdict(batch[Columns.ACTIONS], batch[Columns.OBS])
    found = verdict.log_probs[:, 1:][counted].unflatten(0, (dances, -1))
    wanted = np.concatenate([group.log_probs for group in groups])[:, 1:-1]
    torch.testing.assert_close(found, torch.from_numpy(wanted), atol=1e-4, rtol=1e-4)
    kept = batch[Columns.ACTION_LOGP][:, 1:][counted].unflatten(0, (dances, -1))
    torch.testing.assert_close(kept, torch.from_numpy(wanted))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_fewer_windows_count_the_same_actions(folders: dict[str, Path], stride: int) -> None:
    pair = make(folders, BAILANDO.model_copy(update={"window_stride": stride}))
    batch, groups = batch_of(pair)
    steps, dances = groups[0].tokens.shape[1], sum(len(group.tokens) for group in groups)
    last = (steps - GPT.block - 1) // stride * stride  # start of the last window that is kept
    assert int(batch["counted"].sum()) == dances * (GPT.block - 1 + last)


def test_actor_and_critic_learn_in_turns_and_the_base_never(folders: dict[str, Path]) -> None:
    pair, seen = make(folders, TURNS), []
    for iteration in range(2):
        pair.learner.begin_iteration(iteration)
        for _ in range(5):
            before = weights(pair)
            pair.learner.update(episodes=pair.runner.sample())
            seen.append(moved(before, weights(pair)))
    actor, critic = {"head", "norm", "classify"}, {"critic"}
    assert seen == [actor, actor, critic, critic, actor] * 2


def test_without_turns_both_learn_at_once(folders: dict[str, Path]) -> None:
    pair = make(folders, BAILANDO.model_copy(update={"frozen_layers": 0}))
    before = weights(pair)
    pair.learner.update(episodes=pair.runner.sample())
    found = moved(before, weights(pair))
    assert found >= {"tables", "base", "head", "norm", "classify", "critic", "embed_music"}


def test_the_critic_learns_what_a_dance_is_worth(folders: dict[str, Path]) -> None:
    still = BAILANDO.model_copy(update={"lr": 1e-9, "value_lr": 3e-2})
    pair = make(folders, still)
    groups = pair.runner.sample()
    connector = pair.learner._learner_connector.connectors[0]
    batch = connector(rl_module=None, batch={}, episodes=groups)[DEFAULT_MODULE_ID]

    def missed() -> float:
        verdict = pair.learner.follower.verdict(batch[Columns.ACTIONS], batch[Columns.OBS])
        rewards = batch[Columns.REWARDS][:, 1:]
        return float(
            td_errors(rewards, verdict.values[:, 1:], still.bailando).square().mean().detach()
        )

    before = missed()
    for _ in range(30):
        pair.learner.update(episodes=groups)
    assert missed() < 0.2 * before


def test_a_run_that_goes_on_has_what_adam_knew(folders: dict[str, Path]) -> None:
    first, second = make(folders, TURNS), make(folders, TURNS)
    batches = [first.runner.sample() for _ in range(2)]
    first.learner.update(episodes=batches[0])
    second.learner.load_state_tensors(first.learner.state_tensors(), 1)
    for pair in (first, second):
        pair.learner.begin_iteration(1)
        pair.learner.update(episodes=batches[1])
    assert not moved(weights(first), weights(second))


@pytest.mark.parametrize(
    ("change", "gpt", "fault"),
    [
        ({"loss": "topr"}, GPT, r"set rl\.loss=duolando or bailando"),
        ({"loss": "bailando"}, GPT.model_copy(update={"critic_layers": 0}), "no value head"),
        ({"loss": "bailando"}, DuolandoGPTConfig(), r"set rl\.loss=duolando$"),
        ({"frozen_layers": 3}, GPT, "2 layers can be frozen"),
        ({"seconds": 0.6}, GPT, r"set 0\.7 or more"),
        ({"bailando": TURNS.bailando, "passes": 2}, GPT, "alternate is 2.* an iteration has 2"),
    ],
)
def test_settings_that_it_cannot_live_with_are_refused(
    change: dict[str, Any], gpt: Any, fault: str
) -> None:
    with pytest.raises(InputError, match=fault):
        check_settings(BAILANDO.model_copy(update=change), gpt)


def test_the_environment_tells_what_the_follower_hears() -> None:
    told = env_settings_of(RLConfig(), WINDOW.model_copy(update={"hears": "bailando_pp"}), "x", "y")
    dance = told["dance"]
    assert (dance["leader"], dance["hears"], dance["beyond"]) == ("none", "bailando_pp", 2)


@pytest.mark.parametrize("gpt", [GPT, WINDOW], ids=["rows", "window"])
def test_the_end_of_a_song_is_heard_in_rl_as_in_dancing(
    folders: dict[str, Path], gpt: BailandoGPTConfig
) -> None:
    dances = make(folders, BAILANDO, gpt).runner.dances
    assert isinstance(dances, DanceBatch)
    frame = dances.clips[0].frames - 4 * dances.steps
    dances.restart([], [Pick(0, frame)] * dances.num_dances)
    music = dances.clips[0].music[frame:].expand(dances.num_dances, -1, -1)
    model = BailandoGPT(gpt)
    (rolled,) = model.told(dances.conditions(), dances.steps)
    assert torch.equal(rolled, model.told({"music": music}, dances.steps)[0])


@pytest.mark.parametrize("kept", [True, False])
def test_no_distance_is_told_to_a_start_that_is_not_kept(
    folders: dict[str, Path], kept: bool
) -> None:
    pair = make(folders, TURNS.model_copy(update={"reference": kept}))
    logged: dict[str, Any] = {}
    pair.learner.metrics.log_dict = lambda values, **_: logged.update(values)
    pair.learner.update(episodes=pair.runner.sample())
    assert ("kl" in logged) == kept and "entropy" in logged


def test_each_step_draws_windows_of_its_own(folders: dict[str, Path]) -> None:
    """Dances to one song, of one beginning and one version, are no reason to draw the same."""
    pair = make(folders, BAILANDO.model_copy(update={"batch_windows": 5, "lr": 1e-9}))
    judge, drawn = pair.learner.follower.verdict, list[Tensor]()

    def spied(tokens: Tensor, conditions: Any) -> Verdict:
        drawn.append(tokens)
        return judge(tokens, conditions)

    pair.learner.follower.verdict = spied  # type: ignore[method-assign]
    groups = pair.runner.sample()
    for iteration in (0, 1, 1):
        pair.learner.begin_iteration(iteration)
        for _ in range(3):
            pair.learner.update(episodes=groups)
    for i, j in combinations(range(6), 2):
        assert not torch.equal(drawn[i], drawn[j])
    for before, again in zip(drawn[3:6], drawn[6:], strict=True):  # of a run that goes on
        assert torch.equal(before, again)
