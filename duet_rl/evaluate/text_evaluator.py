"""A local evaluator of text and motion: trained here, on captions of our own motion.

Its numbers tell how well motion fits text among dances of one store. They say nothing beside
numbers of the published evaluator, nor beside those of an evaluator that was trained elsewhere.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from duet_rl import checkpoint
from duet_rl.body.heading import smooth_heading
from duet_rl.body.rotations import rotate_yaw
from duet_rl.config import Config, validate
from duet_rl.errors import InputError
from duet_rl.models.text import PromptEncoder, TextConfig, reader_of
from duet_rl.models.text_motion import (
    UNIT,
    Embedded,
    MotionReader,
    SequenceEncoder,
    TextMotionConfig,
)

KIND = "text-evaluator"
LABEL = "local"  # what every number of such an evaluator is called
FEWEST_FRAMES = 2 * UNIT  # of a motion
FEWEST_MOTIONS = 2

_FPS = 30.0
_JOINTS = 22  # pelvis to wrists
_CHANNELS = 3 * (_JOINTS - 1) + 1 + 3 * _JOINTS + 1
_LEAST_DEVIATION = 1e-3  # m, m/s or rad/s; what varies less is not blown up
_SHARPNESS = 1.0  # at the start; logarithm of what squared distances are multiplied with
_AT_ONCE = 64  # texts or motions embedded together


class EvaluatorConfig(Config):
    """Sizes of the local evaluator, and how it is trained."""

    network: TextMotionConfig = TextMotionConfig(
        movement_hidden=96, movement=96, motion_hidden=96, text_hidden=96, width=24, dropout=0.0
    )
    text: TextConfig = TextConfig(buckets=1024, width=64, layers=0)
    steps: int = Field(600, ge=0)
    batch: int = Field(64, ge=2)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    seed: int = 0


class LocalTextMotion(nn.Module):
    """Words and features of motion into one space.

    Args:
        config: sizes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        sizes = config.network
        self.motion = MotionReader(_CHANNELS, sizes)
        self.words = PromptEncoder(config.text, sizes.text_hidden)
        self.text = SequenceEncoder(sizes.text_hidden, sizes.text_hidden, sizes.width, sizes.width)
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))
        self.register_buffer("mean", torch.zeros(_CHANNELS))
        self.register_buffer("deviation", torch.ones(_CHANNELS))

    def embed_motions(
        self, features: Float[Tensor, "B T C"], frames: Int[Tensor, "B"]
    ) -> Float[Tensor, "B D"]:
        """Return motions, whose features after their last frame are not looked at."""
        seen = torch.arange(features.shape[1], device=features.device) < frames[:, None]
        normal = (features - self.mean) / self.deviation
        return self.motion(normal * seen[..., None], frames, apart=True)

    def embed_texts(self, read: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        """Return texts, as a reader of words has read them."""
        prompt = self.words(read)
        heard = prompt.vectors * prompt.known[..., None]
        # The first vector of every prompt is not a word, and a word that is not known is silent.
        lengths = 1 + (read > 0).sum(1).clamp_max(heard.shape[1] - 1)
        return self.text(heard, lengths)


class LocalEvaluator:
    """A trained local evaluator.

    Args:
        network: trained.
        config: what it was made and trained with.
    """

    label = LABEL

    def __init__(self, network: LocalTextMotion, config: EvaluatorConfig) -> None:
        self.network, self.config = network.eval(), config
        self._reader = reader_of(config.text)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Return a vector a text."""
        found = [
            self.network.embed_texts(self._reader.read(list(texts[i : i + _AT_ONCE])))
            for i in range(0, len(texts), _AT_ONCE)
        ]
        return torch.cat(found)

    @torch.no_grad()
    def embed_motions(self, motions: Sequence[Float[Tensor, "_ _ 3"]]) -> Float[Tensor, "N D"]:
        """Return a vector a motion of 30 fps, of 22 joints or more.

        Raises:
            InputError: one of them is too short.
        """
        found = []
        for start in range(0, len(motions), _AT_ONCE):
            batch = _batch([motion_features(x) for x in motions[start : start + _AT_ONCE]])
            found.append(self.network.embed_motions(*batch))
        return torch.cat(found)

    def save(self, folder: Path | str) -> Path:
        """Write the evaluator as a checkpoint folder."""
        tensors = self.network.state_dict()
        meta = {"label": LABEL, "steps": self.config.steps}
        return checkpoint.save(folder, kind=KIND, tensors=tensors, config=self.config, meta=meta)

    @classmethod
    def load(cls, folder: Path | str) -> "LocalEvaluator":
        """Return the evaluator in a checkpoint folder.

        Raises:
            InputError: there is none, or it is damaged.
        """
        found = checkpoint.load(folder, KIND)
        config = validate(EvaluatorConfig, found.config, str(folder))
        network = LocalTextMotion(config)
        checkpoint.load_module(network, found.tensors, folder)
        return cls(network, config)


def motion_features(joints: Float[Tensor, "T J 3"]) -> Float[Tensor, "T C"]:
    """Return what the evaluator sees of a motion of 30 fps: 131 channels, in metres and seconds.

    Places around the root, its height, velocities and the turn, all seen from the smoothed
    heading, so that it matters neither where in the room a dance is nor where it faces.

    Raises:
        InputError: fewer than 22 joints, too few frames, or NaN.
    """
    if joints.shape[0] < FEWEST_FRAMES or joints.shape[1] < _JOINTS:
        raise InputError(
            f"a motion of {joints.shape[0]} frames and {joints.shape[1]} joints; at least "
            f"{FEWEST_FRAMES} frames and {_JOINTS} joints are wanted: give longer dances"
        )
    if not torch.isfinite(joints).all():
        raise InputError("a motion holds NaN; leave it out")
    body = joints[:, :_JOINTS].float()
    heading = smooth_heading(_as_body(body))
    root = body[:, :1]
    level = root * root.new_tensor([1.0, 0.0, 1.0])
    around = rotate_yaw(body[:, 1:] - level, -heading[:, None])
    velocity = rotate_yaw(_rate(body), -heading[:, None])
    turn = _rate(heading)
    return torch.cat(
        [around.flatten(1), root[:, 0, 1:2], velocity.flatten(1), turn[:, None]], dim=1
    )


def train_evaluator(
    motions: Sequence[Float[Tensor, "_ _ 3"]],
    draw: Callable[[int, torch.Generator], str],
    config: EvaluatorConfig = EvaluatorConfig(),
) -> LocalEvaluator:
    """Return an evaluator that was trained to bring texts near to the motions that they tell of.

    Contrastive (van den Oord et al., Representation Learning with Contrastive Predictive Coding,
    2018), over distances, both ways; equal texts of a batch are right answers of each other.

    Args:
        motions: joints at 30 fps, metres.
        draw: returns a text of the motion of that number; drawn anew at every step.
        config: sizes and length of the training.

    Raises:
        InputError: fewer than two motions, or one that cannot be used.
    """
    if len(motions) < FEWEST_MOTIONS:
        raise InputError(
            f"{len(motions)} motions to train an evaluator on; at least {FEWEST_MOTIONS} are "
            "wanted, and some hundreds if its numbers shall mean something"
        )
    features = [motion_features(joints) for joints in motions]
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = LocalTextMotion(config).train()
        frames = torch.cat(features)
        network.mean.copy_(frames.mean(0))
        network.deviation.copy_(frames.std(0, correction=0).clamp_min(_LEAST_DEVIATION))
        reader = reader_of(config.text)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.steps))
        for _ in range(config.steps):
            rows = torch.randperm(len(motions), generator=generator)[: config.batch].tolist()
            texts = [draw(row, generator) for row in rows]
            embedded = Embedded(
                network.embed_texts(reader.read(texts)),
                network.embed_motions(*_batch([features[row] for row in rows])),
            )
            optimiser.zero_grad(set_to_none=True)
            contrastive_loss(embedded, texts, network.sharpness).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return LocalEvaluator(network, config)


def contrastive_loss(embedded: Embedded, texts: Sequence[str], sharpness: Tensor) -> Tensor:
    """Return the mean of how surprising the right motions are to texts, and texts to motions.

    Args:
        embedded: texts and motions, row by row of one pair.
        texts: themselves; equal ones share their motions.
        sharpness: logarithm of what the squared distances are multiplied with.
    """
    apart = torch.cdist(embedded.texts, embedded.motions).square()
    logits = -sharpness.exp() * apart / embedded.texts.shape[1]
    numbers = {text: index for index, text in enumerate(texts)}
    rows = torch.tensor([numbers[text] for text in texts], device=logits.device)
    right = (rows[:, None] == rows).to(logits)
    right = right / right.sum(1, keepdim=True)
    both = [-(right * x.log_softmax(1)).sum(1).mean() for x in (logits, logits.mT)]
    return (both[0] + both[1]) / 2


def _batch(features: Sequence[Float[Tensor, "_ C"]]) -> tuple[Tensor, Tensor]:
    """Return features as one batch, and the frames of each."""
    frames = torch.tensor([len(x) for x in features])
    return nn.utils.rnn.pad_sequence(list(features), batch_first=True), frames


def _as_body(joints: Float[Tensor, "T 22 3"]) -> Float[Tensor, "T 55 3"]:
    """Return joints with fingers that nothing is read of."""
    return torch.cat([joints, joints[:, -1:].expand(-1, 55 - _JOINTS, -1)], dim=1)


def _rate(values: Float[Tensor, "T *rest"]) -> Float[Tensor, "T *rest"]:
    """Return the change a second that leads to each frame; the first has that of the second."""
    steps = values.diff(dim=0) * _FPS
    return torch.cat([steps[:1], steps])
