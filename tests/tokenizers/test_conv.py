"""Encoder and decoder: four frames a token; causal ones stream."""

import pytest
import torch

from duet_rl.tokenizers.conv import ConvConfig, Decoder, Encoder
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN

CONFIG = ConvConfig(width=8, depth=2)
CHANNELS, CODE, STEPS = 6, 5, 9


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.randn(2, CHANNELS, STEPS * FRAMES_PER_TOKEN, generator=torch.manual_seed(0))


@pytest.mark.parametrize("causal", [False, True])
def test_four_frames_are_one_token_and_back(clip, causal):
    latents = Encoder(CONFIG, CHANNELS, CODE, causal=causal)(clip)
    assert latents.shape == (2, CODE, STEPS)
    assert Decoder(CONFIG, CODE, CHANNELS, causal=causal)(latents).shape == clip.shape


@pytest.mark.parametrize("halvings", [1, 3])
def test_frames_a_token_are_what_is_asked_for(clip, halvings):
    frames = clip[..., : 2 * 2**halvings]
    latents = Encoder(CONFIG, CHANNELS, CODE, causal=False, halvings=halvings)(frames)
    assert latents.shape == (2, CODE, 2)
    decoder = Decoder(CONFIG, CODE, CHANNELS, causal=False, halvings=halvings)
    assert decoder(latents).shape == frames.shape


def test_causal_token_does_not_see_later_frames(clip):
    encoder = Encoder(CONFIG, CHANNELS, CODE, causal=True)
    later = clip.clone()
    later[..., 5 * FRAMES_PER_TOKEN :] += 1
    before, after = encoder(clip), encoder(later)
    assert torch.equal(before[..., :5], after[..., :5])
    assert not torch.equal(before[..., 5], after[..., 5])


def test_causal_token_sees_the_last_of_its_own_frames(clip):
    encoder = Encoder(CONFIG, CHANNELS, CODE, causal=True)
    changed = clip.clone()
    changed[..., 5 * FRAMES_PER_TOKEN - 1] += 1
    assert not torch.equal(encoder(clip)[..., 4], encoder(changed)[..., 4])


def test_causal_frame_does_not_see_later_tokens():
    decoder = Decoder(CONFIG, CODE, CHANNELS, causal=True)
    latents = torch.randn(2, CODE, STEPS)
    later = latents.clone()
    later[..., 5:] += 1
    frames = 5 * FRAMES_PER_TOKEN
    before, after = decoder(latents), decoder(later)
    assert torch.equal(before[..., :frames], after[..., :frames])
    assert not torch.equal(before[..., frames], after[..., frames])


@pytest.mark.parametrize("pieces", [[1] * STEPS, [2, 3, 1, 3]])
def test_streaming_equals_the_whole_clip(clip, pieces):
    encoder = Encoder(CONFIG, CHANNELS, CODE, causal=True)
    decoder = Decoder(CONFIG, CODE, CHANNELS, causal=True)
    latents = encoder(clip)
    cache: dict = {}
    frames = [piece * FRAMES_PER_TOKEN for piece in pieces]
    streamed = torch.cat([encoder(piece, cache) for piece in clip.split(frames, -1)], dim=-1)
    torch.testing.assert_close(streamed, latents, rtol=0, atol=1e-6)
    cache = {}
    streamed = torch.cat([decoder(piece, cache) for piece in latents.split(pieces, -1)], dim=-1)
    torch.testing.assert_close(streamed, decoder(latents), rtol=0, atol=1e-6)


def test_only_causal_networks_stream(clip):
    with pytest.raises(ValueError, match="causal"):
        Encoder(CONFIG, CHANNELS, CODE, causal=False)(clip, {})
