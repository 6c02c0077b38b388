"""The `duolando` policy loss gives the numbers of the original."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.rl.losses import DuolandoLossConfig, Experience, Verdict, duolando

GOLDEN = Path(
    os.environ.get("DUET_RL_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden")
)
FILE = GOLDEN / "duolando" / "rl_loss.npz"
RELATIVE = 1e-4  # the tolerance that the spec states for its own check

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is absent; set DUET_RL_GOLDEN"),
]


def test_the_loss_is_the_originals_however_often_it_is_called() -> None:
    golden = np.load(FILE, allow_pickle=False)
    streams = sorted(name.rpartition("/")[2] for name in golden if name.startswith("in/rewards/"))
    rewards = _stacked(golden, "in/rewards", streams)
    log_probs = _stacked(golden, "out/p", streams).log()
    zeros = torch.zeros_like(rewards)
    verdict, experience = Verdict(log_probs, zeros, zeros, zeros), Experience(rewards, zeros, 1)
    config = DuolandoLossConfig(alpha=float(golden["in/alpha"]))
    for _ in range(2):
        total = duolando(verdict, experience, config).total
        assert total.item() == pytest.approx(float(golden["out/loss"]), rel=RELATIVE)
    targets = torch.stack([torch.from_numpy(golden[f"out/y/{name}"]) for name in streams], dim=-1)
    mean_target = duolando(verdict, experience, config).metrics["target"]
    assert mean_target.item() == pytest.approx(targets.mean().item(), rel=RELATIVE)


def _stacked(golden: "np.lib.npyio.NpzFile", prefix: str, streams: list[str]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(golden[f"{prefix}/{name}"]) for name in streams], dim=-1)
