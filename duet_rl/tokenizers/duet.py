"""The duet codec: a follower as rows of tokens beside a leader, and back into the world."""

import copy
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.body.heading import low_pass, unwrap
from duet_rl.body.kinematics import Posed, forward_kinematics
from duet_rl.errors import InputError
from duet_rl.files import require_folder
from duet_rl.tokenizers.body_tokenizer import BodyTokenizer
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import MotionBatch, smoothed
from duet_rl.tokenizers.holding import AS_LEARNED, FIRMEST, HOLDING, hold_hands
from duet_rl.tokenizers.leader import (
    LEADER,
    LEADER_CHANNELS,
    LEADER_TOKENS,
    leader_features,
    tokens_by_frame,
)
from duet_rl.tokenizers.part import POSE, TRANSLATION
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.planting import plant_feet
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, TokenSpec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

AnyDuetCodec = TypeVar("AnyDuetCodec", bound="DuetCodec")


class DecodedFollower(NamedTuple):
    """A follower in the world."""

    joints: Float[Tensor, "B T 55 3"]  # m; see `DecodingConfig.joints` for what they follow from
    rotations: Float[Tensor, "B T 55 3 3"]  # local
    # m/s, world axes: how the legs say that the root moves, to each frame (heading kind) or on from
    # it (world kind)
    root_velocity: Float[Tensor, "B T 3"]


class DuetCodec(nn.Module):
    """Follower motion to tokens and back, given the leader.

    The pose streams say what the body does in its own frame of reference, the placement streams
    where it is beside the leader. With a causal config, a `cache` (an empty dict at the start of
    a clip, one for each direction) lets all of it run in pieces of whole tokens, and gives what
    the whole clip would have given.
    """

    pose_class: ClassVar[type[BodyTokenizer]] = PoseTokenizer
    placement_class: ClassVar[type[PlacementTokenizer]] = PlacementTokenizer

    def __init__(self, config: DuetCodecConfig) -> None:
        super().__init__()
        self.pose = self.pose_class(config)
        self.placement = self.placement_class(config)
        self.config = config
        self.firmness = AS_LEARNED
        self.spec = TokenSpec(self.pose.streams + self.placement.streams)

    def holding(self: AnyDuetCodec, firmness: float) -> AnyDuetCodec:
        """Return this codec, but with hands held so firmly; see `tokenizers.holding`.

        Args:
            firmness: 1 is as it learned, 0 frees all hands, 2 takes them from twice as far.

        Raises:
            InputError: beyond 0 to 2, or it decodes positions, whose arms cannot be bent.
        """
        if firmness == self.firmness:
            return self
        if not 0 <= firmness <= FIRMEST:
            raise InputError(
                f"hands held {firmness:g} times; give 0 (free) to {FIRMEST:g}, 1 is as it learned"
            )
        if not self.bends_arms:
            raise InputError(
                "this codec decodes positions of joints, and no arm can be bent to hold more or "
                "less; leave hold at 1, or convert the checkpoint with joints from rotations"
            )
        held = copy.copy(self)  # the same networks
        held.firmness = firmness
        return held

    @property
    def bends_arms(self) -> bool:
        """Whether hands can be held more or less firmly: bones of a decoded body turn."""
        return self.config.decoding.joints == "rotations"

    @property
    def offsets(self) -> Float[Tensor, "55 3"]:
        """Bones of the followers that the codec was trained on, metres."""
        return self.placement.offsets

    @property
    def leader_channels(self) -> int:
        """Channels of `leader_features`."""
        return LEADER_CHANNELS

    @property
    def leader_classes(self) -> tuple[int, ...]:
        """Classes of the streams of `leader_tokens`: those of the poses."""
        return self.spec.classes[: len(self.pose.streams)]

    @torch.no_grad()
    def encode(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        """Return the follower's tokens, one row for every four frames.

        Raises:
            InputError: the two differ in length, or frames that make no whole token.
        """
        if leader.joints.shape != follower.joints.shape:
            raise InputError(
                f"leader frames {tuple(leader.joints.shape[:2])} and follower frames "
                f"{tuple(follower.joints.shape[:2])} (clips, frames) differ; cut them alike"
            )
        pose = self.pose.encode(follower, "follower pose", cache)
        return torch.cat([pose, self.placement.encode(leader, follower, cache)], dim=-1)

    @torch.no_grad()
    def decode(
        self,
        tokens: Int[Tensor, "B N S"],
        leader: MotionBatch,
        offsets: Float[Tensor, "*skeletons 55 3"] | None = None,
        cache: StreamCache | None = None,
    ) -> DecodedFollower:
        """Return the follower that dances `tokens` beside the leader.

        Args:
            tokens: one row for every four frames.
            leader: the frames of the tokens.
            offsets: the follower's bones, `(55, 3)` or one set a clip, metres; by default those
                of the followers that the codec was trained on. Decoded positions bring their own.
            cache: continues the clip it was used for before (causal codecs only).

        Raises:
            InputError: the leader's frames are not those of the tokens.
        """
        frames = tokens.shape[1] * FRAMES_PER_TOKEN
        if leader.joints.shape[1] != frames:
            raise InputError(
                f"{tokens.shape[1]} token steps stand for {frames} frames, the leader has "
                f"{leader.joints.shape[1]}; cut the leader to the tokens"
            )
        pose_tokens, placement_tokens = self._parts_of(tokens)
        pose = self.pose.decode(pose_tokens, cache)
        placed = self.placement.decode(placement_tokens, leader, cache)
        heading = self._heading(placed.heading, cache)
        velocity = self.pose.frame.to_world(pose.root_velocity, heading)
        root = self._root(placed.path, velocity, cache)
        rotations = self.pose.frame.local_rotations(pose.rotations, heading)
        if self.config.decoding.joints == "positions":
            joints = self.pose.frame.joints(pose.positions, rotations, heading, root)
            return DecodedFollower(joints, rotations, velocity)
        if offsets is None:
            offsets = self.offsets
        if offsets.ndim > 2:
            offsets = offsets[:, None]  # one skeleton for all frames of a clip
        posed = Posed(rotations, *forward_kinematics(rotations, root, offsets))
        posed = self._planted(posed, velocity, offsets, cache)
        holding, causal = self.config.decoding.holding, self.config.frame.causal
        # Arms that were bent before and are let go now go back without a leap.
        bent = cache is not None and HOLDING in cache
        if holding is not None or self.firmness != AS_LEARNED or bent:
            how = (holding, causal, cache, self.firmness)
            posed = hold_hands(posed, leader.joints, offsets, *how)
        return DecodedFollower(posed.joints, posed.rotations, velocity)

    @torch.no_grad()
    def leader_features(
        self, leader: MotionBatch, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T C"]:
        """Return the leader as continuous features, see `tokenizers.leader`."""
        return leader_features(leader, self.config.frame, cache)

    @torch.no_grad()
    def leader_tokens(self, leader: MotionBatch) -> Int[Tensor, "B N S"]:
        """Return the leader's poses as tokens; its classes are those of the pose streams."""
        return self.pose.encode(leader, "leader pose")

    @torch.no_grad()
    def leader_token_rows(self, leader: MotionBatch) -> Int[Tensor, "B T S"]:
        """Return the leader's tokens for windows that begin anywhere, see `tokens_by_frame`."""
        return tokens_by_frame(self.leader_tokens, leader)

    def describe_leader(self, leader: MotionBatch, names: Collection[str]) -> dict[str, Tensor]:
        """Return what of the leader is among the conditions `names`."""
        known = {LEADER: self.leader_features, LEADER_TOKENS: self.leader_tokens}
        return {name: describe(leader) for name, describe in known.items() if name in names}

    @torch.no_grad()
    def first_tokens(self, leader: MotionBatch, follower: MotionBatch) -> Int[Tensor, "B 1 S"]:
        """Return the tokens that a dance of this follower begins with.

        The pose is that of its first four frames alone; the placement knows what follows, as in
        the original (Duolando 5.6).
        """
        start = slice(0, FRAMES_PER_TOKEN)
        first = MotionBatch(follower.joints[:, start], follower.rotations[:, start])
        placement = self.placement.encode(leader, follower)[:, :1]
        return torch.cat([self.pose.encode(first, "follower pose"), placement], dim=-1)

    def save(self, folder: Path | str, meta: Mapping[str, Any]) -> Path:
        """Write both tokenizers as sub-folders `pose` and `translation`; return the folder."""
        folder = Path(folder)
        for tokenizer in (self.pose, self.placement):
            tokenizer.save(folder / tokenizer.kind, meta)
        return folder

    @classmethod
    def load(cls: type[AnyDuetCodec], folder: Path | str) -> AnyDuetCodec:
        """Return the codec saved in `folder`, in evaluation mode.

        Raises:
            InputError: a part is missing, does not fit its config, or the two were trained in
                different frames of reference.
        """
        folder = require_folder(folder, "a codec")
        pose = cls.pose_class_in(folder / POSE).load(folder / POSE)
        placement = cls.placement_class.load(folder / TRANSLATION)
        if pose.config.frame != placement.config.frame:
            raise InputError(
                f"{folder} mixes two frames of reference: pose {pose.config.frame}, translation "
                f"{placement.config.frame}; train both with one config"
            )
        codec = cls(placement.config.model_copy(update={"pose": pose.config.pose}))
        codec.pose, codec.placement = pose, placement
        return codec.eval()

    @classmethod
    def pose_class_in(cls, folder: Path) -> type[BodyTokenizer]:
        """Return the class of tokenizers whose weights a folder holds."""
        return cls.pose_class

    def _parts_of(
        self, tokens: Int[Tensor, "B N S"]
    ) -> tuple[Int[Tensor, "B N P"], Int[Tensor, "B N Q"]]:
        """Return what the tokens say to the poses and to the placement."""
        streams = [len(self.pose.streams), len(self.placement.streams)]
        pose, placement = tokens.split(streams, dim=-1)
        return pose, placement

    def _planted(
        self, posed: Posed, velocity: Tensor, offsets: Tensor, cache: StreamCache | None
    ) -> Posed:
        """Return the body with its standing feet held, if that is asked for."""
        planting, frame = self.config.decoding.planting, self.config.frame
        if planting is None:
            return posed
        if self.placement.frame.velocity_leaves:  # and planting asks for what led to each frame
            before = velocity[:, :1] if cache is None else cache.get("left", velocity[:, :1])
            if cache is not None:
                cache["left"] = velocity[:, -1:]
            velocity = torch.cat([before, velocity[:, :-1]], dim=1)
        return plant_feet(posed, velocity, offsets, frame.fps, planting, frame.causal, cache)

    def _heading(
        self, heading: Float[Tensor, "B T"], cache: StreamCache | None
    ) -> Float[Tensor, "B T"]:
        """Return the decoded heading, low-passed unless causal: the dancer would face late."""
        heading = unwrap(heading, None if cache is None else cache.get("decoded heading"))
        if cache is not None:
            cache["decoded heading"] = heading[:, -1]
        if self.config.frame.causal:
            return heading
        return low_pass(heading[..., None], self.config.decoding.heading_sigma)[..., 0]

    def _root(
        self,
        path: Float[Tensor, "B T 3"],
        velocity: Float[Tensor, "B T 3"],
        cache: StreamCache | None,
    ) -> Float[Tensor, "B T 3"]:
        """Return the root: slow from the placement, fast from the legs (complementary filter)."""
        decoding = self.config.decoding
        path = self._smoothed(path, decoding.path_sigma, cache, "path")
        if not decoding.legs:
            return path
        travel = velocity.cumsum(1) / self.config.frame.fps
        if cache is not None:
            travel = travel + cache.get("travel", torch.zeros_like(travel[:, 0]))[:, None]
            cache["travel"] = travel[:, -1]
        if self.placement.frame.velocity_leaves:
            travel = travel - velocity / self.config.frame.fps
        # The placement was low-passed before it was encoded, and again just now.
        slow = self._smoothed(travel, self.placement.frame.path_sigma, cache, "travel 1")
        slow = self._smoothed(slow, decoding.path_sigma, cache, "travel 2")
        return path + travel - slow

    def _smoothed(
        self, values: Float[Tensor, "B T C"], sigma: float, cache: StreamCache | None, key: str
    ) -> Float[Tensor, "B T C"]:
        return smoothed(values, sigma, self.config.frame.causal, cache, ("decoded", key))
