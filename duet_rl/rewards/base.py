"""The reward mix: what rewards are given, which terms it has, and what each of them credits."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field
from torch import Tensor

from duet_rl.config import Config
from duet_rl.errors import InputError
from duet_rl.rewards.bailando import BAILANDO_CREDITS, BailandoConfig, bailando_reward
from duet_rl.rewards.beat import BEAT_CREDITS, BeatConfig, beat_reward
from duet_rl.rewards.codes import CODES_CREDITS, CodesConfig, codes_reward, hold_codes_reward
from duet_rl.rewards.consistency import CONSISTENCY_CREDITS, ConsistencyConfig, consistency_reward
from duet_rl.rewards.contact import CONTACT_CREDITS, ContactConfig, contact_reward
from duet_rl.rewards.duolando import DUOLANDO_CREDITS, DuolandoConfig, root_consistency
from duet_rl.rewards.foot import FOOT_CREDITS, FootConfig, foot_reward
from duet_rl.rewards.inputs import RewardInput
from duet_rl.rewards.own import OwnRewardConfig, own_term
from duet_rl.rewards.tracking import TRACKING_CREDITS, TrackingConfig, tracking_reward

CREDITS: dict[str, tuple[str, ...]] = {  # term -> parts of the body whose streams it credits
    "contact": CONTACT_CREDITS,
    "foot": FOOT_CREDITS,
    "beat": BEAT_CREDITS,
    "consistency": CONSISTENCY_CREDITS,
    "tracking": TRACKING_CREDITS,
    "codes": CODES_CREDITS,
    "duolando": DUOLANDO_CREDITS,
    "bailando": BAILANDO_CREDITS,
}
LOWEST = ("duolando",)  # a token gets the lowest frame of these terms, and the mean of the others

Uncredited = Literal["total", "one"]


def _new_name(name: str) -> str:
    if not name.isidentifier() or name in {*CREDITS, "total"}:
        raise ValueError(
            f"{name!r} cannot name a term of one's own; take a word that is none of "
            f"{', '.join(CREDITS)}, total"
        )
    return name


NewName = Annotated[str, AfterValidator(_new_name)]


class RewardWeights(Config):
    """Share of each term in the sum; a term of weight 0 is not computed."""

    contact: float = Field(1.0, ge=0)
    foot: float = Field(0.5, ge=0)
    beat: float = Field(0.5, ge=0)
    consistency: float = Field(0.5, ge=0)
    tracking: float = Field(1.0, ge=0)
    codes: float = Field(0.0, ge=0)  # the true partner's holds, touches and facing, code by code
    duolando: float = Field(0.0, ge=0)  # the paper's reward, which has no lower bound
    bailando: float = Field(0.0, ge=0)  # the reward of solo dances to music, from -5 to 5


class RewardMixConfig(Config):
    """Weights and settings of the reward terms."""

    weights: RewardWeights = RewardWeights()
    contact: ContactConfig = ContactConfig()
    foot: FootConfig = FootConfig()
    beat: BeatConfig = BeatConfig()
    consistency: ConsistencyConfig = ConsistencyConfig()
    tracking: TrackingConfig = TrackingConfig()
    codes: CodesConfig = CodesConfig()
    duolando: DuolandoConfig = DuolandoConfig()
    bailando: BailandoConfig = BailandoConfig()
    own: dict[NewName, OwnRewardConfig] = Field(default_factory=dict)  # terms of one's own, by name
    uncredited: Uncredited = "total"  # a stream that no term credits gets the total, or 1 (paper)

    def without_tokens(self) -> "RewardMixConfig":
        """Return the mix of terms that need joints alone, the default one if there is none."""
        weights = self.weights.model_copy(update={"duolando": 0.0})
        if not any(weights.model_dump().values()) and not self.own:
            weights = RewardWeights()
        return self.model_copy(update={"weights": weights})


_DEFAULTS = RewardMixConfig()


@dataclass(frozen=True, eq=False)
class RewardTerms:
    """The terms of a reward, each `(B, T)`, with their weights and credits.

    Terms lie in [0, 1], but for `duolando`, which has no lower bound, and `bailando`, which lies in
    [-5, 5] (and as much farther as its halves count).

    Args:
        per_frame: name of the term -> score of every frame.
        weights: name of the term -> its weight, positive.
        credits: name of the term -> the parts whose token streams it credits.
        lowest: the terms of which a token gets the lowest frame, not the mean.
        uncredited: what a stream gets that no term credits: the `total`, or `one`.
        watched: what is looked at and not rewarded: name -> one value a dance, `(B,)`.
    """

    per_frame: dict[str, Tensor]
    weights: Mapping[str, float]
    credits: Mapping[str, tuple[str, ...]]
    lowest: Collection[str] = ()
    uncredited: Uncredited = "total"
    watched: Mapping[str, Tensor] = field(default_factory=dict)

    def tokens(self, frames_per_token: int) -> dict[str, Tensor]:
        """Return each term per token, `(B, N)`: the mean or the lowest of the token's frames.

        Raises:
            InputError: the frames do not divide into tokens.
        """
        frames = {name: _split(score, frames_per_token) for name, score in self.per_frame.items()}
        return {n: x.amin(-1) if n in self.lowest else x.mean(-1) for n, x in frames.items()}

    def total(self, frames_per_token: int) -> Float[Tensor, "B N"]:
        """Return the weighted mean of all terms per token, in [0, 1] without those two."""
        return self._mean(self.tokens(frames_per_token))

    def per_stream(self, parts: Sequence[str], frames_per_token: int) -> Float[Tensor, "B N S"]:
        """Return, for streams of the given parts, the weighted mean of the terms that credit them.

        A stream that no term credits gets what `uncredited` says.

        Args:
            parts: part of each stream, such as `TokenSpec.parts`.
            frames_per_token: frames that one token stands for.
        """
        tokens = self.tokens(frames_per_token)
        by_part = {part: self._of_part(tokens, part) for part in dict.fromkeys(parts)}
        return torch.stack([by_part[part] for part in parts], dim=-1)

    def means(self) -> dict[str, float]:
        """Return the mean of each term and of the `total`, for logs and tables."""
        means = {name: score.mean() for name, score in self.per_frame.items()}
        means["total"] = self._mean(means)
        return {name: float(mean) for name, mean in means.items()}

    def _of_part(self, terms: dict[str, Tensor], part: str) -> Tensor:
        credited = {name: terms[name] for name in terms if part in self.credits[name]}
        if not credited and self.uncredited == "one":
            return torch.ones_like(next(iter(terms.values())))
        return self._mean(credited or terms)

    def _mean(self, terms: dict[str, Tensor]) -> Tensor:
        weighted = torch.stack([self.weights[name] * score for name, score in terms.items()])
        return weighted.sum(0) / sum(self.weights[name] for name in terms)


class RewardMix:
    """The weighted terms that a configuration asks for.

    Example:
        >>> mix = RewardMix(RewardMixConfig(weights=RewardWeights(contact=0, tracking=0)))
        >>> joints = torch.zeros(2, 8, 55, 3)
        >>> terms = mix(RewardInput(joints, joints, beats=torch.zeros(2, 8, dtype=torch.bool)))
        >>> sorted(terms.per_frame), terms.total(frames_per_token=4).shape
        (['beat', 'consistency', 'foot'], torch.Size([2, 2]))
    """

    def __init__(self, config: RewardMixConfig = _DEFAULTS) -> None:
        self.config = config
        self._own = {name: own_term(f"rewards.own.{name}", x) for name, x in config.own.items()}

    def __call__(self, data: RewardInput) -> RewardTerms:
        """Return the terms of `data`.

        A term is left out where its weight is 0 or its input is missing: contact without holds or
        a partner, tracking without a true partner, codes without a partner and either holds or a
        true one, duolando without what the tokens say of the root, one's own where it returns None.

        Raises:
            InputError: no term is left, or one's own returns no score of every frame.
        """
        weights = self.config.weights.model_dump()
        terms = {name: term for name, term in self._terms(data).items() if weights[name] > 0}
        per_frame = {name: score() for name, score in terms.items()}
        own = {name: term(data) for name, term in self._own.items()}
        per_frame |= {name: score for name, score in own.items() if score is not None}
        if not per_frame:
            raise InputError(
                f"no reward is left of the weights {weights}: give one of foot, beat or "
                "consistency a weight, or clips with holds or a true partner, or (duolando) "
                "tokens that say where the root goes"
            )
        weights |= {name: term.weight for name, term in self.config.own.items()}
        shares = {name: weights[name] for name in per_frame}
        credits = CREDITS | {name: term.parts for name, term in self.config.own.items()}
        return RewardTerms(per_frame, shares, credits, LOWEST, self.config.uncredited)

    def _terms(self, data: RewardInput) -> dict[str, Callable[[], Tensor]]:
        """Return what would compute each term that `data` has the input for."""
        config, fps = self.config, data.fps
        follower = data.follower.contiguous()  # kinematics lays joints out so that norms are slow
        leader, hold, partner, velocity = data.leader, data.hold, data.partner, data.root_velocity
        terms: dict[str, Callable[[], Tensor]] = {
            "foot": lambda: foot_reward(follower, fps, config.foot, data.leader, data.beats),
            "beat": lambda: beat_reward(follower, data.beats, fps, config.beat),
            "consistency": lambda: consistency_reward(follower, fps, velocity, config.consistency),
            "bailando": lambda: bailando_reward(follower, data.beats, fps, config.bailando),
        }
        if hold is not None and leader is not None:
            terms["contact"] = lambda: contact_reward(follower, leader, hold, fps, config.contact)
        if partner is not None:
            terms["tracking"] = lambda: tracking_reward(follower, partner, config.tracking)
        if leader is not None and partner is not None:
            terms["codes"] = lambda: codes_reward(follower, leader, partner, config.codes)
        elif leader is not None and hold is not None:
            terms["codes"] = lambda: hold_codes_reward(follower, leader, hold)
        if velocity is not None:
            terms["duolando"] = lambda: root_consistency(follower, velocity, fps, config.duolando)
        return terms


def _split(score: Tensor, frames_per_token: int) -> Tensor:
    """Return the frames of each token, `(B, N, frames)`."""
    frames = score.shape[1]
    if frames % frames_per_token:
        raise InputError(
            f"{frames} frames do not divide into tokens of {frames_per_token} frames; "
            "trim or pad the clip"
        )
    return score.unflatten(1, (-1, frames_per_token))
