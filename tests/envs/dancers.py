"""A small world for tests: couples that walk, and a codec whose tokens a reader can follow."""

import torch
from torch import Tensor

from duet_rl.audio.features import BEAT, MUSIC_DIMS
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.rotations import yaw_matrix
from duet_rl.body.skeleton import NUM_JOINTS, UP, default_skeleton
from duet_rl.datasets.clip import FPS, DuetClip
from duet_rl.tokenizers.duet import DecodedFollower, DuetCodec, MotionBatch
from duet_rl.tokenizers.leader import tokens_by_frame
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN, Stream, TokenSpec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

STEP = 0.15  # m between two classes of the placement stream
SPEED = 0.5  # m/s of the leader
FRAMES_A_BEAT = 15
HIP_HEIGHT = 0.93  # m


def walking_couple(name: str, frames: int, seed: int) -> DuetClip:
    """Return a leader who walks and turns, and a follower who walks 2 classes to the side."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames) / FPS
    turn = 0.5 * torch.sin(time + 6.0 * torch.rand((), generator=generator))
    root = torch.stack([SPEED * torch.sin(time), torch.full_like(time, HIP_HEIGHT), time * 0], -1)
    rotations = torch.eye(3).expand(frames, NUM_JOINTS, 3, 3).clone()
    rotations[:, 0] = yaw_matrix(turn)
    leader = Motion.from_rotations(root, rotations, default_skeleton(), FPS)
    music = torch.randn(frames, MUSIC_DIMS, generator=generator)
    music[:, BEAT] = (torch.arange(frames) % FRAMES_A_BEAT == 0).float()
    hold = torch.zeros(frames, 2, 4, dtype=torch.bool)
    hold[:, 0, 0] = True
    return DuetClip(
        name=name,
        choreography=name,
        duet=Duet(leader, leader.moved((2 * STEP, 0.0, 0.0))),
        music=music,
        hold=hold,
        audio=None,
        music_source="rendered",
        style="walk",
        tempo=120.0,
        source="tests",
    )


class SidestepCodec:
    """Decode `placement` as steps to the leader's side and `lower` as a lift; looks backwards only.

    Class 2 of `placement` and class 0 of `lower` are the true follower of `walking_couple`.
    """

    spec = TokenSpec((Stream("placement", 5, "placement"), Stream("lower", 3, "lower")))
    channels = 4

    def decode(self, tokens: Tensor, leader: MotionBatch) -> DecodedFollower:
        frames = tokens.repeat_interleave(FRAMES_PER_TOKEN, dim=1).to(leader.joints)
        shift = torch.zeros(*frames.shape[:2], 3)
        shift[..., 0], shift[..., UP] = frames[..., 0] * STEP, frames[..., 1] * STEP
        joints = leader.joints + shift[:, :, None]
        return DecodedFollower(joints, leader.rotations, torch.zeros_like(shift))

    def leader_features(self, leader: MotionBatch) -> Tensor:
        root = leader.joints[:, :, 0]
        return torch.cat([root, leader.rotations[:, :, 0, 0, :1]], dim=-1)


class FiveStreamCodec(SidestepCodec):
    """A `SidestepCodec` with the streams of Duolando, that also tells tokens of the leader."""

    spec = TokenSpec(
        (
            Stream("upper", 2, "upper"),
            Stream("lower", 3, "lower"),
            Stream("left_hand", 2, "left_hand"),
            Stream("right_hand", 2, "right_hand"),
            Stream("placement", 5, "placement"),
        )
    )

    def decode(self, tokens: Tensor, leader: MotionBatch) -> DecodedFollower:
        return super().decode(tokens[..., [4, 1]], leader)

    def leader_tokens(self, leader: MotionBatch) -> Tensor:
        sides = (leader.joints[:, ::FRAMES_PER_TOKEN, 0, 0] > 0).long()
        return sides[..., None].expand(-1, -1, 4)

    def leader_token_rows(self, leader: MotionBatch) -> Tensor:
        return tokens_by_frame(self.leader_tokens, leader)

    def first_tokens(self, leader: MotionBatch, follower: MotionBatch) -> Tensor:
        return torch.tensor([0, 0, 0, 0, 2]).expand(len(leader.joints), 1, -1)


def small_codec(causal: bool) -> DuetCodec:
    """Return an untrained codec whose codes are far enough apart to move the follower."""
    size = {"width": 8, "depth": 1, "codes": 8, "code_width": 8}
    sections = {
        "frame": {"causal": causal},
        "pose": {"upper": size, "lower": size, "hand": size},
        "placement": {"vqvae": {**size, "levels": 2}},
    }
    torch.manual_seed(0)
    codec = DuetCodec(DuetCodecConfig.model_validate(sections)).eval()
    for name, buffer in codec.named_buffers():
        if name.endswith("codebook"):
            buffer.normal_()
    return codec
