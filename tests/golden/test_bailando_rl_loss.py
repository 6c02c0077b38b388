"""The `bailando` policy loss gives the numbers of the original, from its values on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.rl.losses import BailandoLossConfig, Experience, Verdict, bailando
from duet_rl.rl.losses.actor_critic import td_errors
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "bailando" / "actor_critic.npz"
ACTOR_STEP, CRITIC_STEP = "b0", "b5"
STREAMS = 2  # upper and lower half, which share reward and value
THEIRS = BailandoLossConfig(gamma=1.0, shared=True, kl_weight=0.0)

pytestmark = needs(FILE)


def array(name: str) -> Tensor:
    return torch.from_numpy(np.load(FILE, allow_pickle=False)[name])


def paths(step: str) -> tuple[Tensor, Tensor]:
    """Return rewards and values as ours are, `(B, N, S)`; the last state has no reward."""
    rewards = torch.nn.functional.pad(array(f"{step}/rewards"), (0, 1))
    values = array(f"{step}/values") / STREAMS  # the sum of both is theirs
    return rewards[..., None].expand(-1, -1, STREAMS), values[..., None].expand(-1, -1, STREAMS)


def verdict_of(log_probs: Tensor, values: Tensor) -> Verdict:
    zeros = torch.zeros_like(values)
    return Verdict(log_probs, zeros, zeros, values)


@pytest.mark.parametrize("step", [ACTOR_STEP, CRITIC_STEP])
def test_the_td_errors_are_the_originals(step: str) -> None:
    found = td_errors(*paths(step), THEIRS).flatten()
    torch.testing.assert_close(found, array(f"{step}/td_error"))


def test_the_critic_loss_is_the_originals() -> None:
    rewards, values = paths(CRITIC_STEP)
    verdict = verdict_of(torch.zeros_like(values), values)
    loss = bailando(verdict, Experience(rewards, torch.zeros_like(values), 1), THEIRS)
    assert loss.metrics["loss/value"].item() == pytest.approx(
        array(f"{CRITIC_STEP}/loss").item(), rel=1e-6
    )


def test_the_actor_loss_is_the_originals() -> None:
    """Each action that their mask counts becomes a path of its own: it, and the state after it."""
    rewards, values = paths(ACTOR_STEP)
    counted = array(f"{ACTOR_STEP}/mask_seq").bool()

    def pairs(rows: Tensor) -> Tensor:
        return torch.stack([rows[:, :-1][counted], rows[:, 1:][counted]], dim=1)  # (actions, 2, S)

    said = -array(f"{ACTOR_STEP}/neg_logp").view_as(counted) / STREAMS  # of both streams together
    log_probs = torch.nn.functional.pad(said, (0, 1))[..., None].expand_as(rewards)
    verdict = verdict_of(pairs(log_probs), pairs(values))
    loss = bailando(verdict, Experience(pairs(rewards), pairs(log_probs), 1), THEIRS)
    assert loss.metrics["loss/policy"].item() == pytest.approx(
        array(f"{ACTOR_STEP}/loss").item(), rel=1e-5
    )
