"""Settings of RL that a follower, or each other, cannot live with."""

import math

from duet_rl.datasets.clip import FPS
from duet_rl.errors import InputError
from duet_rl.models.bailando import BailandoGPTConfig
from duet_rl.models.follower import AnyGPTConfig
from duet_rl.models.multistream_gpt import MultiStreamGPTConfig
from duet_rl.models.window_gpt import WindowGPTConfig
from duet_rl.rl.losses.own import function_of
from duet_rl.rl.settings import RLConfig
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

_GREEDY_LOSSES = ("duolando", "bailando")  # they know no importance ratio
_WINDOW_LOSSES = ("duolando", "bailando")  # that GPTs of windows can learn by


def check_settings(config: RLConfig, gpt: AnyGPTConfig) -> None:
    """Refuse settings that this follower, or each other, cannot live with.

    Raises:
        InputError: says which, and what to set instead.
    """
    if isinstance(gpt, WindowGPTConfig):
        _check_windows(config, gpt)
    else:
        _check_told(gpt)
    if config.greedy and config.loss not in _GREEDY_LOSSES:
        raise InputError(
            f"rl.greedy rolls out the likeliest tokens, from which {config.loss} cannot learn; "
            f"set rl.loss={' or '.join(_GREEDY_LOSSES)} or rl.greedy=false"
        )
    if not config.reference and getattr(getattr(config, config.loss), "kl_weight", False):
        raise InputError(
            f"rl.{config.loss}.kl_weight pulls to the follower that RL started from, which "
            "rl.reference=false leaves out; set rl.reference=true or the weight to 0"
        )
    _check_turns(config)
    if config.loss == "own":
        function_of(config.own)
    fewest, most = config.min_env_runners, config.env_runners
    if fewest is not None and (most is None or most < fewest):
        raise InputError(
            f"rl.min_env_runners is {fewest} and rl.env_runners is {most}, which is the most that "
            f"a run may have; set rl.env_runners to {fewest} or more"
        )
    layers = _layers(gpt)
    if config.frozen_layers > layers:
        raise InputError(
            f"rl.frozen_layers is {config.frozen_layers}, and of this follower {layers} layers can "
            "be frozen; set no more"
        )


def may_part_couples(config: RLConfig) -> bool:
    """Return whether the environment may let one of each couple dance alone; that of duets not."""
    return config.env != RLConfig().env


def _check_turns(config: RLConfig) -> None:
    """Refuse turns of which the value's never comes: each iteration begins with the policy's."""
    turn = config.bailando.alternate
    steps = config.passes * math.ceil(config.new_groups / config.batch_groups)
    if config.loss == "bailando" and turn is not None and steps <= turn:
        raise InputError(
            f"rl.bailando.alternate is {turn}: so many steps are the policy's before the value "
            f"has its turn, and an iteration has {steps}; set rl.bailando.alternate=null or less "
            "than that, or take more steps (rl.passes, rl.new_groups)"
        )


def _check_told(gpt: MultiStreamGPTConfig) -> None:
    """Refuse a follower of words alone: dances of RL go with music, and all last equally long."""
    if gpt.stop:
        raise InputError(
            "this follower says by itself when its dance is over, and dances of RL all last "
            "rl.seconds; refine one that was trained with follower.gpt.stop=false"
        )
    if gpt.text is not None and not gpt.conditions:
        raise InputError(
            "this follower hears words alone, and RL gives music and leaders; refine one that was "
            "trained with follower.music=true"
        )


def _check_windows(config: RLConfig, gpt: WindowGPTConfig) -> None:
    able = [loss for loss in _WINDOW_LOSSES if loss == "duolando" or _values(gpt)]
    if config.loss not in able:
        lacks = "" if _values(gpt) else "no value head and "
        raise InputError(
            f"rl.loss is {config.loss}; a {gpt.architecture} GPT has {lacks}no log-probabilities "
            f"that a rollout shares with its windows: set rl.loss={' or '.join(able)}"
        )
    steps = round(config.seconds * FPS / FRAMES_PER_TOKEN)
    if steps <= gpt.block:
        least = (gpt.block + 1) * FRAMES_PER_TOKEN / FPS
        raise InputError(
            f"rl.seconds is {config.seconds:g}, {steps} tokens; this follower learns in windows of "
            f"{gpt.block} and the one before them: set {least:.1f} or more"
        )


def _values(gpt: AnyGPTConfig) -> bool:
    return isinstance(gpt, BailandoGPTConfig) and gpt.critic_layers > 0


def _layers(gpt: AnyGPTConfig) -> int:
    """Return how many layers can be frozen."""
    if isinstance(gpt, WindowGPTConfig):
        return gpt.base_layers + gpt.head_layers
    return gpt.layers
