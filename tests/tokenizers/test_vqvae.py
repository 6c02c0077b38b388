"""The VQ-VAE of one part: round trip, streaming, and a codebook that learns to reconstruct."""

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.tokenizers.losses import MotionLossConfig, motion_loss
from duet_rl.tokenizers.quantizers import reduce_statistics
from duet_rl.tokenizers.vqvae import PartVQVAE, PartVQVAEConfig

CONFIG = PartVQVAEConfig(width=16, depth=1, codes=16, code_width=8, levels=2)
HEADS = {"positions": 2, "velocity": 1}


def waves(batch: int, frames: int, seed: int = 0) -> torch.Tensor:
    """Sines of random phase about a mean of 3, `(B, 2, T)`."""
    phase = 6.28 * torch.rand(batch, 1, generator=torch.Generator().manual_seed(seed))
    angle = phase + 0.3 * torch.arange(frames)
    return 3 + torch.stack([angle.sin(), angle.cos()], dim=1)


def targets(motion: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"positions": motion, "velocity": motion[:, :1].diff(dim=-1, prepend=motion[:, :1, :1])}


def trained(causal: bool, steps: int, one_decoder: bool = True) -> PartVQVAE:
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"one_decoder": one_decoder})
    vqvae = PartVQVAE(config, inputs=2, heads=HEADS, causal=causal).train()
    optimiser = torch.optim.Adam(vqvae.parameters(), lr=3e-3)
    for step in range(steps):
        motion = waves(16, 32, seed=step)
        wanted = targets(motion)
        out = vqvae(motion, wanted)
        loss = sum(
            motion_loss(out.heads[name] - wanted[name], MotionLossConfig()) for name in HEADS
        )
        optimiser.zero_grad()
        (loss + 0.1 * out.commit_loss).backward()
        optimiser.step()
        vqvae.quantizer.update(reduce_statistics(out.statistics))
    return vqvae.eval()


@pytest.mark.parametrize("one_decoder", [True, False])
def test_training_makes_the_round_trip_good(one_decoder):
    vqvae = trained(causal=False, steps=120, one_decoder=one_decoder)
    motion = waves(8, 32, seed=999)
    decoded = vqvae.decode(vqvae.encode(motion.mT))
    assert decoded["velocity"].shape == (8, 32, 1)
    assert (decoded["positions"] - motion.mT).abs().mean() < 0.15


def test_heads_start_from_the_mean_of_the_first_batch():
    vqvae = trained(causal=False, steps=1)
    decoded = vqvae.decode(vqvae.encode(waves(4, 32).mT))["positions"]
    assert (decoded.mean() - 3).abs() < 0.5


def test_streaming_gives_the_tokens_and_frames_of_the_whole_clip():
    vqvae = trained(causal=True, steps=20)
    motion = waves(2, 48).mT
    tokens = vqvae.encode(motion)
    cache: dict = {}
    pieces = [vqvae.encode(piece, cache) for piece in motion.split(4, dim=1)]
    assert torch.equal(torch.cat(pieces, dim=1), tokens)
    whole, cache = vqvae.decode(tokens)["positions"], {}
    streamed = [vqvae.decode(piece, cache)["positions"] for piece in tokens.split(1, dim=1)]
    torch.testing.assert_close(torch.cat(streamed, dim=1), whole, rtol=0, atol=1e-6)


def test_clip_of_half_a_token_is_refused():
    vqvae = PartVQVAE(CONFIG, inputs=2, heads=HEADS)
    with pytest.raises(InputError, match="30 frames do not divide"):
        vqvae.encode(torch.zeros(1, 30, 2))


def test_tokens_of_eight_frames_want_eight_frames():
    vqvae = PartVQVAE(CONFIG, inputs=2, heads=HEADS, halvings=3)
    assert vqvae.decode(vqvae.encode(torch.zeros(1, 16, 2)))["velocity"].shape == (1, 16, 1)
    with pytest.raises(InputError, match="12 frames do not divide into tokens of 8"):
        vqvae.encode(torch.zeros(1, 12, 2))
