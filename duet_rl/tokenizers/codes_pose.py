"""The readable pose tokenizer: a body as pose codes and what they leave over, and fingers."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from duet_rl.body.skeleton import PARTS
from duet_rl.config import Config
from duet_rl.posecodes.catalogue import BODY_CODES
from duet_rl.tokenizers.body_tokenizer import BodyTokenizer
from duet_rl.tokenizers.codes_vq import CodesVQVAE
from duet_rl.tokenizers.conv import StreamCache
from duet_rl.tokenizers.frames import BODY_JOINTS, HeadingFrame, MotionBatch, PoseFeatures
from duet_rl.tokenizers.part import READABLE
from duet_rl.tokenizers.pose_heads import (
    DecodedPose,
    PoseLosses,
    decoded_pose,
    head_sizes,
    targets_of,
)
from duet_rl.tokenizers.readable_settings import ReadableCodecConfig
from duet_rl.tokenizers.spec import (
    DROPPED,
    FRAMES_PER_TOKEN,
    POSE_CODE,
    RESIDUAL,
    Stream,
    check_frames,
)
from duet_rl.tokenizers.tokenizer import codebook_metrics, streams_of
from duet_rl.tokenizers.vqvae import PartVQVAE
from duet_rl.tokenizers.workers import all_mean, joined_rows, own_rows

CENTRE = FRAMES_PER_TOKEN // 2  # the frame of a token whose pose codes it has
BANK_ROWS = 20_000  # most rows of a bank, some 45 minutes of dancing
_HANDS = ("left_hand", "right_hand")
_BODY_HEADS = {  # channels of the body's motion, in their order
    "positions": 3 * BODY_JOINTS,
    "rotations": HeadingFrame.rotation_channels * BODY_JOINTS,
    "velocity": 3,
}
_BANK = ("bank_codes", "bank_clips")
_BANK_SEED = 0  # of the dancers that a bank leaves out where there are too many


class CodeBank(NamedTuple):
    """Pose codes of real dancers, token by token, for edits to take poses from."""

    codes: Int[Tensor, "R 72"]  # int16, class of each group
    clips: Int[Tensor, "R"]  # number of the dance; rows of one dance follow each other in time


class CodesPoseTokenizer(BodyTokenizer):
    """Poses as classes of readable groups, codes of each hand, and residual levels of the body.

    What a token tells of the body is given by the catalogue `BODY_CODES`, at one frame in four.
    A `CodesVQVAE` learns to make a body of it, and, level by level, what it leaves over. The
    fingers, of which no pose code tells, have a VQ-VAE each, as in `PoseTokenizer`.
    """

    bank_codes: Tensor
    bank_clips: Tensor

    architecture: ClassVar[str] = READABLE
    config_class: ClassVar[type[Config]] = ReadableCodecConfig
    config: ReadableCodecConfig
    frame: HeadingFrame

    def __init__(self, config: ReadableCodecConfig) -> None:
        super().__init__(config)
        causal = config.frame.causal
        self.body = CodesVQVAE(
            config.pose.body, sum(_BODY_HEADS.values()), BODY_CODES.classes, causal=causal
        )
        self.hands = nn.ModuleDict(
            {
                hand: PartVQVAE(
                    config.pose.hand,
                    inputs=3 * len(PARTS[hand]),
                    heads=head_sizes(hand, self.frame.rotation_channels),
                    causal=causal,
                )
                for hand in _HANDS
            }
        )
        self.losses = PoseLosses(config.pose, config.frame)
        self.register_buffer("bank_codes", torch.zeros(0, len(BODY_CODES), dtype=torch.uint8))
        self.register_buffer("bank_clips", torch.zeros(0, dtype=torch.int64))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that a follower writes: the groups of pose codes, then the hands."""
        groups = tuple(
            Stream(row.name, row.scale.classes, row.part, POSE_CODE) for row in BODY_CODES.rows
        )
        return groups + streams_of(dict.fromkeys(_HANDS, self.config.pose.hand))

    @property
    def residual_streams(self) -> tuple[Stream, ...]:
        """The levels of what pose codes leave over of the body."""
        size = self.config.pose.body
        return tuple(
            Stream(f"residual{level}", size.codes, "body", RESIDUAL, level)
            for level in range(size.levels)
        )

    @property
    def bank(self) -> CodeBank:
        """The pose codes of the dancers that it was trained on; empty before it is saved."""
        return CodeBank(self.bank_codes.to(torch.int16), self.bank_clips)

    def read(self, joints: Float[Tensor, "B T 55 3"]) -> Int[Tensor, "B N 72"]:
        """Return the pose codes of each token's frames.

        Raises:
            InputError: frames that make no whole token, or joints that are not finite.
        """
        check_frames(joints.shape[1])
        return BODY_CODES.codes(joints[:, CENTRE::FRAMES_PER_TOKEN])

    def encode(
        self, motion: MotionBatch, dancer: str = "follower", cache: StreamCache | None = None
    ) -> Int[Tensor, "B N S"]:
        positions = self.frame.positions(motion, dancer, cache)
        hands = [
            self._hand(hand).encode(positions[:, list(PARTS[hand])].flatten(1, 2).mT, cache)
            for hand in _HANDS
        ]
        return torch.cat([self.read(motion.joints), *hands], dim=-1)

    def encode_residual(
        self, motion: MotionBatch, dancer: str = "follower", cache: StreamCache | None = None
    ) -> Int[Tensor, "B N L"]:
        """Return the residual levels of a dancer's poses; arguments as for `encode`."""
        features = self.frame.features(motion, f"{dancer} body", cache)
        return self.body.encode(_body_of(features), self.read(motion.joints), cache=cache)

    def decode(self, tokens: Int[Tensor, "B N S"], cache: StreamCache | None = None) -> DecodedPose:
        """Return the poses that tokens stand for, in their frame of reference.

        Args:
            tokens: of `streams`, and of `residual_streams` behind them or not.
            cache: continues the clip it was used for before (causal tokenizers only).
        """
        groups, told = len(BODY_CODES), len(self.streams)
        residual = tokens[..., told:] if tokens.shape[-1] > told else None
        body = self.body.decode(tokens[..., :groups], residual, cache)
        heads = {
            part: {name: head.mT for name, head in own.items()}
            for part, own in _heads_of(body.mT).items()
        }
        levels = self.config.pose.hand.levels
        hands = tokens[..., groups:told].split(levels, dim=-1)
        for hand, own in zip(_HANDS, hands, strict=True):
            heads[hand] = self._hand(hand).decode(own, cache)
        return decoded_pose(heads, self.frame)

    def loss(self, motion: MotionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            target, codes = self.frame.features(motion), self._blurred_codes(motion)
            body = _body_of(target)
            if self.training and not self.body.initialised:
                mean = all_mean(body.mean((0, 1)))
                self.body.set_normalisation(mean, torch.ones_like(mean))
        wanted = targets_of(target)
        of_body = self.body(body, codes)
        of_hands = {
            hand: self._hand(hand)(wanted[hand]["positions"], wanted[hand]) for hand in _HANDS
        }
        with torch.autocast(motion.joints.device.type, enabled=False):
            heads = _heads_of(of_body.motion.mT) | {h: out.heads for h, out in of_hands.items()}
            terms = self.losses(heads, wanted, motion, target)
            size = self.config.pose
            terms["body_commit"] = size.body.commit * of_body.commit_loss.float()
            terms["body_entropy"] = size.body.entropy * of_body.entropy_loss.float()
            for hand, out in of_hands.items():
                terms[f"{hand}_commit"] = size.hand.commit * out.commit_loss.float()
            total = torch.stack(list(terms.values())).sum()
        if self.training:
            hands = [(self._hand(hand).quantizer, out.statistics) for hand, out in of_hands.items()]
            self._learn_codebooks([(self.body.quantizer, of_body.statistics), *hands])
        metrics = {f"loss/{name}": term.detach() for name, term in terms.items()}
        metrics["loss/pose"] = total.detach()
        metrics |= self.body.use(of_body.tokens)
        return total, metrics | codebook_metrics(self._hands(), of_hands)

    @torch.no_grad()
    def remember(self, dances: Sequence[Float[Tensor, "_ 55 3"]]) -> None:
        """Fill the bank with the pose codes of `dances`, each of which lasts a token or more.

        Of more than `BANK_ROWS` rows whole dances are kept, drawn by chance, and a piece of one.
        """
        generator = torch.Generator().manual_seed(_BANK_SEED)
        kept, room = {}, BANK_ROWS
        for number in torch.randperm(len(dances), generator=generator).tolist():
            joints = dances[number]
            whole = len(joints) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
            kept[number] = self.read(joints[None, :whole])[0, :room]
            room -= len(kept[number])
            if not room:
                break
        rows = [kept[number] for number in sorted(kept)]
        clips = [torch.full((len(kept[number]),), number) for number in sorted(kept)]
        self.bank_codes = torch.cat(rows).to(self.bank_codes)
        self.bank_clips = torch.cat(clips).to(self.bank_clips)

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Give the bank the size that stored tensors have."""
        for name in _BANK:
            if name in tensors:
                own = getattr(self, name)
                setattr(self, name, own.new_zeros(len(tensors[name]), *own.shape[1:]))

    def _blurred_codes(self, motion: MotionBatch) -> Int[Tensor, "B N 72"]:
        """Return the pose codes, in training of values blurred as the config says."""
        blur = self.config.pose.jitter
        if not (self.training and blur):
            return self.read(motion.joints)
        clips = len(motion.joints)
        jitter = BODY_CODES.draw_jitter(joined_rows(clips), self.body.quantizer.generator())
        jitter = blur * jitter[own_rows(clips)].to(motion.joints)
        return BODY_CODES.codes(motion.joints[:, CENTRE::FRAMES_PER_TOKEN], jitter=jitter)

    def _hand(self, hand: str) -> PartVQVAE:
        vqvae = self.hands[hand]
        assert isinstance(vqvae, PartVQVAE)
        return vqvae

    def _hands(self) -> dict[str, PartVQVAE]:
        return {hand: self._hand(hand) for hand in _HANDS}


def dropped(tokens: Int[Tensor, "B N _"], levels: int) -> Int[Tensor, "B N L"]:
    """Return residual levels beside `tokens` that are all left out."""
    return tokens.new_full((*tokens.shape[:2], levels), DROPPED)


def _body_of(features: PoseFeatures) -> Float[Tensor, "B T C"]:
    """Return the body's motion as its tokenizer takes it."""
    joints = slice(0, BODY_JOINTS)
    return torch.cat(
        [
            features.positions[:, joints].flatten(1, 2),
            features.rotations[:, joints].flatten(1, 2),
            features.root_velocity,
        ],
        dim=1,
    ).mT


def _heads_of(body: Float[Tensor, "B C T"]) -> dict[str, dict[str, Tensor]]:
    """Return the heads of the upper and the lower body, channels first."""
    split = body.split(list(_BODY_HEADS.values()), dim=1)
    whole = dict(zip(_BODY_HEADS, split, strict=True))
    return {part: _part_of(whole, part) for part in PARTS if part not in _HANDS}


def _part_of(whole: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    joints = list(PARTS[part])
    heads = {
        name: whole[name].unflatten(1, (BODY_JOINTS, -1))[:, joints].flatten(1, 2)
        for name in ("positions", "rotations")
    }
    return heads | ({"velocity": whole["velocity"]} if part == "lower" else {})
