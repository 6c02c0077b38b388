"""What the golden tests of both of Duolando's VQ-VAEs share."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.tokenizers.quantizers import VectorQuantizer, perplexity, usage
from duet_rl.tokenizers.tokenizer import Tokenizer

RELATIVE = 1e-4  # of max |a - b| / max |b|, the tolerance that the golden set suggests
GRADIENT = 1e-3  # relative, of the norm of each parameter's gradient
CLEAR = 1e-4  # a token whose two nearest codes differ by less (squared distance) may be either

Golden = Mapping[str, np.ndarray]


def read(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as golden:
        return dict(golden)


def original_state(golden: Golden) -> dict[str, Tensor]:
    return {
        name.removeprefix("sd/"): torch.from_numpy(golden[name].copy())
        for name in golden
        if name.startswith("sd/")
    }


def stored_config(golden: Golden) -> dict[str, float]:
    """What the original's config says besides what the tensors tell."""
    return {
        "l_mu": float(golden["cfg_mu"]),
        "commit": float(golden["cfg_commit"]),
        "dilation_growth_rate": int(golden["cfg_dilation_growth"]),
    }


def assert_near(ours: Tensor | np.ndarray | float, wanted: np.ndarray, what: str) -> None:
    ours = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours)
    assert ours.shape == wanted.shape, what
    error, largest = np.abs(ours - wanted).max(), np.abs(wanted).max()
    assert error <= RELATIVE * largest, f"{what}: {error} of {largest}"


def assert_tokens(ours: Tensor, wanted: np.ndarray, margin: np.ndarray, what: str) -> None:
    clear = margin > CLEAR
    assert clear.any(), what
    assert (ours.numpy() == wanted)[clear].all(), what


def losses(errors: list[Tensor], root: Tensor | None = None) -> dict[str, float]:
    """The original's terms of the errors of its decoders, time last (spec 3.5)."""
    terms = {
        name: sum(float(error.diff(order, dim=-1).abs().mean()) for error in errors)
        for order, name in enumerate(("recons_loss", "velocity_loss", "acceleration_loss"))
    }
    if root is not None:
        terms["recons_loss"] += float(root.abs().mean())
        terms["acceleration_loss"] += float(root.diff(dim=-1).abs().mean())
    return terms | {"l1_loss": float(errors[0].abs().mean())}


def check_gradients(tokenizer: Tokenizer, keys: Mapping[str, str], golden: Golden) -> None:
    """Every parameter of the original has the gradient norm that it had there."""
    own = dict(tokenizer.named_parameters())
    norms = {name for name in golden if name.startswith("train/gradnorm/")}
    theirs = {f"train/gradnorm/{key}": own[ours] for key, ours in keys.items() if ours in own}
    assert theirs.keys() == norms and len(theirs) == len(own)
    for name, parameter in theirs.items():
        assert parameter.grad is not None, name
        assert float(parameter.grad.norm()) == pytest.approx(float(golden[name]), rel=GRADIENT), (
            name
        )


def set_averages(quantizer: VectorQuantizer, golden: Golden, part: str) -> None:
    """Bring a codebook to the state that the stored update starts from."""
    assert_near(quantizer.codebook, golden[f"train/{part}/k_before"], part)
    quantizer.ema_sum.copy_(torch.from_numpy(golden[f"train/{part}/k_sum_before"]))
    quantizer.ema_count.copy_(torch.from_numpy(golden[f"train/{part}/k_elem_before"]))


def check_update(quantizer: VectorQuantizer, golden: Golden, part: str) -> None:
    """One update of the codebook from the stored latents and permutation is the original's."""
    wanted = {
        name.removeprefix(f"train/{part}/"): value
        for name, value in golden.items()
        if name.startswith(f"train/{part}/")
    }
    set_averages(quantizer, golden, part)
    before = quantizer.codebook.clone()
    latents = torch.from_numpy(wanted["prequant"]).mT
    tokens = quantizer.nearest(latents)
    rows = latents.flatten(0, 1)
    statistics = quantizer.statistics(latents, tokens)
    codes = len(before)
    # With fewer rows than codes the original repeats them with noise that is not stored.
    stored = codes <= len(rows)
    if stored:
        drawn = torch.from_numpy(wanted["randperm"])[:codes]
        statistics = statistics._replace(candidates=rows[drawn])
    quantizer.update(statistics)
    assert_near(quantizer.ema_sum, wanted["k_sum_after"], part)
    assert_near(quantizer.ema_count, wanted["k_elem_after"], part)
    restarted = wanted["restarted_codes"]
    kept = np.ones(codes, dtype=bool) if stored else ~restarted
    if kept.any():
        assert_near(quantizer.codebook.numpy()[kept], wanted["k_after"][kept], part)
    if stored:
        away = quantizer.codebook - before
        assert_near(away.norm() / away.numel() ** 0.5, wanted["metric_dk"], part)
    assert ((quantizer.ema_count < 1).numpy() == restarted).all()
    assert int(wanted["metric_usage"]) == int((~restarted).sum())
    counts = statistics.counts
    assert_near(perplexity(counts).log(), wanted["metric_entropy"], part)
    assert round(float(usage(counts)) * codes) == int(wanted["metric_used_curr"])
    distances = (rows - before[tokens.flatten()]).square()
    assert_near(distances.sum(-1).mean(), wanted["metric_fit"], part)
    assert_near(distances.mean(), wanted["commit"], part)
