"""The solo codec: a dancer as rows of tokens, alone on a stage, and back into the world."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.body.kinematics import forward_kinematics
from duet_rl.body.rotations import project_to_rotation
from duet_rl.body.skeleton import NUM_JOINTS, UP
from duet_rl.errors import InputError
from duet_rl.files import require_folder
from duet_rl.mocap.smpl_fit import fill_joints, fit_rotations, standing_height
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.duet import DecodedFollower
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.smpl_body import BODY
from duet_rl.tokenizers.solo_pose import SoloPoseTokenizer
from duet_rl.tokenizers.solo_settings import FPS, SoloCodecConfig
from duet_rl.tokenizers.solo_translation import SoloTranslation
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, TokenSpec


class SoloCodec(nn.Module):
    """A soloist's motion to tokens and back; the public face is that of `DuetCodec`.

    The tokens are poses alone. How the root moves follows from them, so a decoded dancer begins
    over the leader's first place (the middle of the stage) wherever the true one was, and what is
    decoded from the middle of a dance begins there too. Nothing is told of the leader.
    """

    leader_channels = 0  # of `leader_features`
    leader_classes: tuple[int, ...] = ()  # of the streams of `leader_tokens`

    def __init__(self, config: SoloCodecConfig) -> None:
        super().__init__()
        self.pose = SoloPoseTokenizer(config)
        self.translation = SoloTranslation(config)
        self.config = config
        self.spec = TokenSpec(self.pose.streams)

    @property
    def offsets(self) -> Float[Tensor, "55 3"]:
        """Bones of the dancers that the codec was trained on, metres."""
        return self.translation.offsets

    @torch.no_grad()
    def encode(
        self, leader: MotionBatch, follower: MotionBatch, cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        """Return the dancer's tokens, one row for every four frames.

        Args:
            leader: the stage; not looked at.
            follower: the dancer.
            cache: must be None: tokens depend on what comes later.

        Raises:
            InputError: frames that make no whole token, or a cache.
        """
        _require_whole(cache)
        return self.pose.encode(follower)

    @torch.no_grad()
    def decode(
        self,
        tokens: Int[Tensor, "B N S"],
        leader: MotionBatch,
        offsets: Float[Tensor, "*skeletons 55 3"] | None = None,
        cache: StreamCache | None = None,
    ) -> DecodedFollower:
        """Return the dancer who dances `tokens`, beginning where the leader begins.

        Args:
            tokens: one row for every four frames.
            leader: the stage, for the frames of the tokens.
            offsets: the dancer's bones, `(55, 3)` or one set a clip, metres; by default those of
                the dancers that the codec was trained on.
            cache: must be None: frames depend on later tokens.

        Raises:
            InputError: the leader's frames are not those of the tokens, or a cache.
        """
        _require_whole(cache)
        frames = tokens.shape[1] * FRAMES_PER_TOKEN
        if leader.joints.shape[1] != frames:
            raise InputError(
                f"{tokens.shape[1]} token steps stand for {frames} frames, the leader has "
                f"{leader.joints.shape[1]}; cut the leader to the tokens"
            )
        offsets = self.offsets if offsets is None else offsets
        if offsets.ndim > 2:
            offsets = offsets[:, None]  # one skeleton for all frames of a clip
        codes = self.pose.codes(tokens)
        body = self._kept(self.pose.decode(tokens))
        learned = self.translation.rotations(codes)
        if learned is None:
            rotations = fit_rotations(body, offsets)
        else:
            rotations = _local(self._kept(learned))
        if self.config.decoding.joints == "positions":
            joints = fill_joints(body, rotations, offsets)
        else:
            joints = forward_kinematics(rotations, body[:, :, 0], offsets).joints
        velocity = self.translation.velocity(codes)
        root = self._kept(self.path(velocity)) + _level(leader.joints[:, :1, 0])
        if self.config.decoding.height == "feet":
            root[..., UP] = standing_height(joints, offsets)
        mean = velocity.unflatten(1, (-1, self.config.fps // FPS)).mean(2)
        return DecodedFollower(joints + root[:, :, None], rotations, mean)

    def path(self, velocity: Float[Tensor, "B M 3"]) -> Float[Tensor, "B M 3"]:
        """Return where a root that moves so is, metres, from over the origin on.

        Args:
            velocity: that leaves each frame, m/s, at `config.fps`.
        """
        steps = velocity / self.config.fps
        path = steps.cumsum(1) - steps
        path[..., UP] += self.translation.start_height
        return path

    def leader_features(
        self, leader: MotionBatch, cache: StreamCache | None = None
    ) -> Float[Tensor, "B T C"]:
        """Return no channel for each frame: a soloist follows nobody."""
        return leader.joints.new_zeros(*leader.joints.shape[:2], self.leader_channels)

    def leader_tokens(self, leader: MotionBatch) -> Int[Tensor, "B N S"]:
        """Refuse: a soloist follows nobody.

        Raises:
            InputError: always.
        """
        raise InputError(
            "a solo codec has no tokens of a leader; use a follower that is told of music alone, "
            "or a codec of duets (codec.architecture=duet)"
        )

    def leader_token_rows(self, leader: MotionBatch) -> Int[Tensor, "B T S"]:
        """Refuse as `leader_tokens` does."""
        return self.leader_tokens(leader)

    def describe_leader(self, leader: MotionBatch, names: Collection[str]) -> dict[str, Tensor]:
        """Return nothing: no condition is known of the stage."""
        return {}

    def first_tokens(self, leader: MotionBatch, follower: MotionBatch) -> Int[Tensor, "B 1 S"]:
        """Return the tokens that a dance of this dancer begins with: of the whole dance the first.

        Its first frames alone would give others (Bailando 5: the convolutions see the end).
        """
        return self.encode(leader, follower)[:, :1]

    def save(self, folder: Path | str, meta: Mapping[str, Any]) -> Path:
        """Write both parts as sub-folders `pose` and `translation`; return the folder."""
        folder = Path(folder)
        for part in (self.pose, self.translation):
            part.save(folder / part.kind, meta)
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> "SoloCodec":
        """Return the codec saved in `folder`, in evaluation mode.

        Raises:
            InputError: a part is missing, is one of a duet codec, does not fit its config, or the
                two were not trained with one set of sizes.
        """
        folder = require_folder(folder, "a codec")
        pose = SoloPoseTokenizer.load(folder / SoloPoseTokenizer.kind)
        translation = SoloTranslation.load(folder / SoloTranslation.kind)
        require_same_sizes(pose.config, translation.config, str(folder))
        codec = cls(translation.config)
        codec.pose, codec.translation = pose, translation
        return codec.eval()

    def _kept(self, values: Float[Tensor, "B M *channels"]) -> Float[Tensor, "B T *channels"]:
        """Return of frames at `config.fps` those of 30 frames per second."""
        return values[:, :: self.config.fps // FPS]


def require_same_sizes(pose: SoloCodecConfig, translation: SoloCodecConfig, where: str) -> None:
    """Make sure that decoders fit the pose tokens that they hang on.

    Args:
        pose: settings that the poses were trained with.
        translation: settings of the decoders.
        where: their place, for the message.

    Raises:
        InputError: lists what differs.
    """
    shared = {"fps", "scale", "upper", "lower"}
    own, others = (config.model_dump(mode="json", include=shared) for config in (pose, translation))
    apart = sorted(key for key in shared if own[key] != others[key])
    if apart:
        found = "; ".join(f"codec.{key}: {own[key]} and {others[key]}" for key in apart)
        raise InputError(
            f"{where}: the poses and the translation of a soloist differ in {found}; train both "
            "with one config"
        )


def _require_whole(cache: StreamCache | None) -> None:
    if cache is not None:
        raise InputError(
            "a solo codec looks at what comes later, so it takes whole clips; leave the cache out, "
            "or use a codec of duets with codec.frame.causal=true"
        )


def _local(decoded: Float[Tensor, "B T 24 3 3"]) -> Float[Tensor, "B T 55 3 3"]:
    """Return decoded rotations as rotations of all joints; the hands and the face are at rest."""
    body = project_to_rotation(decoded[:, :, :BODY])
    rest = torch.eye(3).to(body).expand(*body.shape[:2], NUM_JOINTS - BODY, 3, 3)
    return torch.cat([body, rest], dim=2)


def _level(places: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Return places on the floor."""
    return places * places.new_tensor([1.0, 0.0, 1.0])
