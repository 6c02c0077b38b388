"""Policy losses over whole rollouts: pure functions of what a policy says and what it earned."""

from collections.abc import Callable
from typing import Any, Literal

from duet_rl.rl.losses.actor_critic import (
    ActorCriticConfig,
    BailandoLossConfig,
    actor_critic,
    bailando,
)
from duet_rl.rl.losses.base import METRICS, Experience, Loss, Verdict
from duet_rl.rl.losses.duolando import DuolandoLossConfig, duolando
from duet_rl.rl.losses.oapl import OAPLConfig, oapl
from duet_rl.rl.losses.own import OwnLossConfig, own
from duet_rl.rl.losses.ppo import PPOConfig, ppo
from duet_rl.rl.losses.topr import TOPRConfig, topr
from duet_rl.rl.losses.vtrace import VTraceConfig, vtrace

__all__ = [
    "LOSSES",
    "METRICS",
    "ActorCriticConfig",
    "BailandoLossConfig",
    "DuolandoLossConfig",
    "Experience",
    "Loss",
    "LossName",
    "NamedLoss",
    "OAPLConfig",
    "OwnLossConfig",
    "PPOConfig",
    "TOPRConfig",
    "VTraceConfig",
    "Verdict",
    "actor_critic",
    "bailando",
    "duolando",
    "oapl",
    "own",
    "ppo",
    "topr",
    "vtrace",
]

NamedLoss = Literal["actor_critic", "bailando", "duolando", "vtrace", "ppo", "topr", "oapl"]
LossName = Literal[NamedLoss, "own"]  # own: a function that `rl.own` names

# By name; the settings of each are the section of RLConfig with the same name.
LOSSES: dict[LossName, Callable[[Verdict, Experience, Any], Loss]] = {
    "actor_critic": actor_critic,
    "bailando": bailando,
    "duolando": duolando,
    "vtrace": vtrace,
    "ppo": ppo,
    "topr": topr,
    "oapl": oapl,
    "own": own,
}
