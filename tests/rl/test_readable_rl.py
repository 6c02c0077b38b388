"""RL refines a follower whose tokens are words, and refuses one that ends by itself."""

from pathlib import Path

import pytest
import torch

from duet_rl import checkpoint
from duet_rl.errors import InputError
from duet_rl.generate.follower import load_follower
from duet_rl.models.level_refiner import LevelRefiner, LevelRefinerConfig
from duet_rl.rl.algorithm import DuetRLConfig
from duet_rl.rl.checks import check_settings
from duet_rl.rl.settings import RLConfig
from duet_rl.tokenizers.part import REFINE
from duet_rl.tokenizers.readable import ReadableCodec
from tests.envs.dancers import walking_couple
from tests.generate.text_dancer import write_text_dancer
from tests.rl.world import SETTINGS, pair_of


@pytest.fixture(scope="module")
def dancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A follower that is told of music and leader and hears words, with a refiner."""
    folder = write_text_dancer(tmp_path_factory.mktemp("rl") / "dancer", stop=False, told=0.5)
    codec = load_follower(folder).codec
    assert isinstance(codec, ReadableCodec)
    config = LevelRefinerConfig(
        classes=codec.spec.classes,
        levels=codec.levels,
        codes=codec.full_spec.classes[-1],
        width=16,
        layers=1,
        heads=2,
    )
    refiner = LevelRefiner(config)
    tensors = refiner.state_dict()
    checkpoint.save(folder / REFINE, kind=REFINE, tensors=tensors, config=config, meta={})
    return folder


def test_an_iteration_of_rl_moves_what_dances_and_not_what_listens(dancer: Path) -> None:
    settings = SETTINGS.model_copy(update={"rollouts": 4, "seconds": 0.8})
    follower = load_follower(dancer)
    assert isinstance(follower.codec, ReadableCodec) and follower.codec.refiner is not None
    env = {
        "data": [walking_couple(name, 48, seed) for seed, name in enumerate("abc")],
        "codec": str(dancer),
        "rewards": settings.rewards.model_dump(),
        "dance": {"seconds": settings.seconds, "group_size": settings.rollouts},
    }
    pair = pair_of(DuetRLConfig.of(settings, dancer, follower.model.config.model_dump(), env, 0))
    gpt = pair.learner.module["default_policy"].gpt
    before = {name: weights.clone() for name, weights in gpt.state_dict().items()}
    groups = pair.runner.sample()
    assert groups[0].tokens.shape[-1] == len(follower.codec.spec)
    assert all(torch.isfinite(torch.as_tensor(group.means["total"])) for group in groups)
    pair.learner.update(episodes=groups)
    after = gpt.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("heads.") for name in moved)
    assert not any(name.startswith("words.") for name in moved)


def test_followers_of_words_alone_are_refused(tmp_path: Path) -> None:
    ending = load_follower(write_text_dancer(tmp_path / "ending")).model.config
    with pytest.raises(InputError, match=r"follower\.gpt\.stop=false"):
        check_settings(RLConfig(), ending)
    going = load_follower(write_text_dancer(tmp_path / "going", stop=False)).model.config
    with pytest.raises(InputError, match=r"follower\.music=true"):
        check_settings(RLConfig(), going)
