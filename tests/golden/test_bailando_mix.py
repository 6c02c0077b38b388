"""Bailando++'s decoders of rotations hang on the same poses, and give the original's."""

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.skeleton import NUM_SMPL_JOINTS
from duet_rl.body.stage import stage
from duet_rl.compat.bailando_vqvae import original_keys, original_state, solo_codec
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.smpl_body import BODY
from duet_rl.tokenizers.solo import SoloCodec
from tests.golden import vqvae
from tests.golden.bailando_codec import MIX, body, states, tokens
from tests.golden.files import needs

pytestmark = needs(MIX)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return vqvae.read(MIX)


@pytest.fixture
def codec() -> SoloCodec:
    return solo_codec(states(MIX))


def matrices(flat: np.ndarray) -> Tensor:
    """Rows of 219 numbers: a translation, and 24 rotations row by row."""
    return torch.from_numpy(flat)[..., 3:].unflatten(-1, (NUM_SMPL_JOINTS, 3, 3))


def test_rotations_are_found_in_the_file(codec):
    assert codec.config.rotations


def test_tokens_are_those_of_the_positions(golden, codec):
    dance = body(golden["x"]).clone()
    dance[:, :, 0] = 0
    assert torch.equal(codec.pose.encode_body(dance), tokens(golden))


def test_decoding_is_the_originals(golden, codec):
    codes = codec.pose.codes(tokens(golden))
    with torch.no_grad():
        velocity, rotations = codec.translation.velocity(codes), codec.translation.rotations(codes)
    joined = torch.cat([velocity / codec.config.fps, rotations.flatten(2)], dim=-1)
    vqvae.assert_near(joined, golden["decode"], "decode")


def test_the_loss_of_the_rotations_is_the_originals(golden, codec):
    codes, root = codec.pose.codes(tokens(golden)), torch.zeros(*golden["x"].shape[:2], 3)
    with torch.no_grad():
        _, metrics = codec.translation.decoding_loss(codes, root, matrices(golden["x_rot"]))
    vqvae.assert_near(metrics["loss/rotations"], golden["loss"], "loss")


def test_only_decoders_of_rotations_learn_from_rotations(golden, codec):
    codes = codec.pose.codes(tokens(golden))
    codec.translation.rotations(codes).abs().sum().backward()
    own = dict(codec.named_parameters())
    keys = original_keys(codec)
    learned = {key for key, ours in keys.items() if ours in own and own[ours].grad is not None}
    assert learned == set(golden["params_with_grad"].tolist())


def test_a_dancer_turns_as_decoded(golden, codec):
    rows = tokens(golden)
    floor = stage(4 * rows.shape[1])
    leader = MotionBatch(*(x.expand(len(rows), *x.shape) for x in (floor.joints, floor.rotations)))
    ours = codec.decode(rows, leader).rotations[:, :, :BODY]
    decoded = matrices(golden["decode"])[:, ::2, :BODY]
    # The nearest rotation: what is left of the matrix after it is symmetric (its polar factor).
    left = ours.mT @ decoded
    assert torch.allclose(left, left.mT, atol=1e-3)
    assert torch.allclose(torch.det(ours), torch.ones(()), atol=1e-4)


def test_weights_go_back_as_they_came(codec):
    ours, theirs = original_state(codec), states(MIX)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
