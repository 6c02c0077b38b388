"""A loss of one's own: named by settings, called as all losses are."""

import pytest
import torch

from duet_rl.config import resolve
from duet_rl.errors import InputError
from duet_rl.rl.checks import check_settings
from duet_rl.rl.losses import LOSSES, Experience, Loss, OwnLossConfig, TOPRConfig, Verdict
from duet_rl.rl.losses.topr import topr
from duet_rl.rl.settings import RLConfig
from tests.rl.world import GPT

HERE = "tests.rl.test_own_loss"


def copied(verdict: Verdict, experience: Experience, config: OwnLossConfig) -> Loss:
    """`topr`, with what the settings say."""
    shared = config.model_dump(exclude={"function", "settings"})
    return topr(verdict, experience, TOPRConfig(**shared, **config.settings))


def a_number(verdict: Verdict, experience: Experience, config: OwnLossConfig) -> torch.Tensor:
    return verdict.log_probs.sum()


def case() -> tuple[Verdict, Experience]:
    generator = torch.Generator().manual_seed(0)
    log_probs, behaviour, rewards, values = torch.rand(4, 4, 6, 2, generator=generator)
    verdict = Verdict(-log_probs, log_probs * 2, log_probs / 5, values)
    return verdict, Experience(rewards, -behaviour, group_size=2)


def test_it_is_what_the_function_says_with_the_settings_of_the_run() -> None:
    words = ["loss=own", f"own.function={HERE}:copied", "own.gamma=0.9", "own.floor=-0.2"]
    config = resolve(RLConfig, None, [*words, "own.settings.negative=[0.0, 0.5]"])
    wanted = topr(*case(), TOPRConfig(gamma=0.9, floor=-0.2, negative=(0.0, 0.5)))
    found = LOSSES[config.loss](*case(), config.own)
    torch.testing.assert_close(found.total, wanted.total)
    check_settings(config, GPT)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"write rl\.own\.function=package\.module:name"),
        ([f"own.function={HERE}:nothing"], "has no 'nothing'"),
        ([f"own.function={HERE}:HERE"], "is no function"),
    ],
)
def test_what_cannot_be_called_is_refused_before_the_run(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_settings(resolve(RLConfig, None, ["loss=own", *words]), GPT)


def test_what_is_no_loss_is_refused() -> None:
    with pytest.raises(InputError, match=r"returned a Tensor.*assemble"):
        LOSSES["own"](*case(), OwnLossConfig(function=f"{HERE}:a_number"))
