"""How a follower dances with leaders that it never learned from, and how far it is from its start.

All followers of a comparison dance in the same windows with the same sampling seeds.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.follower import Follower
from duet_rl.lab.settings import LabConfig
from duet_rl.metrics.duet import measure_duet
from duet_rl.metrics.retrieval import RetrievalFollower
from duet_rl.models.multistream_gpt import GPTOutput, MultiStreamGPT
from duet_rl.models.policy import SamplingConfig, policy_logits
from duet_rl.models.sampling import generate
from duet_rl.rewards.base import RewardInput, RewardMix, RewardMixConfig
from duet_rl.rl.collapse import FROZEN, JITTER
from duet_rl.rl.collapse import diversity as codes_used
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

REWARD, TOTAL = "reward/", "reward/total"
KL, JERK = "kl", "motion/jerk"
TRUTH, NEAREST = "true partner", "nearest neighbour"

Numbers = dict[str, float]  # tag -> mean over windows and dances


class HeldOut(NamedTuple):
    """`W` windows of couples that nothing was learned from."""

    clips: list[DuetClip]
    leader: MotionBatch
    partner: Float[Tensor, "W T 55 3"]
    music: Float[Tensor, "W T 54"]
    beats: Bool[Tensor, "W T"]
    hold: Bool[Tensor, "W T 2 4"]


def held_out(store: DuetStore, config: LabConfig) -> HeldOut:
    """Return windows of the held-out clips, as many as `config` wants, spread over all of them.

    Raises:
        InputError: no clip of these splits lasts a window.
    """
    frames = max(1, round(config.window_seconds * FPS / FRAMES_PER_TOKEN)) * FRAMES_PER_TOKEN
    clips = [clip for split in config.splits for clip in store.clips(split)]
    found = [
        clip.slice(start, start + frames)
        for clip in clips
        for start in range(0, clip.frames - frames + 1, frames)
    ]
    if not found:
        raise InputError(
            f"no clip of {' or '.join(config.splits)} in {store.path} lasts the "
            f"{frames / FPS:.1f} s of a window; set lab.splits to others, or a shorter "
            "lab.window_seconds"
        )
    spread = np.linspace(0, len(found) - 1, min(config.windows, len(found))).round().astype(int)
    cuts = [found[place] for place in spread]
    return HeldOut(
        cuts,
        MotionBatch(
            torch.stack([cut.duet.leader.joints for cut in cuts]),
            torch.stack([cut.duet.leader.rotations for cut in cuts]),
        ),
        torch.stack([cut.duet.follower.joints for cut in cuts]),
        torch.stack([cut.music for cut in cuts]),
        torch.stack([cut.beats for cut in cuts]),
        torch.stack([cut.hold for cut in cuts]),
    )


@torch.no_grad()
def measure_follower(
    follower: Follower,
    start: MultiStreamGPT,
    windows: HeldOut,
    rewards: RewardMixConfig,
    sampling: SamplingConfig,
    temperature: float,
    look_ahead: int | None,
    dances: int,
) -> Numbers:
    """Return how `follower` does: rewards, codes used, KL to `start`, and how it moves.

    Args:
        follower: whose dances are looked at.
        start: what KL is measured to: nats a token, over the full distributions, as RL does.
        windows: where it dances.
        rewards: what is rewarded.
        sampling: of the dances.
        temperature: of the policies that KL compares.
        look_ahead: tokens of future that it may know; None is all it was made for.
        dances: in each window, of different seeds.
    """
    gpt = follower.model
    assert isinstance(gpt, MultiStreamGPT)
    described = follower.codec.describe_leader(windows.leader, gpt.config.condition_names)
    known = {"music": windows.music, **described}
    conditions = {name: known[name] for name in gpt.config.condition_names}
    mix, tokens, found = RewardMix(rewards), [], []
    for seed in range(dances):
        generator = torch.Generator().manual_seed(seed)
        danced = generate(gpt, conditions, None, sampling, generator, look_ahead).tokens
        decoded = follower.codec.decode(danced, windows.leader)
        numbers = _movement(decoded.joints, decoded.root_velocity, windows, mix)
        now, before = (model(danced, conditions, look_ahead) for model in (gpt, start))
        found.append(numbers | {KL: _divergence(now, before, temperature)})
        tokens.append(danced.numpy().astype(np.int16))
    tags = dict.fromkeys(tag for numbers in found for tag in numbers)
    mean = {tag: float(np.mean([one[tag] for one in found if tag in one])) for tag in tags}
    return mean | codes_used(tokens, follower.codec.spec.names)


def measure_baselines(
    store: DuetStore, windows: HeldOut, rewards: RewardMixConfig
) -> dict[str, Numbers]:
    """Return how the true partners do, and the nearest neighbours among the training couples."""
    mix = RewardMix(rewards)
    found = {TRUTH: _movement(windows.partner, None, windows, mix)}
    library = [clip.duet for clip in store.clips("train")]
    if library:
        memory = RetrievalFollower(library)
        nearest = [memory.follow(clip.duet.leader).joints for clip in windows.clips]
        found[NEAREST] = _movement(torch.stack(nearest), None, windows, mix)
    return found


def _movement(
    joints: Float[Tensor, "W T 55 3"], velocity: Tensor | None, windows: HeldOut, mix: RewardMix
) -> Numbers:
    """Return rewards and every measure of a follower in all windows, without its tokens."""
    leader, beats, hold = windows.leader.joints, windows.beats, windows.hold
    terms = mix(RewardInput(joints, leader, beats, FPS, hold, windows.partner, velocity))
    measured = measure_duet(joints, leader, beats, FPS, hold, windows.partner)
    # The total of whole tokens is what RL is after; a term may count a token's lowest frame.
    rewarded = {name: score.mean() for name, score in terms.tokens(FRAMES_PER_TOKEN).items()}
    rewarded["total"] = terms.total(FRAMES_PER_TOKEN).mean()
    # A window to which a measure does not apply does not count; a measure of none is left out.
    moved = {
        f"motion/{name}": values.nanmean()
        for name, values in measured.items()
        if not values.isnan().all()
    }
    for tag, share in {FROZEN: "frozen_share", JITTER: "jitter_share"}.items():
        moved[tag] = moved.pop(f"motion/{share}")
    assert JERK in moved
    scored = {f"{REWARD}{name}": score for name, score in rewarded.items()}
    return {tag: float(value) for tag, value in (scored | moved).items()}


def _divergence(now: GPTOutput, before: GPTOutput, temperature: float) -> float:
    """Return the KL of the one policy to the other, nats a token and stream."""
    sampling = SamplingConfig(temperature=temperature)

    def log_policy(logits: Tensor) -> Tensor:
        return torch.log_softmax(policy_logits(logits, sampling), dim=-1)

    pairs = zip(now.logits, before.logits, strict=True)
    logs = [(log_policy(one), log_policy(other)) for one, other in pairs]
    return float(np.mean([float((a.exp() * (a - b)).sum(-1).mean()) for a, b in logs]))
