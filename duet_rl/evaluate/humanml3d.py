"""The published protocol of text to motion on HumanML3D and KIT-ML, for any maker of motions.

Guo et al. (CVPR 2022), section 6: batches of 32 texts in a new order each time, 20 repeats, means
with 95 % intervals. Only numbers of the published evaluator can stand beside published ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from duet_rl.config import Config
from duet_rl.datasets.humanml3d import LONGEST, UNIT, TextLine, TextMotion, TextMotions
from duet_rl.datasets.humanml3d_words import ReadText, WordVectors
from duet_rl.errors import InputError
from duet_rl.metrics.frechet import published_fid
from duet_rl.metrics.text import (
    DIVERSITY_PAIRS,
    MULTIMODAL_PAIRS,
    POOL,
    TOP,
    Repeated,
    diversity,
    draw_pairs,
    matching_distance,
    multimodality,
    over_repeats,
    published_r_precision,
)
from duet_rl.models.text_motion import TextMotionEvaluator

TRUTH, GENERATED = "truth", "generated"
NAMES = (*(f"r_precision_{top}" for top in range(1, TOP + 1)), "matching_distance", "fid")
NAMES += ("diversity", "multimodality")
_ONE_LESS = 1 / 3  # how often a motion is cut a unit shorter than it could be

MotionMaker = Callable[[Sequence[str], torch.Generator], Sequence[Float[Tensor, "_ C"]]]
"""Texts and a source of chance in; features out, as the data set's files have them, of any length.

How long a motion lasts is the maker's to say: the true length is not told, as published."""


class PublishedTextConfig(Config):
    """How the published protocol is run; the defaults are the published ones."""

    batch: int = Field(POOL, ge=2)
    repeats: int = Field(20, ge=1)
    diversity_pairs: int = Field(DIVERSITY_PAIRS, ge=1)
    # Of so many texts several motions are made, once a repeat; 0: no multimodality.
    multimodal_texts: int = Field(100, ge=0)
    multimodal_samples: int = Field(30, ge=2)
    multimodal_pairs: int = Field(MULTIMODAL_PAIRS, ge=1)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class PublishedTextScores:
    """What the protocol found.

    Args:
        rows: `truth` and `generated` -> name of the score -> mean and interval over repeats; NaN
            where there is none.
        texts: scored in each repeat.
        tail: texts left out of each repeat, which fill no batch.
        reasons: name of a score that is NaN -> why.
    """

    rows: dict[str, dict[str, Repeated]]
    texts: int
    tail: int
    reasons: dict[str, str] = field(default_factory=dict)


def published_text_protocol(
    data: TextMotions,
    words: WordVectors,
    evaluator: TextMotionEvaluator,
    make: MotionMaker | None,
    config: PublishedTextConfig = PublishedTextConfig(),
    mean: Float[Tensor, "C"] | None = None,
    deviation: Float[Tensor, "C"] | None = None,
) -> PublishedTextScores:
    """Return the published scores of the true motions and of those that are made of their texts.

    Args:
        data: a split, usually the test split.
        words: of the evaluator.
        evaluator: of the data set.
        make: what makes motions of texts; None: the true motions alone are scored.
        config: batches, repeats.
        mean: of features as the evaluator was trained with them, from its own folder (`meta`);
            None: those of the data set.
        deviation: likewise.

    Raises:
        InputError: evaluator, words and data do not fit, the split fills no batch, or a motion
            that was made cannot be used.
    """
    _require_fit(data, words, evaluator)
    scorer = _Scorer(
        data,
        words,
        evaluator.eval(),
        make,
        config,
        data.mean if mean is None else mean,
        data.deviation if deviation is None else deviation,
    )
    batches = len(data) // config.batch
    if not batches:
        raise InputError(
            f"{len(data)} motions fill no batch of {config.batch}; give a larger split or set "
            "batch lower, and compare with nothing published"
        )
    found: dict[str, dict[str, list[float]]] = {
        row: {name: [] for name in NAMES} for row in scorer.rows
    }
    for repeat in range(config.repeats):
        generator = torch.Generator().manual_seed(config.seed + repeat)
        for row, scores in scorer.repeat(generator).items():
            for name, value in scores.items():
                found[row][name].append(value)
    rows = {
        row: {name: over_repeats(values) for name, values in scores.items() if values}
        for row, scores in found.items()
    }
    texts = batches * config.batch
    return PublishedTextScores(rows, texts, len(data) - texts, _reasons(config, texts, evaluator))


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Everything that repeats share."""

    data: TextMotions
    words: WordVectors
    evaluator: TextMotionEvaluator
    make: MotionMaker | None
    config: PublishedTextConfig
    mean: Tensor
    deviation: Tensor

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of what is scored."""
        return (TRUTH,) if self.make is None else (TRUTH, GENERATED)

    @torch.no_grad()
    def repeat(self, generator: torch.Generator) -> dict[str, dict[str, float]]:
        """Return the scores of one repeat, row by row."""
        order = torch.randperm(len(self.data), generator=generator)
        kept = order[: len(order) // self.config.batch * self.config.batch]
        texts: list[Tensor] = []
        motions: dict[str, list[Tensor]] = {row: [] for row in self.rows}
        for rows in kept.split(self.config.batch):
            chosen = [self.data.motions[row] for row in rows.tolist()]
            lines = [_drawn(motion.lines, generator) for motion in chosen]
            texts.append(self._embed_texts(lines))
            true = [self._cut(motion, generator) for motion in chosen]
            motions[TRUTH].append(self._embed_motions(true))
            if self.make is not None:
                made = self._made(self.make, [line.text for line in lines], generator)
                motions[GENERATED].append(self._embed_motions(made))
        told = torch.cat(texts)
        embedded = {row: torch.cat(batches) for row, batches in motions.items()}
        scores = {
            row: self._scores(told, ours, embedded[TRUTH], generator)
            for row, ours in embedded.items()
        }
        if self.config.multimodal_texts and self.make is not None:
            spread = self._multimodality(self.make, kept, generator)
            scores[GENERATED]["multimodality"] = spread
        return scores

    def _scores(
        self, told: Tensor, ours: Tensor, true: Tensor, generator: torch.Generator
    ) -> dict[str, float]:
        precision = published_r_precision(told, ours, self.config.batch)
        pairs, nan = self.config.diversity_pairs, float("nan")
        full_rank = len(ours) > ours.shape[1]
        return {
            **{f"r_precision_{top}": float(value) for top, value in enumerate(precision, 1)},
            "matching_distance": float(matching_distance(told, ours).mean()),
            "fid": published_fid(ours.double(), true.double()) if full_rank else nan,
            "diversity": diversity(ours, draw_pairs(len(ours), pairs, generator))
            if pairs <= len(ours)
            else nan,
        }

    def _multimodality(self, make: MotionMaker, rows: Tensor, generator: torch.Generator) -> float:
        samples, pairs = self.config.multimodal_samples, self.config.multimodal_pairs
        if pairs > samples:
            return float("nan")
        made = []
        for row in rows[: self.config.multimodal_texts].tolist():
            line = _drawn(self.data.motions[row].lines, generator)
            motions = self._made(make, [line.text] * samples, generator)
            made.append(self._embed_motions(motions))
        return multimodality(torch.stack(made), draw_pairs(samples, pairs, generator))

    def _cut(self, motion: TextMotion, generator: torch.Generator) -> Tensor:
        """Return a true motion in whole units, every third time a unit shorter, as published."""
        features = self.data.features(motion)
        units = len(features) // UNIT
        if torch.rand((), generator=generator) < _ONE_LESS:
            units -= 1
        frames = min(units * UNIT, LONGEST)
        start = int(torch.randint(len(features) - frames + 1, (), generator=generator))
        return features[start : start + frames]

    def _made(
        self, make: MotionMaker, texts: list[str], generator: torch.Generator
    ) -> list[Tensor]:
        """Return what is made of texts, in whole units and no longer than the longest."""
        made = list(make(texts, generator))
        shapes = [tuple(x.shape) for x in made]
        wanted = self.data.format.channels
        wrong = [s for s in shapes if len(s) != 2 or s[0] < UNIT or s[1] != wanted]
        if len(made) != len(texts) or wrong:
            raise InputError(
                f"{len(made)} motions, of the shapes {wrong[:3] or shapes[:3]}, were made of "
                f"{len(texts)} texts; wanted one each, ({UNIT} frames or more, {wanted})"
            )
        if not all(bool(torch.isfinite(x).all()) for x in made):
            raise InputError("a motion that was made holds NaN; look at what makes it")
        return [x[: min(len(x) // UNIT * UNIT, LONGEST)].float().cpu() for x in made]

    def _embed_motions(self, motions: Sequence[Tensor]) -> Tensor:
        """Return motions in the evaluator's space, padded with zeros to the longest."""
        padded = torch.zeros(len(motions), LONGEST, self.data.format.channels)
        for row, motion in zip(padded, motions, strict=True):
            row[: len(motion)] = (motion - self.mean) / self.deviation
        frames = torch.tensor([len(motion) for motion in motions])
        return self.evaluator.embed_motion(padded, frames)

    def _embed_texts(self, lines: Sequence[TextLine]) -> Tensor:
        read: list[ReadText] = [self.words.read(line.tokens) for line in lines]
        return self.evaluator.embed_text(
            torch.stack([text.words for text in read]),
            torch.stack([text.kinds for text in read]),
            torch.tensor([text.length for text in read]),
        )


def _drawn(lines: Sequence[TextLine], generator: torch.Generator) -> TextLine:
    return lines[int(torch.randint(len(lines), (), generator=generator))]


def _require_fit(data: TextMotions, words: WordVectors, evaluator: TextMotionEvaluator) -> None:
    """Raise `InputError` if the evaluator is another's."""
    told = evaluator.motion.movement.down.in_channels
    if not told <= data.format.channels <= told + UNIT:
        raise InputError(
            f"the evaluator reads {told} features of a motion and {data.format.name} has "
            f"{data.format.channels}; give the evaluator of this data set"
        )
    width = evaluator.embed_tag.out_features
    if words.vectors.shape[1] != width:
        raise InputError(
            f"the words have vectors of {words.vectors.shape[1]} numbers and the evaluator reads "
            f"{width}; give the words that the evaluator was trained with"
        )


def _reasons(
    config: PublishedTextConfig, texts: int, evaluator: TextMotionEvaluator
) -> dict[str, str]:
    """Return why scores are NaN."""
    width, found = evaluator.config.width, {}
    if texts <= width:
        found["fid"] = f"{texts} motions in {width} dimensions: their covariance is singular"
    if config.diversity_pairs > texts:
        found["diversity"] = f"{texts} motions for {config.diversity_pairs} pairs"
    if config.multimodal_pairs > config.multimodal_samples:
        found["multimodality"] = (
            f"{config.multimodal_samples} motions of a text for {config.multimodal_pairs} pairs"
        )
    return found
