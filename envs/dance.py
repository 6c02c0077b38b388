"""DanceBatch: N duets at once, danced token by token or scored as whole rollouts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import Space
from jaxtyping import Float, Int, UInt8
from pydantic import Field
from torch import Tensor

from duet_rl.body.activity import frozen_share, jitter_share
from duet_rl.config import Config, validate
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.datasets.hearing import FRAMES_PER_ROW, Hearing, hear, heard_near
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from duet_rl.drawing.draw import FOLLOWER_COLOUR, Body, draw_bodies, draw_duet
from duet_rl.errors import InputError
from duet_rl.rewards.base import RewardMix, RewardMixConfig, RewardTerms
from duet_rl.tokenizers.codec import load_codec
from duet_rl.tokenizers.duet import DecodedFollower, MotionBatch
from duet_rl.tokenizers.leader import LEADER, LEADER_TOKENS, window_of
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from envs.scene import Pick, Picker, Scene
from envs.spaces import FEATURE_LIMIT, NO_TOKEN, action_space, observation_space
from envs.unfolding import Codec, TokenCodec, Unfolding, unfold

Observation = dict[str, np.ndarray]


class DanceConfig(Config):
    """How long a dance lasts and how much of it is in view."""

    seconds: float = Field(8.0, gt=0)  # an episode; rounded to whole tokens
    look_back: int = Field(8, ge=1)  # token steps of the past in an observation
    look_ahead: int = Field(8, ge=0)  # token steps of music and leader beyond the current one
    step_context: int = Field(16, ge=1)  # last tokens that the reward of one step looks at
    group_size: int = Field(1, ge=1)  # so many neighbouring dances follow the same leader
    # How a follower is told of the leader; `none`: he dances to the music alone.
    leader: Literal["features", "tokens", "none"] = "features"
    hears: Hearing = "duolando"  # which features of the music he is told
    beyond: int = Field(0, ge=0)  # token steps of music and leader told past the end of a dance
    # What is told of the music past the end of a clip: nothing, or its last row, again and again.
    silent_end: bool = False

    @property
    def tokens(self) -> int:
        """Token steps of an episode."""
        return max(1, round(self.seconds * FPS / FRAMES_PER_TOKEN))


class StepResult(NamedTuple):
    """One token step of `B` dances."""

    observation: Observation
    reward: Float[np.ndarray, "B"]  # weighted mean of the terms, in [0, 1]
    terms: dict[str, np.ndarray]  # name -> (B,), each in [0, 1]
    truncated: bool  # the episode is over


class DanceBatch:
    """`num_dances` leaders with their music, waiting for a follower.

    There are two ways to be rewarded. `score` decodes a whole rollout once: every token is judged
    in the motion that is finally seen. `step` must answer before the future is known: it judges
    the newest of the last `step_context` tokens. A causal codec streams them, and where the reward
    terms look back only, and not beyond `step_context`, the two are equal. Another codec decodes
    them anew at every step, without the tokens to come: then `step` estimates what `score` knows.

    Args:
        clips: dances to follow; the shorter ones than an episode are never picked.
        codec: turns tokens into the follower's motion.
        rewards: what is rewarded.
        num_dances: how many at once.
        config: lengths and views.

    Raises:
        InputError: no clip is long enough, or the groups do not divide the dances.
    """

    def __init__(
        self,
        clips: Sequence[DuetClip],
        codec: Codec,
        rewards: RewardMix,
        num_dances: int = 1,
        config: DanceConfig | None = None,
    ) -> None:
        self.config = config or DanceConfig()
        if num_dances % self.config.group_size:
            raise InputError(
                f"{num_dances} dances do not divide into groups of {self.config.group_size}"
            )
        self.clips, self.codec, self.rewards = list(clips), codec, rewards
        self.num_dances = num_dances
        self.picks: list[Pick] = []
        # Where a token hears one row of music, a dance that is drawn begins with such a row.
        apart = FRAMES_PER_ROW[self.config.hears]
        self._picker = Picker(self.clips, self.config.tokens, apart)
        self._features: dict[int, dict[str, Tensor]] = {}
        self._scene: Scene | None = None
        self._tokens = torch.full(
            (num_dances, self.config.tokens, len(codec.spec)), NO_TOKEN, dtype=torch.int64
        )
        self._unfolding: Unfolding = unfold(codec)
        self._follower: Tensor | None = None  # joints of the last frame danced, (B, 55, 3)
        self._time = 0

    @property
    def steps(self) -> int:
        """Token steps of an episode."""
        return self.config.tokens

    @property
    def parts(self) -> tuple[str, ...]:
        """What each token stream moves; rewards are credited by it."""
        return self.codec.spec.parts

    @property
    def observation_space(self) -> Space:
        """The space of one dance's observation."""
        longest = max(range(len(self.clips)), key=lambda clip: self.clips[clip].frames)
        channels = {name: x.shape[-1] for name, x in self.features(longest).items()}
        view = self.config
        return observation_space(self.codec.spec, channels, view.look_back, view.look_ahead)

    @property
    def action_space(self) -> Space:
        """The space of one dance's action."""
        return action_space(self.codec.spec)

    def features(self, clip: int) -> dict[str, Float[Tensor, "T C"]]:
        """Return what a follower is told of a clip, frame by frame: the music and the leader.

        They are computed once a clip, over all of it, so that a window of them does not depend on
        where it was cut.
        """
        if clip not in self._features:
            leader = self.clips[clip].duet.leader
            batch = MotionBatch(leader.joints[None], leader.rotations[None])
            with torch.no_grad():
                if self.config.leader == "none":
                    described = {}
                elif self.config.leader == "features":
                    described = {LEADER: self.codec.leader_features(batch)[0]}
                else:
                    described = {LEADER_TOKENS: self._token_codec().leader_token_rows(batch)[0]}
            music = hear(self.clips[clip], self.config.hears)
            self._features[clip] = {"music": music, **described}
        return self._features[clip]

    def window(self, clip: int, frame: int) -> dict[str, Tensor]:
        """Return what a follower is told in a dance that begins at `frame` of `clip`.

        Features are `(T, C)`, tokens of the leader `(N, S)`; both with the `beyond`.
        """
        steps = self.config.tokens + self.config.beyond
        begins = dict.fromkeys(self.features(clip), frame)
        begins["music"] = heard_near(self.clips[clip], self.config.hears, frame)
        told = {name: window_of(x, begins[name], steps) for name, x in self.features(clip).items()}
        if self.config.silent_end:
            told["music"][max(len(self.features(clip)["music"]) - begins["music"], 0) :] = 0
        return told

    def restart(
        self, generators: Sequence[np.random.Generator], picks: Sequence[Pick] | None = None
    ) -> None:
        """Begin new dances: drawn with one generator a dance, or exactly the `picks`.

        Dances of one group are drawn by the generator of the first of them.

        Raises:
            InputError: a pick names no window.
        """
        size = self.config.group_size
        if picks is None:
            leads = [self._picker.draw(rng) for rng in generators[::size]]
            picks = [pick for pick in leads for _ in range(size)]
        self.picks = [self._picker.check(pick) for pick in picks]
        if len(self.picks) != self.num_dances:
            raise InputError(
                f"{len(self.picks)} windows for {self.num_dances} dances; give as many"
            )
        self._scene = Scene.cut(self.clips, self.picks, self.config.tokens)
        self._tokens = torch.full_like(self._tokens, NO_TOKEN)
        self._unfolding, self._follower, self._time = unfold(self.codec), None, 0

    def conditions(self) -> dict[str, Tensor]:
        """Return music and leader of the current dances, whole, for a follower that sees them."""
        rows = [self.window(*pick) for pick in self.picks]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def beginnings(self) -> Int[Tensor, "B 1 S"]:
        """Return the tokens that the true followers begin the current dances with."""
        leader, partners = self._danced(0, self.config.tokens).leader, []
        frames = leader.joints.shape[1]
        for clip, frame in self.picks:
            partner = self.clips[clip].duet.follower.slice(frame, frame + frames)
            partners.append((partner.joints, partner.rotations))
        joints, rotations = (torch.stack(parts) for parts in zip(*partners, strict=True))
        with torch.no_grad():
            return self._token_codec().first_tokens(leader, MotionBatch(joints, rotations))

    def decode(self, tokens: Int[Tensor, "B N S"]) -> DecodedFollower:
        """Return the follower that `tokens` mean from the first step of the dances on."""
        with torch.no_grad():
            return self.codec.decode(tokens, self._danced(0, tokens.shape[1]).leader)

    def score(self, tokens: Int[Tensor, "B N S"]) -> RewardTerms:
        """Return the reward terms of whole rollouts, decoded once, and how lively they are."""
        scene = self._danced(0, tokens.shape[1])
        with torch.no_grad():
            follower = self.codec.decode(tokens, scene.leader)
            terms = self.rewards(scene.with_follower(follower))
            watched = {
                "frozen": frozen_share(follower.joints, FPS),
                "jitter": jitter_share(follower.joints, FPS),
            }
        return replace(terms, watched=watched)

    def step(self, actions: Int[np.ndarray, "B S"]) -> StepResult:
        """Dance one token step and return what is seen next and what it earned.

        Raises:
            InputError: an action outside the action space, or the dances are over.
        """
        if self._time == self.config.tokens:
            raise InputError("these dances are over; call reset before the next step")
        chosen = torch.from_numpy(np.asarray(actions, np.int64))
        self.codec.spec.validate(chosen[:, None])
        self._tokens[:, self._time] = chosen
        self._time += 1
        start = max(0, self._time - self.config.step_context)
        scene = self._danced(0, self._time)
        with torch.no_grad():
            follower = self._unfolding.newest(self._tokens[:, : self._time], scene, start)
            terms = self.rewards(scene.steps(start, self._time).with_follower(follower))
        self._follower = follower.joints[:, -1]
        newest = {name: x[:, -1].numpy() for name, x in terms.tokens(FRAMES_PER_TOKEN).items()}
        reward = terms.total(FRAMES_PER_TOKEN)[:, -1].numpy()
        return StepResult(self.observe(), reward, newest, self._time == self.config.tokens)

    def observe(self) -> Observation:
        """Return what every dance sees now; past the ends of its clip the edge repeats."""
        view = self.config
        steps = np.arange(
            -view.look_back * FRAMES_PER_TOKEN, (1 + view.look_ahead) * FRAMES_PER_TOKEN
        )
        windows: dict[str, list[np.ndarray]] = {}
        for pick in self.picks:
            frames = pick.frame + self._time * FRAMES_PER_TOKEN + steps
            inside = frames.clip(0, self.clips[pick.clip].frames - 1)
            for name, feature in self.features(pick.clip).items():
                windows.setdefault(name, []).append(feature[inside].numpy())
        past = torch.full((self.num_dances, view.look_back, len(self.codec.spec)), NO_TOKEN)
        seen = min(self._time, view.look_back)
        past[:, view.look_back - seen :] = self._tokens[:, self._time - seen : self._time]
        stacked = {
            name: np.stack(rows).astype(np.float32).clip(-FEATURE_LIMIT, FEATURE_LIMIT)
            for name, rows in windows.items()
        }
        return {**stacked, "tokens": past.numpy()}

    def draw(self, dance: int, width: int, height: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return a picture of one couple now; before the first step the true follower stands in."""
        scene = self._danced(0, self.config.tokens)
        frame = max(0, self._time * FRAMES_PER_TOKEN - 1)
        follower = scene.partner[:, frame] if self._follower is None else self._follower
        if scene.solo:
            return draw_bodies([Body(follower[dance], FOLLOWER_COLOUR)], width, height)
        return draw_duet(scene.leader.joints[dance, frame], follower[dance], width, height)

    def _token_codec(self) -> TokenCodec:
        if not isinstance(self.codec, TokenCodec):
            raise InputError(
                f"{type(self.codec).__name__} does not tell the leader's tokens; use a DuetCodec, "
                "or a follower that is told features"
            )
        return self.codec

    def _danced(self, start: int, stop: int) -> Scene:
        if self._scene is None:
            raise InputError("no dance has begun; call reset first")
        return self._scene.steps(start, stop)


def open_dances(
    data: str | Path | Sequence[DuetClip],
    codec: str | Path | Codec,
    *,
    num_dances: int = 1,
    split: Split = "train",
    rewards: Mapping[str, Any] | None = None,
    dance: Mapping[str, Any] | None = None,
) -> DanceBatch:
    """Return the dances that an environment's keyword arguments ask for.

    Args:
        data: folder of a clip store, or clips.
        codec: folder that holds a codec, or a codec.
        num_dances: how many at once.
        split: `train`, `val` or `test` of the store.
        rewards: settings of `RewardMixConfig`.
        dance: settings of `DanceConfig`.

    Raises:
        InputError: a folder or a setting is not what it should be.
    """
    clips = DuetStore.open(data).clips(split) if isinstance(data, str | Path) else data
    if isinstance(codec, str | Path):
        codec = load_codec(codec)
    mix = RewardMix(validate(RewardMixConfig, rewards or {}, source="rewards"))
    config = validate(DanceConfig, dance or {}, source="dance")
    return DanceBatch(clips, codec, mix, num_dances, config)
