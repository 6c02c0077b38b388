"""The evaluator has the published size, and what lies beyond a motion's end can be kept out."""

import torch

from duet_rl.models.text_motion import MotionReader, TextMotionConfig, TextMotionEvaluator

SMALL = TextMotionConfig(movement_hidden=8, movement=8, motion_hidden=8, text_hidden=8, width=4)


def test_the_defaults_are_the_published_sizes():
    evaluator = TextMotionEvaluator(motion_channels=259, word_channels=300, tags=15)
    parts = (evaluator.motion.movement, evaluator.motion.sequence, evaluator.text)
    millions = [round(sum(p.numel() for p in part.parameters()) / 1e6, 2) for part in parts]
    assert millions == [1.84, 15.75, 4.10]


def test_padding_changes_the_last_step_as_published_unless_motions_are_kept_apart():
    torch.manual_seed(0)
    reader = MotionReader(5, SMALL).eval()
    motion, frames = torch.randn(1, 18, 5), torch.tensor([18])
    padded = torch.cat([motion, torch.zeros(1, 14, 5)], dim=1)
    with torch.no_grad():
        published = [reader(x, frames) for x in (motion[:, :16], padded[:, :16], padded)]
        apart = [reader(x, frames, apart=True) for x in (motion, padded)]
    assert torch.equal(*published[:2])
    assert not torch.allclose(published[0], published[2], atol=1e-4)
    torch.testing.assert_close(*apart, atol=1e-6, rtol=0)
