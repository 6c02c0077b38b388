"""How well motions fit the texts that they were made of, by an evaluator, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duet_rl.errors import InputError
from duet_rl.metrics.bootstrap import bootstrap_mean
from duet_rl.metrics.cell import Cell
from duet_rl.metrics.duet import Measure
from duet_rl.metrics.set_scores import FeatureSet, SetScore, div, fid
from duet_rl.metrics.text import POOL, TOP, matching_distance, r_precision, spread

GROUP = "Texts and motions, by the local evaluator"
R_PRECISION = tuple(f"r_precision_{top}" for top in range(1, TOP + 1))
TEXT_MEASURES: dict[str, Measure] = {
    **{
        name: Measure(
            "share", "higher", f"the text's motion is among the {top} nearest of the pool", GROUP
        )
        for top, name in enumerate(R_PRECISION, 1)
    },
    "matching_distance": Measure("", "lower", "from a text to its motion", GROUP),
    "fid": Measure("", "lower", "distance of all motions from true ones", GROUP),
    "diversity": Measure("", "true", "distance between motions of different takes", GROUP),
    "multimodality": Measure("", "", "distance between motions of one text", GROUP),
}


@runtime_checkable
class TextEvaluator(Protocol):
    """Puts texts and motions into one space."""

    label: str  # whose numbers these are, e.g. `local`

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Return a vector a text."""

    def embed_motions(self, motions: Sequence[Float[Tensor, "_ _ 3"]]) -> Float[Tensor, "N D"]:
        """Return a vector a motion."""


def text_scores(
    texts: Sequence[str],
    motions: Sequence[Sequence[Float[Tensor, "_ _ 3"]]],
    references: Sequence[Float[Tensor, "_ _ 3"]],
    evaluator: TextEvaluator,
    takes: Sequence[str] | None = None,
    reference_takes: Sequence[str] | None = None,
    pool: int = POOL,
) -> dict[str, Cell]:
    """Return every measure of `TEXT_MEASURES`; what means nothing has a reason and no number.

    R-precision is the expectation over all pools of `pool` motions (`metrics.text.r_precision`);
    motions of equal texts are not held against each other. FID and diversity standardise the
    vectors by the references.

    Args:
        texts: what motions were made of.
        motions: of each text one or more, the same number for all; joints, 30 fps, metres.
        references: true motions, and others than were made of these texts.
        evaluator: whose space it is.
        takes: of which dance each text tells; intervals resample them. None: each of its own.
        reference_takes: the same of the references.
        pool: motions to choose from.

    Raises:
        InputError: there are no texts, not as many motions, or some with more samples than others.
    """
    samples = {len(made) for made in motions}
    if not texts or len(motions) != len(texts) or len(samples) != 1 or 0 in samples:
        raise InputError(
            f"{len(texts)} texts and {len(motions)} sets of {sorted(samples)} motions; wanted one "
            "or more texts, and as many motions for each"
        )
    count = samples.pop()
    takes = [f"text {row}" for row in range(len(texts))] if takes is None else takes
    told = evaluator.embed_texts(texts)
    made = evaluator.embed_motions([motion for of_text in motions for motion in of_text])
    made = made.unflatten(0, (len(texts), count))
    found = _precision_cells(texts, told, made, takes, pool)
    apart = torch.stack([matching_distance(told, x) for x in made.unbind(1)], dim=1)
    found["matching_distance"] = mean_over_takes(apart, takes, f"{len(texts)} texts")
    found |= _set_cells(made, takes, evaluator, references, reference_takes)
    if count > 1:
        found["multimodality"] = mean_over_takes(
            spread(made)[:, None], takes, f"{count} motions a text"
        )
    else:
        found["multimodality"] = Cell(None, "1 motion a text", "one motion of a text has no spread")
    return {name: found[name] for name in TEXT_MEASURES}


def mean_over_takes(values: Float[Tensor, "N S"], takes: Sequence[str], about: str) -> Cell:
    """Return the mean over takes, whose texts are resampled within them.

    Args:
        values: one a text and sample, NaN where a measure does not apply.
        takes: of which dance each text tells.
        about: what was counted.
    """
    by_take: dict[str, list[Tensor]] = {}
    for take, row in zip(takes, values, strict=True):
        by_take.setdefault(take, []).append(row)
    rows = [torch.cat(found) for found in by_take.values()]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=torch.nan)
    samples = f"{about}, {len(rows)} takes"
    if torch.isnan(padded).all():
        return Cell(None, samples, "applies to none of the texts")
    return Cell(bootstrap_mean(padded), samples)


def _precision_cells(
    texts: Sequence[str], told: Tensor, made: Tensor, takes: Sequence[str], pool: int
) -> dict[str, Cell]:
    ranked = torch.stack([r_precision(told, x, pool, TOP, texts) for x in made.unbind(1)], dim=1)
    cells = {}
    for top, name in enumerate(R_PRECISION):
        values = ranked[..., top]
        about = f"{int(torch.isfinite(values[:, 0]).sum())} texts in pools of {pool}"
        if torch.isnan(values).all():
            different = len(set(texts))
            why = f"{different} different texts do not fill a pool of {pool}"
            cells[name] = Cell(None, about, why)
        else:
            cells[name] = mean_over_takes(values, takes, about)
    return cells


def _set_cells(
    made: Float[Tensor, "N S D"],
    takes: Sequence[str],
    evaluator: TextEvaluator,
    references: Sequence[Tensor],
    reference_takes: Sequence[str] | None,
) -> dict[str, Cell]:
    """Return FID and diversity of the first motion of each text."""
    if not references:
        cell = Cell(None, reason="there are no true motions beside them")
        return {"fid": cell, "diversity": cell}
    names = [f"reference {row}" for row in range(len(references))]
    names = names if reference_takes is None else list(reference_takes)
    numbers = {name: row for row, name in enumerate(dict.fromkeys([*takes, *names]))}
    ours = FeatureSet(made[:, 0], torch.tensor([numbers[name] for name in takes]))
    true = evaluator.embed_motions(references)
    theirs = FeatureSet(true, torch.tensor([numbers[name] for name in names]))
    scores: Mapping[str, SetScore] = {"fid": fid(ours, theirs), "diversity": div(ours, theirs)}
    return {
        name: Cell(score.interval, f"{score.samples} and {score.reference} motions", score.reason)
        for name, score in scores.items()
    }
