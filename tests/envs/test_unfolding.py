"""Stepping with a real, causal codec gives what decoding the whole dance gives."""

import numpy as np
import pytest
import torch

from duet_rl.datasets.solo import as_soloist
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.solo import SoloCodec
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from envs.dance import DanceBatch, open_dances
from envs.scene import Pick
from tests.envs.dancers import small_codec
from tests.tokenizers.test_solo import small_solo

BACKWARD = {"weights": {"contact": 1.0, "foot": 1.0, "tracking": 1.0, "beat": 0, "consistency": 0}}
PICKS = [Pick(0, 2), Pick(2, 1)]


def danced(settings, codec: DuetCodec) -> tuple[DanceBatch, torch.Tensor]:
    """Return dances of a `codec` that have begun, and random tokens for them."""
    dances = open_dances(
        **{**settings, "codec": codec, "num_dances": len(PICKS), "rewards": BACKWARD}
    )
    dances.restart([], PICKS)
    return dances, torch.randint(8, (len(PICKS), dances.steps, len(codec.spec)))


def test_a_causal_codec_steps_to_what_it_scores(settings) -> None:
    dances, tokens = danced(settings, small_codec(causal=True))
    scored = dances.score(tokens)
    for step, row in enumerate(tokens.unbind(1)):
        result = dances.step(row.numpy())
        for name, values in scored.tokens(FRAMES_PER_TOKEN).items():
            # A nearly straight knee moves by the root of a rounding error.
            np.testing.assert_allclose(result.terms[name], values[:, step], atol=1e-3)


def test_other_codecs_estimate_what_they_score(settings) -> None:
    dances, tokens = danced(settings, small_codec(causal=False))
    scored = dances.score(tokens).total(FRAMES_PER_TOKEN)
    stepped = np.stack([dances.step(row.numpy()).reward for row in tokens.unbind(1)], axis=1)
    assert stepped.mean() == pytest.approx(scored.mean().item(), abs=0.1)


def test_a_soloist_goes_on_from_where_his_steps_have_led_him(settings) -> None:
    """Where a soloist is follows from all of his steps, so that no view may begin in the middle."""
    torch.manual_seed(0)
    codec = SoloCodec(small_solo()).eval()
    dances = open_dances(
        [as_soloist(clip) for clip in settings["data"]],
        codec,
        dance={**settings["dance"], "leader": "none", "step_context": 2},
    )
    dances.restart([], [Pick(0, 0)])
    tokens = torch.randint(8, (1, dances.steps, len(codec.spec)))
    for row in tokens.unbind(1):
        dances.step(row.numpy())
    whole = dances.decode(tokens).joints[:, -1]
    torch.testing.assert_close(dances._follower, whole, atol=1e-4, rtol=0)
    assert whole[0, 0].norm() > 0.1, "else he never left the origin"
